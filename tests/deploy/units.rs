//! The units of systemd: well formed, closed to what a node does not need, open to what it does.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use bard_tests::{
    process::{Builder, Node, PATIENCE, bard, wait_until},
    workspace::root,
};
use tempfile::TempDir;

const UNITS: [&str; 2] = ["bard.service", "bard-tracker.service"];
/// What `systemd-analyze security` calls well protected is below this.
const EXPOSURE: f64 = 2.0;

fn unit(name: &str) -> String {
    fs::read_to_string(root().join("deploy/systemd").join(name)).unwrap()
}

/// The units, in a directory, with a user and a binary that this machine has.
fn here() -> (TempDir, Vec<PathBuf>) {
    let dir = TempDir::new().unwrap();
    let files = UNITS.map(|name| {
        let text = unit(name).replace("ExecStart=bard", &format!("ExecStart={}", bard().display()));
        let file = dir.path().join(name);
        fs::write(&file, text.replace("=bard\n", "=daemon\n").replace("StateDirectory=daemon", "StateDirectory=bard"))
            .unwrap();
        file
    });
    (dir, files.to_vec())
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

#[test]
fn each_option_that_a_unit_and_its_file_name_is_one() {
    for (name, file, subcommand) in
        [("bard.service", "bard.toml", "node"), ("bard-tracker.service", "tracker.toml", "tracker")]
    {
        let unit = unit(name);
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=bard ")).unwrap();
        assert!(start.starts_with(subcommand), "{start}");
        let builder = Builder::default();
        // Each option that is a comment, taken for one.
        let text = fs::read_to_string(root().join("deploy/systemd").join(file)).unwrap();
        let commented = |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).map(str::to_owned);
        let options: Vec<_> = text.lines().filter_map(commented).collect();
        let set = text.lines().find(|line| !line.is_empty() && !line.starts_with('#'));
        assert!(options.len() >= 3 && set.is_none(), "as it is delivered all are comments: {set:?}");
        fs::write(builder.home().join(file), options.join("\n")).unwrap();
        let mut words = vec!["config"];
        if subcommand == "tracker" {
            words.push("tracker");
        }
        words.extend(start.split(' ').skip(1).filter(|word| *word != "--config" && !word.starts_with("/etc/")));
        let shown = builder.tool(&[&words[..], &["--config", file]].concat());
        assert_eq!(shown.code(), Some(0), "{}", shown.stderr);
        for option in options {
            let option = option.split(' ').next().unwrap();
            let from = shown.stdout.lines().find(|line| line.starts_with(&format!("{option} "))).unwrap();
            assert!(from.contains(&format!("file {file}")), "{from}");
        }
    }
}

#[test]
fn the_debian_package_has_every_file() {
    let manifest = fs::read_to_string(root().join("node/Cargo.toml")).unwrap();
    let (_, package) = manifest.split_once("[package.metadata.deb]").unwrap();
    let named: Vec<_> = package.split('"').filter(|word| word.starts_with("../")).collect();
    // Made by deploy/debian/build.
    let sources = named.iter().filter(|name| !name.starts_with("../target/"));
    let sources = sources.map(|name| name.split("/*").next().unwrap_or(name));
    let missing: Vec<_> = sources.filter(|name| !root().join("node").join(name).exists()).collect();
    assert!(missing.is_empty() && named.len() > 8, "{missing:?} of {named:?}");
    let made = fs::read_to_string(root().join("deploy/debian/build")).unwrap();
    for name in named.iter().filter_map(|name| name.strip_prefix("../target/deb/")) {
        let stem = name.trim_end_matches("/*").replace("bard.bash", "bard.$shell").replace("bard.zsh", "bard.$shell");
        assert!(
            made.contains(&format!("target/deb/{}", stem.replace("bard.fish", "bard.$shell"))),
            "nothing makes {name}"
        );
    }
    for entry in fs::read_dir(root().join("deploy/systemd")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_there = match name.strip_suffix(".service") {
            Some(unit) => package.contains(&format!("unit-name = \"{unit}\"")),
            None => package.contains(&format!("[\"../deploy/systemd/{name}\", ")),
        };
        assert!(is_there || name == "try", "{name} is not in the package");
    }
}

#[test]
#[ignore = "needs systemd-analyze; .ci/run deploy"]
fn systemd_finds_no_fault() {
    let (_dir, units) = here();
    let said = said(Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units));
    let ours: Vec<_> = said.lines().filter(|line| line.contains("bard")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}

#[test]
#[ignore = "needs systemd-analyze; .ci/run deploy"]
fn little_is_exposed() {
    let (_dir, units) = here();
    for unit in units {
        let said = said(Command::new("systemd-analyze").args(["security", "--offline=yes", "--no-pager"]).arg(&unit));
        let overall = said.lines().find(|line| line.contains("Overall exposure level")).unwrap();
        let level: f64 = overall.split(": ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
        assert!(level < EXPOSURE, "{overall}");
    }
}

/// The calls of a set of systemd, sets in it included.
fn calls(set: &str, found: &mut BTreeSet<String>) {
    let said = said(Command::new("systemd-analyze").args(["syscall-filter", set]));
    for line in said.lines().skip(1).map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match line.starts_with('@') {
            true => calls(line, found),
            false => {
                found.insert(line.to_owned());
            }
        }
    }
}

#[test]
#[ignore = "needs systemd-analyze and strace; .ci/run deploy"]
fn a_node_at_work_makes_no_call_that_the_unit_forbids() {
    let filters: Vec<_> = ["@system-service", "@privileged", "@resources"]
        .iter()
        .map(|set| {
            let mut found = BTreeSet::new();
            calls(set, &mut found);
            found
        })
        .collect();
    let text = unit("bard.service");
    assert!(text.contains("SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n"), "{text}");
    let other = Node::start();
    let builder = Builder::default();
    let trace = builder.home().join("trace");
    // The tracer is a process of its own, so that the node is the one that is started and stopped here.
    let tracer = ["strace", "-D", "-f", "-c", "-qq", "-o", trace.to_str().unwrap()];
    let mut node = builder.inside(tracer).bootstrap(other.address()).spawn();
    node.wait_ready(PATIENCE * 4);
    node.wait_for_peers(1);
    node.pay("alice", "bob", 5);
    node.mine(3);
    other.wait_for_same_tip(&node);
    node.get("/metrics");
    node.terminate();
    node.wait_for_end(PATIENCE);
    wait_until("the tracer writes what it saw", PATIENCE, || {
        fs::read_to_string(&trace).is_ok_and(|t| t.contains("total"))
    });
    let table = fs::read_to_string(&trace).unwrap();
    let made: BTreeSet<_> = table
        .lines()
        .filter_map(|line| {
            let columns: Vec<_> = line.split_whitespace().collect();
            // A share with its fraction; a number without one is that of a thread which ended while it was looked at.
            columns.first().filter(|share| share.contains('.'))?.parse::<f64>().ok()?;
            Some(columns.last()?.to_string()).filter(|name| name != "total")
        })
        .collect();
    assert!(made.contains("fdatasync") && made.len() > 30, "the calls were seen: {made:?}");
    let allowed = |name: &String| filters[0].contains(name) && !filters[1].contains(name) && !filters[2].contains(name);
    let forbidden: Vec<_> = made.iter().filter(|name| !allowed(name)).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
}
