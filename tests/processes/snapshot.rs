//! `bard chain snapshot` and `bard chain check-snapshot`.

use std::{fs, path::Path};

use bard_tests::process::{Ended, Node};
use serde_json::Value;

fn refused(ended: &Ended, part: &str) {
    assert_eq!(ended.code(), Some(1), "{}", ended.stdout);
    assert_eq!(ended.told().len(), 1, "{}", ended.stderr);
    assert!(ended.told()[0].contains(part), "{part:?} is not in {:?}", ended.told()[0]);
}

#[test]
fn a_snapshot_shows_the_state_of_a_chain_and_no_other_passes_for_it() {
    let builder = Node::builder();
    let mut node = builder.start();
    node.ask("request projector");
    node.pay("alice", "bob", 5);
    node.mine(20);
    let status = node.status();
    node.stop();

    let path = |name: &str| builder.home().join(name).to_str().unwrap().to_owned();
    let (file, dir) = (path("state.snapshot"), builder.dir().to_str().unwrap().to_owned());
    let check = |file: &str| builder.tool(&["chain", "check-snapshot", file, "--json"]);
    let write =
        |file: &str, more: &[&str]| builder.tool(&[&["chain", "snapshot", file, "--data-dir", &dir], more].concat());
    let written = write(&file, &[]);
    assert_eq!(written.code(), Some(0), "{}", written.stderr);
    assert!(
        written.stderr.contains("at height 20 written to") && written.stderr.contains(" 1 items"),
        "{}",
        written.stderr
    );
    let shown: Value = serde_json::from_str(&check(&file).stdout).unwrap();
    for field in ["height", "tip", "total_work", "state_root"] {
        assert_eq!(shown[field], status[field], "{field}");
    }
    assert_eq!(shown["items"], 1);
    let for_people = builder.tool(&["chain", "check-snapshot", &file]);
    assert!(
        for_people.stdout.starts_with("the state is the one that its header commits to: "),
        "{}",
        for_people.stdout
    );

    refused(&write(&file, &[]), "is there already");
    let again = write(&file, &["--force"]);
    assert_eq!(again.code(), Some(0), "{}", again.stderr);
    assert!(!Path::new(&format!("{file}.new")).exists());

    let whole = fs::read(&file).unwrap();
    let altered = path("altered.snapshot");
    for at in (0..whole.len()).step_by(whole.len() / 12) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&altered, &bytes).unwrap();
        refused(&check(&altered), "snapshot");
        fs::write(&altered, &whole[..at]).unwrap();
        refused(&check(&altered), "snapshot");
    }
    let archive = path("blocks.bard");
    builder.tool(&["chain", "export", &archive, "--data-dir", &dir]);
    refused(&check(&archive), "this is no snapshot of a chain");
    refused(&check(&path("nowhere")), "cannot read");
}
