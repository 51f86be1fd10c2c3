//! Completion, hints, news, other sizes, the menu.

use crate::screen::{CTRL_C, ENTER, Person, RIGHT, TAB};

#[test]
fn tab_completes_commands_names_and_items() {
    let node = Person::new().node();
    let terminal = &node.terminal;
    terminal.type_keys(&format!("stat{TAB}"));
    terminal.wait_for_line("bard> status");
    terminal.type_keys(ENTER);
    terminal.wait_for("chain is valid");
    terminal.command("wallet new zebedee");
    terminal.command("request ladder --as alice");
    terminal.command("mine");
    // What completion knows is asked for beside the conversation, so it may take a moment.
    for (typed, completed) in [
        ("balance zeb", "bard> balance zebedee"),
        ("send ali", "bard> send alice"),
        ("release lad", "bard> release ladder"),
        ("item la", "bard> item ladder"),
        ("wallet ne", "bard> wallet new"),
        ("items res", "bard> items reserved"),
        ("send alice bob 5 --f", "bard> send alice bob 5 --fee"),
    ] {
        terminal.wait_for_prompt();
        terminal.type_keys(typed);
        terminal.complete_to(completed);
        // Ctrl-U takes the line away.
        terminal.type_keys("\x15");
    }
    node.stop();
}

#[test]
fn two_tabs_list_what_fits() {
    let node = Person::new().node();
    node.terminal.type_keys("re");
    node.terminal.wait_for_line("bard> re");
    node.terminal.type_keys(TAB);
    node.terminal.type_keys(TAB);
    node.terminal.wait("all four are listed", |terminal| {
        ["receipt", "record", "release", "request"].iter().all(|word| terminal.text().contains(word))
    });
    node.terminal.wait_for_line("bard> re");
    node.stop();
}

#[test]
fn the_rest_of_the_usage_is_shown_dim() {
    let node = Person::new().node();
    let terminal = &node.terminal;
    let hinted =
        |hint: &str| terminal.wait(&format!("the hint {hint:?}"), |terminal| terminal.hint().trim_end() == hint);
    terminal.type_keys("sen");
    hinted("d [FROM] TO AMOUNT [--fee FEE]");
    terminal.type_keys(RIGHT);
    terminal.wait_for_line("bard> send");
    terminal.type_keys(" alice ");
    hinted("TO AMOUNT [--fee FEE]");
    terminal.type_keys("bob 5");
    hinted(" [--fee FEE]");
    terminal.type_keys(ENTER);
    terminal.wait_for("alice pays bob 5");
    assert!(!terminal.text().contains("5 [--fee"), "what was not typed is not left there:\n{}", terminal.text());
    node.stop();
}

#[test]
fn what_was_typed_before_is_hinted_at() {
    let node = Person::new().node();
    let terminal = &node.terminal;
    terminal.command("record the kiln is clean");
    terminal.wait_for_prompt();
    terminal.type_keys("record the k");
    terminal.wait("the line before", |terminal| terminal.hint().trim_end() == "iln is clean");
    node.stop();
}

#[test]
fn news_come_above_the_line_that_is_typed() {
    let node = Person::new().node();
    let terminal = &node.terminal;
    terminal.type_keys("balance ali");
    terminal.wait_for_line("bard> balance ali");
    for height in 1..=5 {
        node.mine();
        terminal.wait_for(&format!("* block {height} "));
        terminal.wait_for_line("bard> balance ali");
    }
    terminal.type_keys("ce");
    terminal.type_keys(ENTER);
    terminal.wait("alice's balance", |terminal| {
        terminal.text().lines().any(|line| line.starts_with("alice bard1") && line.ends_with(" 250000"))
    });
    let typed = terminal.text().lines().filter(|line| line.starts_with("bard> balance")).count();
    assert_eq!(typed, 1, "the line is there once:\n{}", terminal.text());
    node.stop();
}

#[test]
fn many_news_hold_up_neither_console_nor_node() {
    let node = Person::new().node();
    let terminal = &node.terminal;
    terminal.command("mine on");
    for round in 0..10 {
        terminal.type_keys(&format!("record round {round}"));
        terminal.type_keys(ENTER);
        terminal.wait_for(&format!("records \"round {round}\""));
    }
    terminal.type_keys("mine off");
    terminal.type_keys(ENTER);
    terminal.wait_for("mining is off");
    let height = node.height();
    terminal.wait_for(&format!("* block {height} "));
    node.stop();
}

#[test]
fn log_lines_come_above_the_line_that_is_typed() {
    let node = Person::new().node_with(&["--log", "bard_node=trace"]);
    let terminal = &node.terminal;
    terminal.type_keys("balance ali");
    terminal.wait_for_line("bard> balance ali");
    let lines = || terminal.text().lines().filter(|line| line.contains("TRACE") || line.contains("DEBUG")).count();
    let before = lines();
    terminal.wait("a line of the log", |_| {
        node.mine();
        lines() > before
    });
    terminal.wait_for_line("bard> balance ali");
    let spoiled = terminal.text().lines().any(|line| line.starts_with("bard> balance ali") && line.contains("20"));
    assert!(!spoiled, "{}", terminal.text());
    node.stop();
}

#[test]
fn what_is_typed_while_an_answer_is_awaited_is_not_lost() {
    let node = Person::new().node();
    let terminal = &node.terminal;
    terminal.type_keys("mine 500");
    terminal.type_keys(ENTER);
    // So many news run over the screen that what comes is looked for in all that was written.
    terminal.wait("the first blocks", |terminal| terminal.bytes().contains("* block 2 "));
    for text in ["ahead", "again", "at last"] {
        terminal.type_keys(&format!("record {text}"));
        terminal.wait("the terminal shows it", |terminal| terminal.bytes().contains(&format!("record {text}")));
        terminal.type_keys(ENTER);
    }
    for text in ["ahead", "again", "at last"] {
        terminal.wait(&format!("{text} is on record"), |terminal| {
            terminal.bytes().contains(&format!("bard> record {text}"))
                && terminal.bytes().contains(&format!("records \"{text}\""))
        });
    }
    node.stop();
}

#[test]
fn another_size_spoils_nothing() {
    let node = Person::new().node();
    let terminal = &node.terminal;
    let text = "the quick brown fox jumps over the lazy dog";
    terminal.type_keys(&format!("record {text}"));
    terminal.wait_for_line(&format!("bard> record {text}"));
    terminal.resize(30, 90);
    terminal.type_keys(" and");
    terminal.wait_for_line(&format!("bard> record {text} and"));
    terminal.resize(24, 40);
    terminal.type_keys(" sleeps");
    terminal.wait("the end of the line", |terminal| terminal.before_cursor().ends_with("sleeps"));
    terminal.resize(40, 120);
    terminal.type_keys(ENTER);
    terminal.wait_for(&format!("records \"{text} and sleeps\""));
    node.stop();
}

#[test]
fn what_is_pasted_may_be_several_lines() {
    let node = Person::new().node();
    let terminal = &node.terminal;
    terminal.type_keys("\x1b[200~record one\nrecord two\nrecord three\x1b[201~");
    terminal.wait_for("record three");
    terminal.type_keys(ENTER);
    for text in ["one", "two", "three"] {
        terminal.wait_for(&format!("records \"{text}\""));
    }
    node.stop();
}

#[test]
fn a_number_of_the_menu_asks_and_does_it() {
    let node = Person::new().node();
    let terminal = &node.terminal;
    terminal.command("menu");
    terminal.wait_for(" 1  request (single)");
    terminal.type_keys("1");
    terminal.type_keys(ENTER);
    terminal.wait_for_line("item ID to request:");
    terminal.type_keys("lamp");
    terminal.type_keys(ENTER);
    terminal.wait_for("requests lamp");
    terminal.wait_for("mined block 1 ");
    terminal.wait_for_prompt();
    terminal.type_keys("3");
    terminal.type_keys(ENTER);
    terminal.wait_for("lamp  held by me");
    terminal.wait_for_prompt();
    terminal.type_keys("2");
    terminal.type_keys(ENTER);
    terminal.wait_for_line("item ID to release:");
    terminal.type_keys("la");
    terminal.complete_to("item ID to release: lamp");
    terminal.type_keys(ENTER);
    terminal.wait_for("releases lamp");
    terminal.wait_for("mined block 2 ");
    terminal.wait_for_prompt();
    terminal.type_keys("6");
    terminal.type_keys(ENTER);
    terminal.wait_for_line("peer host (e.g. localhost):");
    terminal.type_keys("localhost");
    terminal.type_keys(ENTER);
    terminal.wait_for_line("peer port (e.g. 6001):");
    // Ctrl-C leaves the question, not the node.
    terminal.type_keys(CTRL_C);
    terminal.wait_for_prompt();
    assert_eq!(node.height(), 2);
    node.stop();
}
