//! A chain goes to another data directory in a file: whole, after a kill, and as far as a damaged one is good.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use bard_tests::{
    chain_builder::easy_spec,
    process::{Builder, Ended, PATIENCE, wait_until},
};
use serde_json::Value;

/// Blocks of the chain.
const BLOCKS: u32 = 1_000;

/// A user with an archive.
struct User {
    builder: Builder,
    archive: PathBuf,
}

impl User {
    /// Mines a chain, stops, and exports it.
    fn new() -> Self {
        let mut node = Builder::default().chain(&easy_spec()).start();
        node.pay("alice", "bob", 5);
        node.mine(BLOCKS);
        let builder = node.builder_of().clone();
        let archive = builder.home().join("chain.bard");
        let user = Self { builder, archive };
        // From the running node first, which is found by its directory or named.
        let (found, named) = (user.path("found.bard"), user.path("named.bard"));
        user.succeeds(&["export", &found, "--data-dir", user.dir()]);
        user.succeeds(&["export", &named, "--api", node.file().api.trim_end_matches('/')]);
        let used = user.chain(&["verify", "--data-dir", user.dir()]);
        assert_eq!(used.code(), Some(1));
        assert!(used.stderr.contains("in use") && used.stderr.contains("http://"), "{}", used.stderr);
        node.stop();
        user.succeeds(&["export", user.archive(), "--data-dir", user.dir()]);
        let stopped = fs::read(&user.archive).unwrap();
        assert!(fs::read(found).unwrap() == stopped && fs::read(named).unwrap() == stopped, "to the byte");
        user
    }

    fn chain(&self, arguments: &[&str]) -> Ended {
        self.builder.tool(&[&["chain"][..], arguments].concat())
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let ended = self.chain(arguments);
        assert_eq!(ended.code(), Some(0), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// The one line that says why it failed.
    fn fails(&self, arguments: &[&str]) -> String {
        let ended = self.chain(arguments);
        assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{arguments:?}: {}", ended.stderr);
        ended.stderr
    }

    fn dir(&self) -> &str {
        self.builder.dir().to_str().unwrap()
    }

    fn archive(&self) -> &str {
        self.archive.to_str().unwrap()
    }

    fn path(&self, name: &str) -> String {
        self.builder.home().join(name).to_str().unwrap().to_owned()
    }

    fn info(&self, dir: &str) -> Value {
        serde_json::from_str(&self.succeeds(&["info", "--json", "--data-dir", dir])).unwrap()
    }

    /// Writes an archive that differs.
    fn altered(&self, name: &str, alter: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = fs::read(&self.archive).unwrap();
        alter(&mut bytes);
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn a_chain_is_exported_and_imported() {
    let user = User::new();
    let copy = user.path("copy");
    let said = user.succeeds(&["import", user.archive(), "--data-dir", &copy]);
    assert!(said.starts_with("1000 blocks imported, 0 were there already"), "{said}");
    let (ours, theirs) = (user.info(user.dir()), user.info(&copy));
    for field in ["name", "chain", "height", "tip", "total_work", "accounts"] {
        assert_eq!(ours[field], theirs[field], "{field}");
    }
    assert_eq!(theirs["height"], BLOCKS);
    let said = user.succeeds(&["verify", "--data-dir", &copy]);
    assert!(said.contains("is valid: 1000 blocks, 1 transactions"), "{said}");
    // Again, through a pipe: nothing is new, and what is written is the same to the byte.
    let said = user.succeeds(&["import", user.archive(), "--data-dir", &copy]);
    assert!(said.starts_with("0 blocks imported, 1000 were there already"), "{said}");
    let mut child = user.builder.tool_command(&["chain", "export", "-", "--data-dir", &copy]).spawn().unwrap();
    let mut piped = Vec::new();
    std::io::Read::read_to_end(&mut child.stdout.take().unwrap(), &mut piped).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(piped, fs::read(&user.archive).unwrap());
    let taken = user.fails(&["export", user.archive(), "--data-dir", &copy]);
    assert!(taken.contains("there already"), "{taken}");
}

#[test]
fn an_export_that_was_cut_short_goes_on() {
    let user = User::new();
    let whole = fs::read(&user.archive).unwrap();
    let (archive, unfinished) = (user.path("again.bard"), user.path("again.bard.unfinished"));
    let finished = |begun: &[u8]| {
        fs::write(&unfinished, begun).unwrap();
        let done = user.chain(&["export", &archive, "--force", "--data-dir", user.dir()]);
        assert_eq!(done.code(), Some(0), "{}", done.stderr);
        assert!(!Path::new(&unfinished).exists());
        (done.stderr, fs::read(&archive).unwrap())
    };
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    let longer = [&whole[..], b"more"].concat();
    for (begun, part) in [
        (&whole[..whole.len() * 2 / 3], "going on with"),
        (&damaged, "going on with"),
        (&whole, "has the first 1000 blocks"),
        (&whole[..whole.len() - 3], "has the first 1000 blocks"),
        (&longer, "has the first 1000 blocks"),
        (&whole[..20], "begun again"),
        (b"something else", "begun again"),
        (b"", "1000 blocks of"),
    ] {
        let (said, written) = finished(begun);
        assert!(said.contains(part), "{part}: {said}");
        assert!(written == whole, "{part}: to the byte");
    }
    // The last blocks are others since.
    let copy = user.path("copy");
    user.succeeds(&["import", user.archive(), "--data-dir", &copy]);
    let mined = |dir: &str, blocks| {
        let mut node = Builder::default().chain(&easy_spec()).data_dir(dir).start();
        node.mine(blocks);
        node.stop();
    };
    mined(&copy, 3);
    mined(user.dir(), 2);
    let other = user.path("other.bard");
    user.succeeds(&["export", &other, "--data-dir", &copy]);
    let (said, written) = finished(&fs::read(&other).unwrap());
    assert!(said.contains("has the first 1000 blocks") && said.contains("1002 blocks of"), "{said}");
    let checked = user.path("checked");
    fs::write(&archive, [&written[..], b"!"].concat()).unwrap();
    let refused = user.fails(&["import", &archive, "--data-dir", &checked]);
    assert!(refused.contains(&format!("after its end, from byte {} on", written.len())), "{refused}");
    assert_eq!(user.info(&checked)["tip"], user.info(user.dir())["tip"], "what came before is kept");
}

#[test]
fn an_import_that_was_killed_goes_on() {
    let user = User::new();
    let copy = user.path("copy");
    let bytes = fs::read(&user.archive).unwrap();
    let mut importing = user.builder.tool_command(&["chain", "import", "-", "--data-dir", &copy]);
    let mut child = importing.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&bytes[..bytes.len() / 2]).unwrap();
    stdin.flush().unwrap();
    let log = Path::new(&copy).join("chain.log");
    let long = || fs::metadata(&log).map_or(0, |metadata| metadata.len());
    wait_until("some blocks are stored", PATIENCE, || long() > 50_000);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = user.info(&copy)["height"].as_u64().unwrap();
    assert!(before > 0 && before < u64::from(BLOCKS), "{before}");
    let said = user.succeeds(&["import", user.archive(), "--data-dir", &copy]);
    let left = u64::from(BLOCKS) - before;
    assert!(said.starts_with(&format!("{left} blocks imported, {before} were there already")), "{said}");
    assert_eq!(user.info(&copy)["tip"], user.info(user.dir())["tip"]);
}

#[test]
fn a_damaged_archive_is_good_up_to_the_damage() {
    let user = User::new();
    let length = fs::metadata(&user.archive).unwrap().len() as usize;
    let cut = user.altered("cut", |bytes| bytes.truncate(length / 2));
    let flipped = user.altered("flipped", |bytes| bytes[length / 2] ^= 1);
    for (path, what) in [(cut, "cut off in block "), (flipped, "damaged at block ")] {
        let copy = format!("{path}-copy");
        let said = user.fails(&["import", &path, "--data-dir", &copy]);
        let height: u64 = said.split(what).nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
        assert!(said.contains(", byte ") && said.contains(&format!("the {} blocks before it", height - 1)), "{said}");
        assert_eq!(user.info(&copy)["height"], height - 1, "{said}");
    }
    let other = user.altered("other", |bytes| *bytes = b"a letter".to_vec());
    assert!(user.fails(&["import", &other, "--data-dir", &user.path("x")]).contains("no archive"));
}

#[test]
fn an_archive_of_another_chain_is_refused_by_both_names() {
    let user = User::new();
    let other = Builder::default().start();
    let builder = other.builder_of().clone();
    drop(other);
    let dir = builder.dir().to_str().unwrap();
    let said = user.fails(&["import", user.archive(), "--data-dir", dir]);
    let theirs = user.info(user.dir())["chain"].as_str().unwrap()[..16].to_owned();
    let ours = user.info(dir)["chain"].as_str().unwrap()[..16].to_owned();
    assert!(said.contains(&theirs) && said.contains(&ours), "{said}");
    assert_eq!(user.info(dir)["height"], 0);
}
