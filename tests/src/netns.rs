//! Network namespaces: machines, and a network between them, that are not there.
//!
//! A test enters a namespace of its own with [`inside`], where it may do what it likes to the network without being root, and
//! mount what it likes, without anybody else noticing; there it makes [`Machine`]s on one [`Wire`].
//!
//! Needs Linux that lets users make namespaces, `unshare` and `nsenter` (util-linux), `ip` (iproute2), `iptables` where
//! there are routers or cuts, `curl` where an API is asked, and `/dev/net/tun` where there are bad lines.

#[cfg(target_os = "linux")]
mod line;

use std::{
    ffi::OsStr,
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

#[cfg(target_os = "linux")]
pub use self::line::{Line, Quality};
use crate::process::{Builder, Node, bard, wait_until};

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
    command.args(["--user", "--map-root-user", "--net", "--mount", "--fork", "--kill-child", "--"]);
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

/// Runs another program in this namespace.
///
/// # Panics
/// Where it fails.
pub fn run_program<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) {
    run(program, arguments);
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
        let machine = self.without_cable();
        ip(&format!("link add {} type veth peer name eth0 netns {}", machine.port, machine.holder.id()));
        self.plug_in(&machine);
        machine
    }

    /// Puts a new machine on it, by a line of some quality.
    ///
    /// # Panics
    /// Where the system refuses.
    #[cfg(target_os = "linux")]
    pub fn machine_by(&mut self, quality: Quality) -> (Machine, Line) {
        let machine = self.without_cable();
        let far = format!("far{}", self.machines);
        let line = Line::connect(&machine.port, &far, quality);
        ip(&format!("link set {far} netns {} name eth0", machine.holder.id()));
        self.plug_in(&machine);
        (machine, line)
    }

    fn without_cable(&mut self) -> Machine {
        self.machines += 1;
        Machine::new(format!("10.77.0.{}", self.machines), format!("port{}", self.machines))
    }

    fn plug_in(&self, machine: &Machine) {
        ip(&format!("link set {} master br0", machine.port));
        ip(&format!("link set {} up", machine.port));
        machine.wake();
    }

    /// Puts a router on it, with a machine behind it: nothing gets in that was not asked for from inside.
    ///
    /// # Panics
    /// Where the system refuses, or has no `iptables`.
    pub fn behind_router(&mut self, ports: Ports) -> (Machine, Machine) {
        let router = self.machine();
        let lan = format!("192.168.{}", self.machines);
        let inner = Machine::new(format!("{lan}.2"), format!("lan{}", self.machines));
        let port = &inner.port;
        ip(&format!("link add {port} type veth peer name eth0 netns {}", inner.holder.id()));
        ip(&format!("link set {port} netns {}", router.holder.id()));
        router.ip(&format!("addr add {lan}.1/24 dev {port}"));
        router.ip(&format!("link set {port} up"));
        inner.wake();
        inner.ip(&format!("route add default via {lan}.1"));
        router.run_program("sh", ["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        let random = if ports == Ports::Random { " --random-fully" } else { "" };
        router.iptables(&format!("-t nat -A POSTROUTING -o eth0 -j MASQUERADE{random}"));
        for chain in ["FORWARD", "INPUT"] {
            router.iptables(&format!("-A {chain} -i eth0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"));
            router.iptables(&format!("-A {chain} -i eth0 -j DROP"));
        }
        (router, inner)
    }
}

/// Which port a router gives to a connection from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The one that it has inside, as most routers at home do.
    Kept,
    /// Another one for each connection: no hole can be punched.
    Random,
}

/// A machine: a namespace with one card.
pub struct Machine {
    holder: Child,
    address: String,
    /// The other end of its cable.
    port: String,
}

impl Machine {
    fn new(address: String, port: String) -> Self {
        // It ends with its input, which ends with this process, however that ends.
        let mut holder = Command::new("unshare");
        holder.args(["--net", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let holder = holder.spawn().expect("unshare runs");
        let machine = Self { holder, address, port };
        let own = fs::read_link("/proc/self/ns/net").expect("a namespace");
        let of_holder = format!("/proc/{}/ns/net", machine.holder.id());
        wait_until("the machine's namespace", SOON, || fs::read_link(&of_holder).is_ok_and(|link| link != own));
        machine
    }

    /// Turns its card on.
    fn wake(&self) {
        self.ip("link set lo up");
        self.ip(&format!("addr add {}/24 dev eth0", self.address));
        self.ip("link set eth0 up");
    }

    /// Its address.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Pulls its cable, where that leads to the wire.
    pub fn pull_cable(&self) {
        ip(&format!("link set {} down", self.port));
    }

    /// Puts its cable back.
    pub fn plug_cable(&self) {
        ip(&format!("link set {} up", self.port));
    }

    /// Lets nothing through between this machine and another.
    pub fn cut_from(&self, other: &Self) {
        self.iptables(&format!("-A INPUT -s {} -j DROP", other.address));
        self.iptables(&format!("-A OUTPUT -d {} -j DROP", other.address));
    }

    /// Undoes [`Self::cut_from`].
    pub fn join_again(&self, other: &Self) {
        self.iptables(&format!("-D INPUT -s {} -j DROP", other.address));
        self.iptables(&format!("-D OUTPUT -d {} -j DROP", other.address));
    }

    fn iptables(&self, arguments: &str) {
        self.run_program("iptables", arguments.split(' '));
    }

    fn run_program<'a>(&self, program: &'a str, arguments: impl IntoIterator<Item = &'a str>) {
        let mut words = self.enter();
        words.push(program.to_owned());
        words.extend(arguments.into_iter().map(str::to_owned));
        let (first, rest) = words.split_first().expect("there is a first");
        run(first, rest);
    }

    /// Runs `ip` on it.
    pub fn ip(&self, arguments: &str) {
        self.run_program("ip", arguments.split(' '));
    }

    /// Gets a path of the API of a node that runs on it.
    ///
    /// # Panics
    /// Where there is no `curl`, or no good answer.
    pub fn get(&self, node: &Node, path: &str) -> String {
        let mut words = self.enter();
        let url = format!("{}{path}", node.file().api.trim_end_matches('/'));
        words.extend(["curl", "--silent", "--fail", "--max-time", "10", &url].map(str::to_owned));
        let (first, rest) = words.split_first().expect("there is a first");
        let output = Command::new(first).args(rest).output().expect("nsenter runs");
        assert!(output.status.success(), "{url}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a node on it. Its console can be used from here; its API by [`Self::get`] alone.
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
