//! `bard notarise`, `receipt`, `verify-receipt`: a file goes on record, and its receipt is checked where no node is.

use std::{fs, path::Path, process::Command};

use bard_chain::{presets, spec::ChainSpec};
use bard_tests::process::{Node, Run, bard};
use serde_json::Value;
use tempfile::TempDir;

fn directory() -> TempDir {
    TempDir::with_prefix("bard-test-").expect("a temporary directory")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn asked(node: &Node, words: &[&str]) -> Run {
    Run::new(words.iter().copied()).arg("--api").arg(&node.file().api)
}

/// The id in what `notarise` printed.
fn id_in(printed: &str) -> String {
    let id = printed.split_whitespace().find(|word| word.len() == 64 && !printed.starts_with(word));
    id.unwrap_or_else(|| panic!("no id in {printed}")).to_owned()
}

#[test]
fn a_file_goes_on_record_and_is_shown_to_be() {
    let (node, dir) = (Node::start(), directory());
    let (file, other, receipt) = (dir.path().join("a.txt"), dir.path().join("b.txt"), dir.path().join("a.receipt"));
    fs::write(&file, "hello\n").expect("written");
    fs::write(&other, "hullo\n").expect("written");
    let printed = asked(&node, &["notarise", text(&file)]).success();
    let digest = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    assert!(printed.starts_with(&format!("{digest}  ")), "as sha256sum prints it: {printed}");
    let id = id_in(&printed);
    let early = asked(&node, &["receipt", &id]).failure();
    assert!(early.contains("waits to be mined"), "{early}");
    node.mine(3);
    let again = asked(&node, &["notarise", text(&file)]).success();
    assert!(again.contains("on record already, in block 1") && again.contains(&id), "{again}");
    assert!(node.pool().is_empty(), "it is not put on record twice");
    let once_more: Value =
        serde_json::from_str(&asked(&node, &["notarise", text(&file), "--again", "--json"]).success()).expect("JSON");
    assert_eq!((once_more["already"].as_bool(), node.pool().len()), (Some(false), 1));
    let written = asked(&node, &["receipt", &id, "--out", text(&receipt)]).success();
    assert_eq!(written.trim(), text(&receipt));
    assert!(asked(&node, &["receipt", &id, "--out", text(&receipt)]).failure().contains("is there already"));
    let tip = node.tip();
    // The same up to a checkpoint, with less behind it.
    let bounded = dir.path().join("bounded.receipt");
    asked(&node, &["receipt", &id, "--until", "2", "--out", text(&bounded)]).success();
    let second = node.block_at(2).expect("mined");
    assert!(
        asked(&node, &["receipt", &id, "--until", "0", "-o", "-"]).failure().contains("is in block 1, after height 0")
    );
    assert!(asked(&node, &["receipt", &id, "--until", "9", "-o", "-"]).failure().contains("ends at height 3"));
    for (until, status) in [("2", 200), ("0", 409), ("9", 409), ("-1", 400), ("x", 400)] {
        let answer = node.get(&format!("/api/v1/transactions/{id}/receipt?until={until}"));
        assert_eq!(answer.status, status, "{until}: {}", answer.body);
    }
    drop(node);
    let against = |checkpoint: &str| Run::new(["verify-receipt", text(&bounded), "--checkpoint", checkpoint]);
    let shown = against(&format!("2:{second}")).success();
    assert!(shown.contains("with 2 blocks from it up to height 2."), "{shown}");
    assert!(shown.contains(&format!("Block {second} at height 2, which you know, is among its headers")), "{shown}");
    let longer = Run::new(["verify-receipt", text(&receipt), "--checkpoint", &format!("2:{second}")]).success();
    assert!(
        longer.contains("with 2 blocks from it up to height 2."),
        "what comes after it counts for nothing: {longer}"
    );
    for (checkpoint, part) in [(format!("1:{second}"), "at height 1 the receipt"), (format!("3:{tip}"), "at height 3")]
    {
        assert!(against(&checkpoint).failure().contains(part), "{checkpoint}");
    }
    let document: Value = serde_json::from_str(&against(&format!("2:{second}")).arg("--json").success()).expect("JSON");
    assert_eq!((document["last_height"].as_u64(), document["confirmations"].as_u64()), (Some(2), Some(2)));
    let verify = |words: &[&str]| Run::new([&["verify-receipt", text(&receipt)], words].concat());
    let shown = verify(&["--file", text(&file)]).success();
    for part in [&id, digest, "in block 1 ", "with 3 blocks", "The record is the SHA-256 digest of", "first block on"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(verify(&["--file", text(&other)]).failure().contains("neither the content"));
    verify(&["--known-block", &tip, "--chain", "dev"]).success();
    assert!(verify(&["--known-block", &id]).failure().contains("is not among those of the receipt"));
    let class = dir.path().join("class.toml");
    let spec = ChainSpec { name: "class".to_owned(), ..presets::dev() };
    fs::write(&class, spec.to_toml()).expect("written");
    assert!(verify(&["--chain", text(&class)]).failure().contains("not of class"));
    let document: Value = serde_json::from_str(&verify(&["--json"]).success()).expect("JSON");
    assert_eq!((document["valid"].as_bool(), document["confirmations"].as_u64()), (Some(true), Some(3)));
}

#[test]
fn what_is_no_receipt_says_so() {
    let (node, dir) = (Node::start(), directory());
    let receipt = dir.path().join("r");
    node.mine(1);
    let paid = node.pay("alice", "bob", 5);
    node.mine(1);
    asked(&node, &["receipt", &paid, "--short", "-o", text(&receipt)]).success();
    let verify = || Run::new(["verify-receipt", text(&receipt)]);
    let shown = verify().success();
    assert!(shown.contains("paid 5 to ") && shown.contains("compare that with a node you trust"), "{shown}");
    assert!(verify().arg("--file").arg(&receipt).failure().contains("is no record"));
    let mut bytes = fs::read(&receipt).expect("read");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&receipt, &bytes).expect("written");
    assert!(verify().failure().contains("the header of block 2"));
    fs::write(&receipt, "not one").expect("written");
    assert!(verify().failure().contains("not a receipt"));
    fs::remove_file(&receipt).expect("removed");
    assert!(verify().failure().contains("cannot read"));
    assert!(asked(&node, &["receipt", "12"]).failure().contains("64 hex digits"));
    assert!(asked(&node, &["receipt", &"0".repeat(64)]).failure().contains("is known"));
    assert!(asked(&node, &["notarise", "/nowhere/at/all"]).failure().contains("cannot read /nowhere/at/all"));
    let proof = node.get(&format!("/api/v1/transactions/{paid}/proof")).success();
    assert_eq!(
        (proof["index"].as_u64(), proof["size"].as_u64(), proof["header"]["height"].as_u64()),
        (Some(0), Some(1), Some(2))
    );
    assert_eq!(node.get(&format!("/api/v1/transactions/{paid}/receipt?headers=all")).status, 400);
}

/// A file that could not be written whole would be taken for a receipt, and stand in the way of the next try.
#[cfg(unix)]
#[test]
fn what_could_not_be_written_whole_is_not_there() {
    use std::os::unix::fs::PermissionsExt;

    let (node, dir) = (Node::start(), directory());
    let receipt = dir.path().join("a.receipt");
    let paid = node.pay("alice", "bob", 5);
    node.mine(1);
    // No file may be longer than one block of the shell's, and the process hears of it instead of being ended.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let arguments = ["receipt", &paid, "--out", text(&receipt), "--api", &node.file().api];
    let cut = Command::new("sh").args(["-c", script, "sh"]).arg(bard()).args(arguments).output().expect("started");
    let said = String::from_utf8_lossy(&cut.stderr).into_owned();
    assert_eq!(cut.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot write {}", receipt.display())), "{said}");
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0, "nothing is left");
    asked(&node, &["receipt", &paid, "--out", text(&receipt)]).success();
    Run::new(["verify-receipt", text(&receipt)]).success();
    let mode = fs::metadata(&receipt).expect("there").permissions().mode() & 0o777;
    let other = dir.path().join("other");
    fs::write(&other, "").expect("written");
    assert_eq!(mode, fs::metadata(&other).expect("there").permissions().mode() & 0o777, "to be read like any new file");
}
