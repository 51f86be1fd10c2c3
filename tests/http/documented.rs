//! The documented clients, run as they stand in `docs/clients.md`.

use std::process::{Command, Output};

use bard_tests::{
    documents::{Block, blocks},
    process::Node,
};
use tempfile::TempDir;

/// All these blocks of code, in their order, for this node.
fn here(found: Vec<Block>, node: &Node) -> Vec<String> {
    let here = node.file().api.trim_end_matches('/');
    let all: Vec<_> = found.into_iter().map(|block| block.text.replace("http://127.0.0.1:5000", here)).collect();
    assert!(all.len() > 3, "{} blocks", all.len());
    all
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let directory = TempDir::new().expect("a directory");
    // A clone needs only Rust; where the program is missing, there is nobody to run it.
    let Output { status, stdout, stderr } =
        Command::new(program).args(arguments).current_dir(directory.path()).output().ok()?;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{program}: {status}\n{stdout}\n{stderr}");
    Some(stdout)
}

#[test]
fn documented_with_curl() {
    let node = Node::start();
    let script = format!("set -eu\n{}", here(blocks("docs/clients.md", "sh"), &node).join("\n"));
    if run("curl", &["--version"]).is_none() || run("python3", &["--version"]).is_none() {
        return;
    }
    let Some(said) = run("bash", &["-c", &script]) else { return };
    assert_eq!(node.height(), 2, "{said}");
    assert!(said.contains("\"height\":1") && said.contains("\"text\":\"hello\""), "{said}");
    assert!(said.contains("400 application/problem+json") && said.contains("amount: "), "{said}");
}

#[test]
fn documented_with_python() {
    let node = Node::start();
    let program = here(blocks("docs/clients.md", "python"), &node).join("\n");
    let Some(said) = run("python3", &["-c", &program]) else { return };
    for line in
        ["height 0", "confirmed in block 1", "missed nothing: [2, 3]", "ready", "mined in block 4", "once is enough: "]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(node.height(), 4);
}
