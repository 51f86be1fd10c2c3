//! A node stops when it is told, whatever it is doing, and not before.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use bard_tests::process::{Node, PATIENCE, Stdin, holds_for, wait_until};

/// How long an ordered stop may take.
const IN_TIME: Duration = Duration::from_secs(5);

/// Asserts that a node that was told to stop does, as it should.
fn assert_stops(mut node: Node) {
    let status = node.wait_for_end(IN_TIME);
    assert_eq!(status.code(), Some(0), "{}", node.stderr().text());
    assert!(!node.file_path().exists(), "node.json is still there");
    assert!(!node.stderr().contains("panicked"), "{}", node.stderr().text());
}

#[test]
fn signals_stop_a_node_that_mines() {
    for signal in [Node::terminate, Node::interrupt] {
        let node = Node::builder().arg("--mine").start();
        node.type_line("mine 100000");
        wait_until("it mines", PATIENCE, || node.height() > 3);
        signal(&node);
        assert_stops(node);
    }
}

#[test]
fn a_signal_stops_a_node_that_catches_up() {
    let one = Node::start();
    one.mine(1_000);
    let two = Node::builder().bootstrap(one.address()).start();
    wait_until("it is on its way", PATIENCE, || two.height() > 0);
    two.terminate();
    let builder = two.builder_of().clone();
    assert_stops(two);
    let two = builder.start();
    two.wait_for_same_tip(&one);
}

#[test]
fn a_signal_stops_a_node_that_is_spoken_to() {
    let node = Node::start();
    let authority = node.file().api.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut slow = TcpStream::connect(&authority).unwrap();
    slow.write_all(b"POST /api/v1/mine HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
        .unwrap();
    let _silent = TcpStream::connect(&authority).unwrap();
    let http = node.http().clone();
    let mining = std::thread::spawn(move || http.try_post("/api/v1/mine", &serde_json::json!({ "blocks": 100_000 })));
    wait_until("it mines", PATIENCE, || node.height() > 3);
    node.terminate();
    assert_stops(node);
    // The one who waited is told, or cut off, but not left waiting.
    let _ = mining.join().unwrap();
}

#[test]
fn a_second_signal_is_obeyed_at_once() {
    let mut node = Node::start();
    let authority = node.file().api.trim_start_matches("http://").trim_end_matches('/').to_owned();
    // Someone who never finishes a request makes an ordered stop wait.
    let mut slow = TcpStream::connect(authority).unwrap();
    slow.write_all(b"POST /api/v1/mine HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
        .unwrap();
    node.height();
    node.terminate();
    let began = Instant::now();
    wait_until("it stops, or has", IN_TIME, || !node.is_running() || node.http().try_get("/healthz").is_err());
    if node.is_running() {
        node.terminate();
    }
    node.wait_for_end(IN_TIME);
    assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
}

#[test]
fn a_signal_stops_a_node_that_starts() {
    for delay in [0, 20, 40, 80] {
        let mut node = Node::builder().spawn();
        // There is no sign to wait for: any moment will do.
        std::thread::sleep(Duration::from_millis(delay));
        node.terminate();
        node.wait_for_end(IN_TIME);
        assert!(!node.builder_of().dir().join("node.json").exists());
    }
}

#[test]
fn quit_stops() {
    let node = Node::start();
    node.mine(1);
    node.type_line("quit");
    assert_stops(node);
}

#[test]
fn the_end_of_the_input_does_not_stop() {
    for stdin in [Stdin::Closed, Stdin::Null, Stdin::Pipe] {
        let mut node = Node::builder().stdin(stdin).start();
        if stdin == Stdin::Pipe {
            node.ask("status");
            node.type_bytes(b"stat");
            node.close_stdin();
        }
        holds_for("it runs on", Duration::from_millis(500), || node.is_running());
        node.mine(1);
        node.stop();
    }
}

#[test]
fn a_node_without_console_reads_nothing() {
    let mut node = Node::builder().arg("--no-console").start();
    node.type_line("quit");
    holds_for("it runs on", Duration::from_millis(500), || node.is_running());
    node.stop();
    assert!(node.stdout().is_empty(), "{}", node.stdout().text());
}

#[test]
fn a_node_whose_output_nobody_reads_goes_on() {
    use std::process::{Command, Stdio};
    let builder = Node::builder().arg("--mine").stdin(Stdin::Null);
    let mut child = Command::new(bard_tests::process::bard())
        .args(["node", "--port", "0", "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns", "--no-upnp", "--mine"])
        .arg("--data-dir")
        .arg(builder.dir())
        .env("HOME", builder.home())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let file = builder.dir().join("node.json");
    wait_until("it is ready", PATIENCE, || file.exists());
    holds_for("it runs on", Duration::from_secs(1), || child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}
