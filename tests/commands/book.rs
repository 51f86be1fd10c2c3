//! Every command of the pages in `docs/` that stands in a block of `console`, run as it is typed, and the lesson, walked through on three nodes.

use std::{collections::BTreeMap, fs};

use bard_tests::{
    documents::{Block, all_blocks, blocks},
    process::{Builder, Node, PATIENCE, wait_until},
    workspace::root,
};

use crate::documented::Workshop;

/// Who types in the lesson.
const CLASS: [&str; 3] = ["teacher", "ada", "ben"];

fn pages() -> Vec<String> {
    let names = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> =
        names.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".md")).collect();
    names.sort();
    names
}

#[test]
fn the_commands_of_the_book_do_as_they_are_typed() {
    let mut seen = 0;
    for page in pages() {
        let mut commands = all_blocks(&format!("docs/{page}"));
        commands.retain(|block| block.language == "console");
        if commands.is_empty() {
            continue;
        }
        let workshop = Workshop::open();
        seen += commands.iter().map(|block| workshop.run_block(&block.text)).sum::<usize>();
    }
    assert!(seen > 25, "{seen} lines");
}

/// The class of the lesson, on the chain that the lesson makes.
fn class() -> BTreeMap<&'static str, Node> {
    // Where this user's nodes are looked for, whatever their ports.
    let builder = Builder::default();
    let dir = builder.home().join("share/blockbard/lesson/5000");
    fs::create_dir_all(&dir).unwrap();
    let builder = builder.data_dir(&dir);
    let commands: Vec<_> = blocks("docs/lesson.md", "sh").iter().flat_map(Block::lines).collect();
    let [made, started, invited, joined] = &*commands else {
        panic!("not the four commands of a lesson: {commands:?}")
    };
    assert_eq!((&**started, &**joined), ("bard node --chain lesson", "bard join LINK"));
    let tool = |line: &str, further: &[&str]| {
        let words: Vec<_> = line.strip_prefix("bard ").unwrap().split(' ').chain(further.iter().copied()).collect();
        let ended = builder.tool(&words);
        assert_eq!(ended.code(), Some(0), "{line}: {}", ended.stderr);
        ended.stdout
    };
    tool(made, &["--data-dir", dir.to_str().unwrap()]);
    let teacher = builder.clone().arg("--chain").arg("lesson").start();
    let link = tool(invited, &[]).trim().to_owned();
    let pupil = || Builder::default().join(&link).bootstrap(teacher.address()).start();
    let (ada, ben) = (pupil(), pupil());
    let class: BTreeMap<_, _> = CLASS.into_iter().zip([teacher, ada, ben]).collect();
    for node in class.values() {
        node.wait_for_peers(2);
    }
    class
}

fn address(node: &Node) -> String {
    node.get("/api/v1/accounts/me").success()["address"].as_str().unwrap().to_owned()
}

/// What somebody says who reads the line, once it holds for all: the same list, and the same things waiting.
fn all_agree(class: &BTreeMap<&str, Node>) {
    wait_until("all have the same", PATIENCE, || {
        let states = class.values().map(|node| {
            let mut pool = node.pool();
            pool.sort();
            (node.tip(), pool)
        });
        let states: Vec<_> = states.collect();
        states.windows(2).all(|two| two[0] == two[1])
    });
}

#[test]
fn the_lesson_does_as_it_is_typed() {
    let mut class = class();
    let (ada, ben) = (address(&class["ada"]), address(&class["ben"]));
    let mut refusals = 0;
    for line in blocks("docs/lesson.md", "text").iter().flat_map(Block::lines) {
        let (who, rest) = line.split_once("> ").unwrap_or_else(|| panic!("{line}: nobody types it"));
        let (typed, remark) = rest.split_once("  ").unwrap_or((rest, ""));
        let typed = typed.replace("ADA", &ada).replace("BEN", &ben);
        if typed == "quit" {
            let mut node = class.remove(who).unwrap_or_else(|| panic!("{who} is gone already"));
            node.type_line("quit");
            assert_eq!(node.wait_for_end(PATIENCE).code(), Some(0), "{line}");
            continue;
        }
        let answer = class[who].ask(&typed).join("\n");
        let refused = answer.contains("error:");
        assert_eq!(refused, remark.trim_start().starts_with("refused"), "{line}: {answer}");
        refusals += u32::from(refused);
        all_agree(&class);
    }
    assert!(class.is_empty() && refusals == 2, "{refusals}");
}

#[test]
fn the_lesson_says_what_comes_out() {
    let text = fs::read_to_string(root().join("docs/lesson.md")).unwrap();
    let minutes = text
        .lines()
        .filter_map(|line| line.strip_prefix("## ")?.split_once('(')?.1.split(' ').next()?.parse::<u32>().ok());
    assert_eq!(minutes.sum::<u32>(), 45, "a lesson has 45 minutes");
}
