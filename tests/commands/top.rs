//! `bard top`: a dashboard on a terminal, and one picture where there is none.

use std::{
    io::{Read, Write},
    num::NonZero,
    sync::{Arc, Mutex},
};

use bard_tests::process::{Node, PATIENCE, bard, run, wait_until};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

#[test]
fn one_picture_is_plain_text() {
    let node = Node::start();
    let other = Node::builder().bootstrap(node.address()).start();
    other.wait_for_peers(1);
    other.mine(2);
    let ended = run(&["top", "--once", "--api", &other.file().api]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for part in ["height     2,", &other.tip(), "1 by bootstrap", "last blocks", "this machine only"] {
        assert!(ended.stdout.contains(part), "{part:?} is not in {}", ended.stdout);
    }
    assert!(!ended.stdout.contains('\u{1b}'));
}

#[test]
fn without_a_terminal_or_a_node_it_says_so() {
    let node = Node::start();
    for (arguments, part) in [
        (["top", "--interval", "1", "--api", &node.file().api], "--once"),
        (["top", "--once", "--interval=1", "--api", "http://127.0.0.1:1/"], "no node answers"),
    ] {
        let ended = run(&arguments);
        assert_eq!((ended.code(), ended.told().len()), (Some(1), 1), "{ended:?}");
        assert!(ended.stderr.contains(part), "{ended:?}");
    }
}

#[test]
fn it_follows_the_node_and_gives_the_terminal_back() {
    let mut node = Node::start();
    let api = node.file().api.clone();
    let size = |rows, cols| PtySize { rows, cols, ..PtySize::default() };
    let cells = |count| NonZero::new(count).unwrap();
    let terminal = native_pty_system().openpty(size(40, 120)).unwrap();
    let mut command = CommandBuilder::new(bard());
    command.args(["top", "--api", &api]);
    command.env("TERM", "xterm-256color");
    let mut child = terminal.slave.spawn_command(command).unwrap();
    drop(terminal.slave);
    let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(40), cells(120), 0)));
    let drawn = Arc::clone(&screen);
    let mut reader = terminal.master.try_clone_reader().unwrap();
    let reading = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        // The end of the terminal is an error, after all was read.
        while let Ok(length @ 1..) = reader.read(&mut bytes) {
            drawn.lock().unwrap().process(&bytes[..length]);
        }
    });
    let shows = |part: &str| {
        wait_until(part, PATIENCE, || screen.lock().unwrap().screen().contents().contains(part));
    };
    // What is drawn for the new size is read with the new size.
    let resize = |rows, columns| {
        let mut screen = screen.lock().unwrap();
        terminal.master.resize(size(rows, columns)).unwrap();
        screen.screen_mut().set_size(cells(rows), cells(columns));
    };
    shows("height     0,");
    assert!(screen.lock().unwrap().screen().alternate_screen());
    node.mine(3);
    shows("height     3,");
    shows("news");
    // Smaller than everything that could be shown.
    resize(12, 50);
    node.mine(1);
    shows("height     4,");
    resize(40, 120);
    node.stop();
    shows("lost: ");
    let port = api.trim_end_matches('/').rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let node = node.builder_of().clone().port(port).start();
    shows("bard 0.1.0 at");
    node.mine(1);
    shows("height     5,");
    terminal.master.take_writer().unwrap().write_all(b"q").unwrap();
    assert!(child.wait().unwrap().success());
    drop(terminal.master);
    reading.join().unwrap();
    assert!(!screen.lock().unwrap().screen().alternate_screen(), "the terminal is as it was");
}
