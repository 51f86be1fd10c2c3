//! Network namespaces: machines, and a network between them, that are not there.
//!
//! A test enters a namespace of its own with [`inside`], where it may do what it likes to the network without being root and
//! without anybody else noticing; there it makes [`Machine`]s on one [`Wire`].
//!
//! Needs Linux that lets users make namespaces, `unshare` and `nsenter` (util-linux), `ip` (iproute2).

use std::{
    ffi::OsStr,
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::process::{Builder, bard, wait_until};

/// Names the test that runs inside a namespace already.
const MARK: &str = "BARD_TESTS_INSIDE";
/// How long the system may take to make a namespace.
const SOON: Duration = Duration::from_secs(5);

/// Runs the test of this name, with its modules, again in a new network namespace. Returns whether it runs there already; the
/// outer one has nothing left to do when this returns `false`.
///
/// # Panics
/// Where the test fails inside, or no namespace can be made.
pub fn inside(test: &str) -> bool {
    if std::env::var_os(MARK).is_some_and(|mark| mark == *test) {
        return true;
    }
    let own = std::env::current_exe().expect("the path of this program");
    // Built out here: inside there is no network to fetch anything from.
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--fork", "--kill-child", "--"]);
    command
        .arg(own)
        .args([test, "--exact", "--include-ignored", "--nocapture"])
        .env(MARK, test)
        .env("BARD_BIN", bard());
    let output = command.stdin(Stdio::null()).output().expect("unshare runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "in its namespace:\n{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "no test is called {test}:\n{stdout}\n{stderr}");
    false
}

/// Runs `ip` in this namespace.
///
/// # Panics
/// Where it fails.
pub fn ip(arguments: &str) {
    run("ip", arguments.split(' '));
}

/// Gives this namespace what mDNS needs on one machine: an address besides 127.0.0.1, and multicast.
pub fn prepare_loopback(address: &str) {
    ip("link set lo up");
    ip(&format!("addr add {address}/24 dev lo"));
    ip("link set lo multicast on");
}

fn run<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) {
    let mut command = Command::new(program);
    command.args(arguments);
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A network that machines are on: a bridge.
pub struct Wire {
    machines: u8,
}

impl Wire {
    /// Lays it. One in a namespace.
    pub fn lay() -> Self {
        ip("link add br0 type bridge");
        ip("link set br0 up");
        Self { machines: 0 }
    }

    /// Puts a new machine on it.
    ///
    /// # Panics
    /// Where the system refuses.
    pub fn machine(&mut self) -> Machine {
        self.machines += 1;
        // It ends with its input, which ends with this process, however that ends.
        let mut holder = Command::new("unshare");
        holder.args(["--net", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let holder = holder.spawn().expect("unshare runs");
        let machine = Machine { holder, number: self.machines };
        let own = fs::read_link("/proc/self/ns/net").expect("a namespace");
        let of_holder = format!("/proc/{}/ns/net", machine.holder.id());
        wait_until("the machine's namespace", SOON, || fs::read_link(&of_holder).is_ok_and(|link| link != own));
        let port = machine.port();
        ip(&format!("link add {port} type veth peer name eth0 netns {}", machine.holder.id()));
        ip(&format!("link set {port} master br0"));
        ip(&format!("link set {port} up"));
        machine.ip("link set lo up");
        machine.ip(&format!("addr add {}/24 dev eth0", machine.address()));
        machine.ip("link set eth0 up");
        machine
    }
}

/// A machine: a namespace with one card.
pub struct Machine {
    holder: Child,
    number: u8,
}

impl Machine {
    /// Its address.
    pub fn address(&self) -> String {
        format!("10.77.0.{}", self.number)
    }

    /// The wire's end of its cable.
    fn port(&self) -> String {
        format!("port{}", self.number)
    }

    /// Pulls its cable.
    pub fn pull_cable(&self) {
        ip(&format!("link set {} down", self.port()));
    }

    /// Puts its cable back.
    pub fn plug_cable(&self) {
        ip(&format!("link set {} up", self.port()));
    }

    /// Runs `ip` on it.
    pub fn ip(&self, arguments: &str) {
        let enter = self.enter();
        let mut words = enter.iter().map(String::as_str).chain(["ip"]).chain(arguments.split(' '));
        run(words.next().unwrap_or_default(), words);
    }

    /// Runs a node on it. Its console can be used from here; its API cannot.
    pub fn run(&self, builder: Builder) -> Builder {
        builder.inside(self.enter())
    }

    fn enter(&self) -> Vec<String> {
        ["nsenter", "--net", "--target", &self.holder.id().to_string(), "--"].map(str::to_owned).to_vec()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
