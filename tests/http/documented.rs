//! The documented clients, run as they stand in `docs/clients.md`.

use std::{
    fs,
    process::{Command, Output},
};

use bard_tests::{process::Node, workspace::root};
use tempfile::TempDir;

/// All blocks of code of one language, in their order, for this node.
fn blocks(language: &str, node: &Node) -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/clients.md")).expect("a page");
    let begin = format!("```{language}\n");
    let found = page.split(&begin).skip(1).filter_map(|rest| rest.split("```").next());
    let here = node.file().api.trim_end_matches('/');
    let all: Vec<_> = found.map(|code| code.replace("http://127.0.0.1:5000", here)).collect();
    assert!(all.len() > 3, "{language}: {} blocks", all.len());
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
    let script = format!("set -eu\n{}", blocks("sh", &node).join("\n"));
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
    let program = blocks("python", &node).join("\n");
    let Some(said) = run("python3", &["-c", &program]) else { return };
    for line in
        ["height 0", "confirmed in block 1", "missed nothing: [2, 3]", "ready", "mined in block 4", "once is enough: "]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(node.height(), 4);
}
