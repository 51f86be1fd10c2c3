//! A copy of a data directory that is made while the node runs, as docs/runbook.md says: another node goes on from it.

use std::{fs, path::Path, process::Command};

use bard_tests::process::{Builder, PATIENCE, wait_until};

/// The command of docs/runbook.md, for this directory.
fn back_up(dir: &Path, archive: &Path) {
    let page = fs::read_to_string(bard_tests::workspace::root().join("docs/runbook.md")).unwrap();
    let documented =
        page.lines().find(|line| line.starts_with("tar -C ~/.local/share/blockbard/dev-bfa08f42395c4cd3 ")).unwrap();
    let parent = dir.parent().unwrap().display().to_string();
    let name = dir.file_name().unwrap().to_string_lossy().into_owned();
    let here = documented.replace("~/.local/share/blockbard/dev-bfa08f42395c4cd3", &parent);
    let here = here.replace("backup.tar 5000", &format!("{} {name}", archive.display()));
    assert!(here.contains(&name) && here.contains(&parent), "{here}");
    let output = Command::new("sh").args(["-c", &here]).output().unwrap();
    // 1: a file changed while it was read, which is what it is about.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{here}: {said}");
}

#[test]
fn a_copy_of_a_node_that_mines_is_whole() {
    let builder = Builder::default();
    let node = builder.clone().arg("--mine").start();
    node.pay("alice", "bob", 5);
    wait_until("a chain", PATIENCE, || node.height() >= 3);
    let archive = builder.home().join("backup.tar");
    for round in 0..5 {
        let before = node.height();
        back_up(builder.dir(), &archive);
        let restored = builder.home().join(format!("restored-{round}"));
        fs::create_dir(&restored).unwrap();
        let unpacked =
            Command::new("tar").arg("-C").arg(&restored).args(["--strip-components=1", "-xf"]).arg(&archive).status();
        assert!(unpacked.unwrap().success());
        assert!(!restored.join("index.redb").exists() && restored.join("keystore.json").is_file());
        let verified = builder.tool(&["chain", "verify", "--data-dir", restored.to_str().unwrap()]);
        assert_eq!(verified.code(), Some(0), "{}", verified.stderr);
        let copy = Builder::default().data_dir(&restored).start();
        assert!(copy.height() >= before, "{} of {before}", copy.height());
        assert_eq!(copy.block_at(before), node.block_at(before));
        assert_eq!(copy.file().peer_id, node.file().peer_id, "name and keys go with it");
        wait_until("more blocks", PATIENCE, || node.height() > before + 1);
    }
}

/// The commands under "Restore" of docs/runbook.md but the last, which starts the node, done as typed where the archive is.
fn restore(user: &Builder) {
    let page = fs::read_to_string(bard_tests::workspace::root().join("docs/runbook.md")).unwrap();
    let commands = page.split("## Restore").nth(1).unwrap().split("```").nth(1).unwrap();
    let commands: Vec<_> = commands.lines().skip(1).collect();
    assert_eq!(commands.last(), Some(&"bard node --data-dir restored"));
    for command in &commands[..commands.len() - 1] {
        match command.strip_prefix("bard ") {
            Some(arguments) => {
                let done = user.tool(&arguments.split(' ').collect::<Vec<_>>());
                assert_eq!(done.code(), Some(0), "{command}: {}", done.stderr);
            }
            None => {
                let done = Command::new("sh").args(["-c", command]).current_dir(user.home()).status().unwrap();
                assert!(done.success(), "{command}");
            }
        }
    }
}

#[test]
fn a_closed_chain_of_one_s_own_comes_back_on_another_machine() {
    let founder = Builder::default();
    let made = founder.tool(&["chain", "new", "--name", "kiln", "--preset", "demo", "--closed"]);
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    let mut node = founder.default_data_dir().arg("--chain").arg("kiln").start();
    node.mine(2);
    let home = node.dir().parent().unwrap().to_owned();
    let secret = |dir: &Path| fs::read_to_string(dir.join("chain.secret")).unwrap();
    assert_eq!(secret(node.dir()), secret(&home));
    let elsewhere = Builder::default();
    back_up(node.dir(), &elsewhere.home().join("backup.tar"));
    restore(&elsewhere);
    let restored = elsewhere.home().join("restored");
    let info = elsewhere.tool(&["chain", "info", "--data-dir", "restored"]);
    assert!(info.code() == Some(0) && info.stdout.contains("kiln"), "{}{}", info.stdout, info.stderr);
    let other = elsewhere.tool(&["node", "--data-dir", "restored", "--chain", "dev"]);
    assert_eq!(other.told().len(), 1, "{}", other.stderr);
    assert!(other.stderr.contains("dev-") && other.stderr.contains("kiln-"), "{}", other.stderr);
    let (tip, peer_id) = (node.tip(), node.peer_id().to_owned());
    node.stop();
    let back = elsewhere.clone().data_dir(&restored).start();
    assert_eq!((back.tip(), back.peer_id(), back.file().chain.as_str()), (tip, peer_id.as_str(), "kiln"));
    // A secret that is replaced at home is the one that counts there.
    fs::write(home.join("chain.secret"), "00112233445566778899aabbccddeeff\n").unwrap();
    let again = node.builder_of().start();
    let copy = home.join(again.dir().file_name().unwrap());
    assert_eq!(secret(&copy).trim(), "00112233445566778899aabbccddeeff");
    assert_ne!(secret(back.dir()), secret(&copy));
}

#[test]
fn a_directory_that_moves_keeps_its_name_keys_and_chain() {
    let builder = Builder::default();
    let mut node = builder.start();
    node.mine(3);
    let (peer_id, tip) = (node.file().peer_id.clone(), node.tip());
    node.stop();
    let there = builder.home().join("moved");
    let copied = Command::new("cp").arg("-a").arg(builder.dir()).arg(&there).status().unwrap();
    assert!(copied.success());
    fs::remove_dir_all(builder.dir()).unwrap();
    let mut moved = builder.clone().data_dir(&there).start();
    assert_eq!((moved.file().peer_id.clone(), moved.tip()), (peer_id, tip));
    moved.stop();
    assert!(!moved.stderr().text().contains(" WARN "), "{}", moved.stderr().text());
}
