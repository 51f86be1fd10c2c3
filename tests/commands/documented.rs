//! Every example of README.md and of `--help`, run as it is typed, on a fresh node.
//!
//! Only what would leave this machine or be in the way of others is different: ports are free ones, mDNS and UPnP are off.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use bard_tests::{
    documents::{Block, blocks, lines},
    process::{Builder, Ended, Http, Node, PATIENCE, bard, run, wait_until},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const README: &str = "README.md";

/// Commands that are not run here, each with the reason.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo test --workspace", "it runs this test"),
    (".ci/run", "it runs this test"),
    ("bard bench", "it measures for minutes; the suite `processes` and .ci/run run it shorter"),
    ("bard bench soak", "it takes half an hour; the suite `processes` runs it shorter"),
    ("bard bench load", "it takes a minute of a whole machine; the suite `processes` runs it shorter"),
    ("bard join LINK", "LINK stands for an invitation; the suite `meeting` joins by real ones"),
    ("bard join LINK --port 0", "the same"),
    ("bard join bard:join1...", "the same"),
    ("bard top", "it draws on a terminal; the module `top` gives it one"),
];

/// Commands that go on until they are told to stop.
const GOES_ON: [&str; 3] = ["bard node", "bard tracker", "bard devnet"];

/// A user with a node that runs.
pub(crate) struct Workshop {
    user: Builder,
    node: Node,
    /// A node on a chain of its own, which goes on while the rest of its block is typed in another terminal.
    other: RefCell<Option<Other>>,
    /// Where the last of these kept its chain, and its last block.
    left: RefCell<Option<(PathBuf, String)>>,
}

/// A node that a page starts.
struct Other {
    typed: String,
    child: Child,
    dir: PathBuf,
}

impl Workshop {
    pub(crate) fn open() -> Self {
        let user = Builder::default().default_data_dir().env("BARD_NO_LOCAL", "true");
        let bin = user.home().join("bin");
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(bard(), bin.join("bard")).unwrap();
        fs::write(user.home().join("contract.pdf"), "a contract").unwrap();
        let node = user.start();
        node.mine(2);
        Self { user, node, other: RefCell::default(), left: RefCell::default() }
    }

    /// A line as it is typed, but for ports and addresses.
    fn here(&self, line: &str) -> String {
        let line = line.replace("cargo run --release --", "bard").replace("--port 5001", "--port 0");
        let line = if line == "cargo run --release" { "bard node".to_owned() } else { line };
        let line = line.replace("http://127.0.0.1:5000", self.node.file().api.trim_end_matches('/'));
        // Nobody is called on a real network, and nobody on it is served.
        let line = line.replace("192.168.1.7/tcp/6000", "127.0.0.1/tcp/1").replace("0.0.0.0", "127.0.0.1");
        let line = line.replace("/tmp/bard-tour", &self.user.home().join("tour").display().to_string());
        // The data directory of the node on port 5000.
        let (above, port) = (self.node.dir().parent().unwrap(), self.node.dir().file_name().unwrap());
        let line = line.replace("~/.local/share/blockbard/dev-bfa08f42395c4cd3", &above.display().to_string());
        let line = line.replace("backup.tar 5000", &format!("backup.tar {}", port.display()));
        line.split("  #").next().unwrap_or_default().trim().to_owned()
    }

    /// A line with what only a session has in the place of the words for it: a transaction, mined, and a receipt.
    fn filled(&self, line: String) -> String {
        if line.ends_with(" TXID") {
            let id = self.node.pool().first().cloned().expect("a transaction that waits");
            self.node.mine(1);
            return line.replace("TXID", &id);
        }
        if line.ends_with(" FILE") {
            let entries = fs::read_dir(self.user.home()).unwrap().flatten().map(|entry| entry.path());
            let receipt = entries.into_iter().find(|path| path.extension().is_some_and(|end| end == "receipt"));
            return line.replace("FILE", &receipt.expect("a receipt").display().to_string());
        }
        if line.contains(" HASH ") {
            return line.replace("HASH", &self.left.borrow().as_ref().expect("a chain").1);
        }
        line
    }

    fn command(&self, line: &str) -> Command {
        // The default ports may be taken by whoever else is on this machine.
        let line =
            if GOES_ON.iter().any(|word| line.starts_with(word)) { format!("exec {line}") } else { line.to_owned() };
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(self.user.home());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BARD_")) {
            command.env_remove(name);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let home = self.user.home();
        command.env("PATH", format!("{}:{path}", home.join("bin").display()));
        command.env("HOME", home).env("XDG_DATA_HOME", home.join("share")).env("TMPDIR", home);
        command.env("BARD_NO_MDNS", "true").env("BARD_NO_UPNP", "true").env("BARD_NO_LOCAL", "true");
        command.env("BARD_LISTEN", "/ip4/127.0.0.1/tcp/0");
        if !line.contains("--port") {
            command.env("BARD_PORT", "0");
        }
        // The directory has the name of the port, which is another here.
        let on_a_chain = [
            "bard chain info --chain",
            "bard chain verify --chain",
            "bard chain export --chain",
            "bard chain snapshot --chain",
        ];
        if let Some((left, _)) =
            self.left.borrow().as_ref().filter(|_| on_a_chain.iter().any(|word| line.starts_with(word)))
        {
            command.env("BARD_DATA_DIR", left);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the lines of a block, and says how many there are.
    pub(crate) fn run_block(&self, block: &str) -> usize {
        let lines = lines(block);
        lines.iter().for_each(|line| self.run(line));
        self.stop_other();
        lines.len()
    }

    /// Runs a line that is documented.
    pub(crate) fn run(&self, typed: &str) {
        let line = self.here(typed);
        if NOT_RUN.iter().any(|(known, _)| *known == line) {
            return;
        }
        let line = self.filled(line);
        if line.starts_with("curl") && Command::new("curl").arg("--version").output().is_err() {
            // A clone needs only Rust.
            return;
        }
        if GOES_ON.iter().any(|word| line == *word || line.starts_with(&format!("{word} "))) {
            return self.start_and_stop(typed, &line);
        }
        let output = self.command(&line).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // A doctor on loopback may find that addresses of an example lead nowhere.
        if line.starts_with("bard doctor") && output.status.code() == Some(1) {
            assert!(said.contains("FAULT") || said.contains("\"fault\""), "{typed}: {said}");
            return;
        }
        assert!(output.status.success(), "{typed}: {said}");
        assert!(!said.contains("urn:blockbard:problem") && !said.contains("\nerror: "), "{typed}: {said}");
    }

    /// Starts what goes on, waits until it is ready, and stops it.
    fn start_and_stop(&self, typed: &str, line: &str) {
        let mut child = self.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        let mut dir = None;
        wait_until(typed, PATIENCE, || {
            assert_eq!(child.try_wait().unwrap(), None, "{typed}: it ended");
            dir = ready_in(self.user.home(), pid);
            if line.starts_with("bard devnet") { self.devnet_is_there() } else { dir.is_some() }
        });
        if let Some(dir) = dir.filter(|_| line.starts_with("bard node --chain ")) {
            *self.other.borrow_mut() = Some(Other { typed: typed.to_owned(), child, dir });
            return;
        }
        stop(typed, &mut child);
    }

    /// Stops the node on a chain of its own, where one runs, after it mined a block for those who look at the chain later.
    fn stop_other(&self) {
        let Some(mut other) = self.other.take() else { return };
        let file: Value = serde_json::from_str(&fs::read_to_string(other.dir.join("node.json")).unwrap()).unwrap();
        let node = Http::new(file["api"].as_str().unwrap());
        node.post("/api/v1/mine", &json!({ "blocks": 1 })).success();
        let tip = node.get("/api/v1/status").success()["tip"].as_str().unwrap().to_owned();
        stop(&other.typed, &mut other.child);
        *self.left.borrow_mut() = Some((other.dir, tip));
    }
}

/// Asks a process to stop, which it does as if it had never been in the way.
fn stop(typed: &str, child: &mut Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
    wait_until(&format!("{typed} stops"), Duration::from_secs(10), || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0), "{typed}");
}

impl Workshop {
    /// Whether a devnet has its first node.
    fn devnet_is_there(&self) -> bool {
        let entries = fs::read_dir(self.user.home()).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut devnets = entries.filter(|path| path.to_string_lossy().contains("bard-devnet-"));
        devnets.any(|dir| dir.join("node-1/node.json").is_file())
    }
}

/// The directory below another whose `node.json` is that of a process.
fn ready_in(dir: &Path, pid: u32) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.find_map(|path| {
        if path.is_dir() {
            return ready_in(&path, pid);
        }
        let names_it = || fs::read_to_string(&path).is_ok_and(|text| text.contains(&format!("\"pid\": {pid},")));
        (path.ends_with("node.json") && names_it()).then(|| dir.to_owned())
    })
}

#[test]
fn the_commands_of_the_readme_do_as_they_are_typed() {
    let workshop = Workshop::open();
    let mut seen = 0;
    for block in blocks(README, "console") {
        seen += workshop.run_block(&block.text);
    }
    assert!(seen > 15, "{seen} lines");
}

#[test]
fn the_tour_of_the_readme_does_as_it_is_typed() {
    let mut node = Node::start();
    for line in blocks(README, "text").iter().flat_map(Block::lines) {
        let typed = line.strip_prefix("bard> ").unwrap_or_else(|| panic!("{line}: not a line of the console"));
        let typed = typed.split("  ").next().unwrap_or_default();
        if typed == "quit" {
            node.type_line(typed);
            assert_eq!(node.wait_for_end(PATIENCE).code(), Some(0));
            return;
        }
        let answer = node.ask(typed);
        assert!(!answer.iter().any(|line| line.starts_with("error:")), "{typed}: {answer:?}");
    }
    panic!("the tour ends with quit");
}

#[test]
fn the_examples_of_the_help_do_as_they_are_typed() {
    let workshop = Workshop::open();
    let Ended { stdout, .. } = run(&["--help"]);
    let commands = stdout.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let commands: Vec<_> = commands.map_while(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let mut with_examples = Vec::new();
    for command in commands.into_iter().filter(|command| !command.is_empty() && *command != "help") {
        let help = run(&["help", command]).stdout;
        let examples: Vec<_> = help.lines().skip_while(|line| *line != "Examples:").skip(1).collect();
        if !examples.is_empty() {
            with_examples.push(command.to_owned());
        }
        for example in examples {
            assert!(example.starts_with("  bard "), "{command}: {example}");
            workshop.run_block(example.trim());
        }
    }
    for command in ["node", "doctor", "devnet", "top", "config", "send", "chain", "invite", "join"] {
        assert!(with_examples.iter().any(|one| one == command), "{command} has no examples: {with_examples:?}");
    }
}
