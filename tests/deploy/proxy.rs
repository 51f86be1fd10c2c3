//! The examples of servers with TLS before a node: tried with the servers, a certificate and a node.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use bard_tests::{
    process::{Node, Output, PATIENCE, wait_until},
    workspace::root,
};
use tempfile::TempDir;

/// The name in the examples.
const NAME: &str = "bard.example.org";
/// The token of the node.
const TOKEN: &str = "sesame";
/// The longest body that a node on the `dev` chain takes, in bytes: a block of 2 MiB as hex digits, and what is around it.
const LONGEST_BODY: usize = 4_195_328;

fn example(name: &str) -> String {
    fs::read_to_string(root().join("deploy/proxy").join(name)).unwrap()
}

/// A node, and what a server before it needs: a directory, a certificate, a port.
struct Site {
    node: Node,
    dir: TempDir,
    port: u16,
}

impl Site {
    fn new() -> Self {
        let node = Node::builder().arg("--api-token").arg(TOKEN).start();
        let dir = TempDir::new().unwrap();
        // A name in the namespace of addresses, for a moment: servers take no port 0.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", &format!("/CN={NAME}"), "-addext", &format!("subjectAltName=DNS:{NAME}")])
            .args(["-keyout", "privkey.pem", "-out", "fullchain.pem"])
            .current_dir(dir.path())
            .stderr(Stdio::null())
            .status()
            .expect("openssl");
        assert!(made.success(), "a certificate");
        Self { node, dir, port }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The node's address as the examples have it, replaced by the real one.
    fn here(&self, text: &str) -> String {
        let node = self.node.file().api.trim_start_matches("http://").trim_end_matches('/').to_owned();
        text.replace("127.0.0.1:5000", &node)
    }

    fn origin(&self) -> String {
        format!("https://{NAME}:{}", self.port)
    }

    fn curl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--no-buffer", "--cacert"]).arg(self.file("fullchain.pem"));
        command.args(["--resolve", &format!("{NAME}:{}:127.0.0.1", self.port)]).args(arguments);
        command
    }

    /// Status and body of an answer; 0 where there is none.
    fn ask(&self, path: &str, arguments: &[&str]) -> (u16, String) {
        let url = format!("{}{path}", self.origin());
        let output = self.curl(&[&["-w", "\n%{http_code}", &url], arguments].concat()).output().expect("curl");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = said.rsplit_once('\n').unwrap_or_default();
        (status.parse().unwrap_or(0), body.to_owned())
    }

    /// What the server must let through, and what it must not make good.
    fn try_out(&self) {
        wait_until("the server answers", PATIENCE, || self.ask("/healthz", &[]).0 == 200);
        let (status, page) = self.ask("/", &[]);
        assert!(status == 200 && page.contains("<html"), "{status} {page}");
        assert_eq!(self.ask("/api/v1/status", &[]).0, 200);
        let mine = |headers: &[&str]| {
            let headers = headers.iter().flat_map(|header| ["-H", header]);
            let plain = ["-H", "Content-Type: application/json", "-d", "{\"blocks\": 1}"];
            self.ask("/api/v1/mine", &plain.into_iter().chain(headers).collect::<Vec<_>>()).0
        };
        let token = format!("Authorization: Bearer {TOKEN}");
        assert_eq!(mine(&[]), 401, "no token");
        assert_eq!(mine(&[&token]), 200);
        assert_eq!(mine(&[&token, &format!("Origin: {}", self.origin())]), 200, "the page itself");
        assert_eq!(mine(&[&token, "Origin: https://elsewhere.example.org"]), 403, "another page");
        assert_eq!(self.ask("/metrics", &[]).0, 404, "figures are not for the world");
        self.the_longest_block_comes_through(&token);
        self.events_come_at_once(&token);
    }

    /// It is the node that finds it wrong.
    fn the_longest_block_comes_through(&self, token: &str) {
        let block = format!("{{\"hex\": \"{}\"}}", "0".repeat(LONGEST_BODY - 12));
        assert_eq!(block.len(), LONGEST_BODY - 1);
        fs::write(self.file("block"), block).unwrap();
        let body = format!("@{}", self.file("block").display());
        let words = ["-H", "Content-Type: application/json", "-H", token, "-H", "Expect:", "--data-binary", &body];
        let (status, said) = self.ask("/api/v1/blocks", &words);
        assert!(status == 422 && said.contains("urn:blockbard:problem"), "{status} {said}");
    }

    /// An event comes through while the stream goes on.
    fn events_come_at_once(&self, token: &str) {
        let url = format!("{}/api/v1/events?types=block", self.origin());
        let child = self.curl(&[&url]).stdout(Stdio::piped()).spawn().expect("curl");
        let mut child = Ended(child);
        let lines = Output::read(child.0.stdout.take().unwrap());
        wait_until("the stream begins", PATIENCE, || lines.text().contains("id: "));
        let mined = self.ask("/api/v1/mine", &["-H", "Content-Type: application/json", "-H", token, "-d", "{}"]);
        assert_eq!(mined.0, 200, "{}", mined.1);
        wait_until("the event comes", PATIENCE, || lines.text().contains("event: block"));
        assert!(child.0.try_wait().unwrap().is_none(), "the stream goes on");
    }
}

/// A process that ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // The master of nginx ends its workers when it is asked to, not when it is killed.
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

#[test]
#[ignore = "needs nginx, openssl and curl; .ci/run deploy"]
fn nginx_goes_before_a_node() {
    let site = Site::new();
    let dir = site.dir.path();
    let text = site.here(&example("nginx.conf"));
    let text = text.replace("/etc/ssl/bard", &dir.display().to_string());
    let text = text.replace("listen 443 ssl;", &format!("listen 127.0.0.1:{} ssl;", site.port));
    let plain = dir.join("plain");
    let text = text.replace("listen 80;", &format!("listen unix:{};", plain.display()));
    // This machine need not have any.
    let text: String =
        text.lines().filter(|line| !line.contains("listen [::]:")).map(|line| line.to_owned() + "\n").collect();
    let text = text.replace(&format!("https://{NAME}"), &site.origin());
    fs::write(site.file("bard.conf"), text).unwrap();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String =
        temporary.iter().map(|kind| format!("{kind}_temp_path {}/{kind};\n", dir.display())).collect();
    let around = format!(
        "daemon off; pid {0}/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off;\n{temporary}include {0}/bard.conf; }}\n",
        dir.display()
    );
    fs::write(site.file("nginx.conf"), around).unwrap();
    // Of root's, workers become another user, who has to get into the directory.
    fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let nginx = || {
        let mut command = Command::new("nginx");
        command.arg("-p").arg(dir).arg("-e").arg("stderr").arg("-c").arg(site.file("nginx.conf"));
        command
    };
    succeeds(nginx().arg("-t"));
    let _server = Ended(nginx().stderr(fs::File::create(site.file("log")).unwrap()).spawn().expect("nginx"));
    site.try_out();
    let plain = ["--unix-socket", plain.to_str().unwrap(), "-w", "%{redirect_url}", "-o", "/dev/null"];
    let led = site.curl(&plain).arg(format!("http://{NAME}/docs")).output().expect("curl");
    assert_eq!(String::from_utf8_lossy(&led.stdout), format!("{}/docs", site.origin()), "whoever forgets the s");
}

#[test]
#[ignore = "needs caddy, openssl and curl; .ci/run deploy"]
fn caddy_goes_before_a_node() {
    let site = Site::new();
    let text = site.here(&example("Caddyfile"));
    let escaped = NAME.replace('.', "\\.");
    assert!(text.contains(&format!("^https://{escaped}$")), "{text}");
    let text = text.replace(&format!("https://{escaped}$"), &format!("https://{escaped}:{}$", site.port));
    let own = format!(
        "{NAME}:{} {{\n\tbind 127.0.0.1\n\ttls {1}/fullchain.pem {1}/privkey.pem\n",
        site.port,
        site.dir.path().display()
    );
    let text = text.replace(&format!("{NAME} {{\n"), &own);
    fs::write(site.file("Caddyfile"), format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{text}")).unwrap();
    succeeds(&mut caddy(&site, "validate"));
    let log = fs::File::create(site.file("log")).unwrap();
    let _server = Ended(caddy(&site, "run").stderr(log).spawn().expect("caddy"));
    site.try_out();
}

fn caddy(site: &Site, what: &str) -> Command {
    let mut command = Command::new("caddy");
    command.args([what, "--adapter", "caddyfile", "--config"]).arg(site.file("Caddyfile"));
    command.env("HOME", site.dir.path()).env("XDG_DATA_HOME", site.dir.path()).env("XDG_CONFIG_HOME", site.dir.path());
    command
}
