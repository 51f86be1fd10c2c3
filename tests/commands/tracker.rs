//! The tracker: every call that the replaced program had, and what it answers to mistakes.

use std::{io::Write, net::TcpStream};

use bard_tests::process::{Answer, PATIENCE, TrackerBuilder, TrackerProcess, wait_until};
use serde_json::{Value, json};

const PEER: &str = "12D3KooWSJgjtp4T8jtCzMsdDx4QMgL68vnbtsRAcwY2HtFaKGBY";
const ONE: &str = "http://127.0.0.1:5501";
const TWO: &str = "http://127.0.0.1:5502";

fn post(tracker: &TrackerProcess, path: &str, body: &Value) -> Answer {
    tracker.http().post(path, body)
}

fn peers(tracker: &TrackerProcess) -> Value {
    tracker.http().get("/peers").success()["peers"].clone()
}

/// Sends a request as it stands and returns its status and body.
fn raw(tracker: &TrackerProcess, head: &str, body: &str) -> (u16, String) {
    let request =
        format!("{head}\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    parse(&tracker.http().raw(request.as_bytes()))
}

fn parse(answer: &str) -> (u16, String) {
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status.unwrap_or_else(|| panic!("no status in {answer:?}")), body.unwrap_or_default())
}

#[test]
fn peers_register_are_listed_and_leave() {
    let tracker = TrackerBuilder::default().start();
    let about = tracker.http().get("/").success();
    assert_eq!((&about["service"], &about["status"]), (&json!("BlockBard Tracker"), &json!("ok")));
    assert_eq!((&about["peer_count"], &about["peer_id"]), (&json!(0), &json!(tracker.file().peer_id)));
    assert_eq!(about["multiaddrs"], json!(tracker.file().listen));
    let endpoints = about["endpoints"].as_array().unwrap();
    let call = |one: &Value| format!("{} {}", one["method"].as_str().unwrap(), one["path"].as_str().unwrap());
    let calls: Vec<_> = endpoints.iter().map(call).collect();
    assert_eq!(calls, ["GET /", "GET /peers", "POST /register", "POST /unregister"]);
    assert!(endpoints.iter().all(|one| one["description"].is_string()), "{about}");

    assert_eq!(tracker.http().get("/peers").body, r#"{"nodes":[],"peers":[]}"#);
    let first = post(&tracker, "/register", &json!({ "address": ONE })).success();
    assert_eq!((&first["message"], &first["peers"]), (&json!("Registration successful"), &json!([ONE])));
    assert_eq!(first["ttl_s"], 180);
    let second = post(&tracker, "/register", &json!({ "address": "http://0.0.0.0:5502" })).success();
    assert_eq!(second["peers"], json!([ONE, TWO]), "as it can be reached");
    post(&tracker, "/register", &json!({ "address": ONE })).success();
    assert_eq!(peers(&tracker), json!([ONE, TWO]), "once");
    assert_eq!(tracker.http().get("/").success()["peer_count"], 2);

    let gone = post(&tracker, "/unregister", &json!({ "address": "http://0.0.0.0:5502" }));
    assert_eq!(gone.body, format!(r#"{{"message":"Unregistration successful","peers":["{ONE}"]}}"#));
    let unknown = post(&tracker, "/unregister", &json!({ "address": "http://nowhere:1" }));
    assert_eq!((unknown.status, unknown.body), (200, gone.body));
}

#[test]
fn nodes_tell_more_and_are_found_by_chain() {
    let tracker = TrackerBuilder::default().start();
    let (ours, other) = ("a".repeat(64), "B".repeat(64));
    let address = format!("/ip4/0.0.0.0/tcp/6000/p2p/{PEER}");
    let told = json!({ "address": ONE, "addresses": [address, address], "chain": ours });
    post(&tracker, "/register", &told).success();
    let answer = post(&tracker, "/register", &json!({ "address": TWO, "chain": other })).success();
    assert_eq!(answer["peers"], json!([TWO]), "of its chain");
    post(&tracker, "/register", &json!({ "address": "host:1" })).success();
    let found = tracker.http().get(&format!("/peers?chain={ours}")).success();
    assert_eq!(found["peers"], json!([ONE]));
    let node = &found["nodes"][0];
    assert_eq!(node["addresses"], json!([format!("/ip4/127.0.0.1/tcp/6000/p2p/{PEER}")]));
    assert_eq!((&node["address"], &node["chain"]), (&json!(ONE), &json!(ours)));
    assert!((170..=180).contains(&node["expires_in_s"].as_u64().unwrap()), "{node}");
    assert_eq!(peers(&tracker).as_array().unwrap().len(), 3);
}

#[test]
fn what_cannot_be_understood_is_refused_with_a_reason() {
    let tracker = TrackerBuilder::default().start();
    let json_head = "POST /register HTTP/1.1\r\nContent-Type: application/json";
    let required = r#"{"error":"Peer address required"}"#.to_owned();
    for body in ["{}", r#"{"address": null}"#, r#"{"address": ""}"#] {
        assert_eq!(raw(&tracker, json_head, body), (400, required.clone()), "{body}");
    }
    let deep = "[".repeat(10_000);
    let nine = json!({ "address": ONE, "addresses": vec![format!("/ip4/10.0.0.1/tcp/1/p2p/{PEER}"); 9] }).to_string();
    for (body, reason) in [
        ("", "not JSON"),
        ("{", "not JSON"),
        (deep.as_str(), "not JSON"),
        ("[]", "object"),
        ("null", "object"),
        (r#"{"address": 7}"#, "address"),
        (r#"{"address": "moon"}"#, "address"),
        (r#"{"address": "http://a:1\n"}"#, "address"),
        (r#"{"address": "a:1", "chain": "x"}"#, "chain"),
        (r#"{"address": "a:1", "addresses": "x"}"#, "addresses"),
        (r#"{"address": "a:1", "addresses": ["/ip4/10.0.0.1/tcp/1"]}"#, "addresses"),
        (nine.as_str(), "at most 8"),
    ] {
        for path in ["/register", "/unregister"] {
            let head = format!("POST {path} HTTP/1.1\r\nContent-Type: application/json");
            let (status, answer) = raw(&tracker, &head, body);
            let error: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
            assert_eq!(status, 400, "{body:.40}");
            assert!(error["error"].as_str().unwrap().contains(reason), "{body:.40}: {answer}");
        }
    }
    assert_eq!(raw(&tracker, "POST /register HTTP/1.1", r#"{"address": "a:1"}"#).0, 400, "no content type");
    assert_eq!(raw(&tracker, "POST /register HTTP/1.1\r\nContent-Type: text/plain", "{}").0, 400);
    assert_eq!(raw(&tracker, json_head, &" ".repeat((16 << 10) + 1)).0, 413);
    assert_eq!(raw(&tracker, "DELETE /peers HTTP/1.1", "").0, 405);
    assert_eq!(raw(&tracker, "GET /register HTTP/1.1", "").0, 405);
    assert_eq!(raw(&tracker, "GET /nowhere HTTP/1.1", "").0, 404);
    assert_eq!(raw(&tracker, "GET /peers?chain=x HTTP/1.1", "").0, 400);
    let announced = "POST /register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(parse(&tracker.http().raw(announced.as_bytes())).0, 413);
    let _ = tracker.http().raw(&[0xff; 5000]);
    assert_eq!(peers(&tracker), json!([]), "nobody was registered");
}

#[test]
fn a_page_of_another_site_registers_nobody() {
    let send = |tracker: &TrackerProcess, line: &str, headers: &str| {
        let body = if line.starts_with("POST") { format!(r#"{{"address": "{ONE}"}}"#) } else { String::new() };
        let request = format!(
            "{line} HTTP/1.1\r\n{headers}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        parse(&tracker.http().raw(request.as_bytes())).0
    };
    let tracker = TrackerBuilder::default().start();
    let own = format!("Host: {}", tracker.authority());
    post(&tracker, "/register", &json!({ "address": ONE })).success();
    for line in ["GET /", "GET /peers", "POST /register", "POST /unregister"] {
        for host in ["Host: evil.example", "Host: evil.example:5500", "X-Host: none"] {
            assert_eq!(send(&tracker, line, host), 403, "{line} {host}");
        }
    }
    for from in
        ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Referer: http://evil.example/"]
    {
        for line in ["POST /register", "POST /unregister"] {
            assert_eq!(send(&tracker, line, &format!("{own}\r\n{from}")), 403, "{line} {from}");
        }
        assert_eq!(send(&tracker, "GET /peers", &format!("{own}\r\n{from}")), 200, "who only looks changes nothing");
    }
    assert_eq!(peers(&tracker), json!([ONE]), "nobody was taken off");
    let same = format!("{own}\r\nOrigin: http://{}", tracker.authority());
    assert_eq!((send(&tracker, "POST /unregister", &same), peers(&tracker)), (200, json!([])));

    // Whoever is to be reached by others has a name that it does not know.
    let open = TrackerBuilder::default().arg("--host").arg("0.0.0.0").start();
    assert_eq!(send(&open, "POST /register", "Host: tracker.example"), 200);
    assert_eq!(send(&open, "POST /register", "Host: tracker.example\r\nOrigin: http://evil.example"), 403);
}

#[test]
fn those_who_hold_connections_keep_nobody_out() {
    let mut tracker = TrackerBuilder::default().start();
    let slow = |_| {
        let mut stream = TcpStream::connect(tracker.authority()).unwrap();
        stream.write_all(b"POST /register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n").unwrap();
        stream
    };
    let streams: Vec<TcpStream> = (0..300).map(slow).collect();
    post(&tracker, "/register", &json!({ "address": ONE })).success();
    assert_eq!(peers(&tracker), json!([ONE]));
    tracker.stop();
    drop(streams);
}

#[test]
fn it_says_where_it_is_and_stops_when_told() {
    let builder = TrackerBuilder::default().arg("--listen").arg("/ip4/127.0.0.1/udp/0/quic-v1");
    let mut tracker = builder.start();
    let file = tracker.file().clone();
    assert_eq!((file.chain.as_str(), file.version.as_str()), ("dev", env!("CARGO_PKG_VERSION")));
    assert!(file.listen.iter().all(|address| address.ends_with(&format!("/quic-v1/p2p/{}", file.peer_id))), "{file:?}");
    // The line comes after the file.
    let ready = || tracker.stderr().text().lines().filter(|line| line.contains(" ready ")).count();
    wait_until("it says that it is ready", PATIENCE, || ready() > 0);
    assert_eq!(ready(), 1, "{}", tracker.stderr().text());
    tracker.stop();
    assert!(!tracker.file_path().exists());

    let mut again = builder.start();
    assert_eq!(again.file().peer_id, file.peer_id, "it is who it was");
    again.kill9();
    assert!(again.file_path().exists());
    assert_eq!(builder.start().file().peer_id, file.peer_id, "also after a crash");
}

#[test]
fn what_keeps_it_from_starting_is_said_in_one_line() {
    let tracker = TrackerBuilder::default().start();
    let port = tracker.authority().rsplit(':').next().unwrap().to_owned();
    let fails = |builder: &TrackerBuilder, parts: &[&str]| {
        let ended = builder.run();
        assert_eq!((ended.code(), ended.told().len()), (Some(1), 1), "{}", ended.stderr);
        for part in parts {
            assert!(ended.told()[0].starts_with("error: ") && ended.told()[0].contains(part), "{}", ended.stderr);
        }
    };
    fails(
        &TrackerBuilder::default().arg("--port").arg(&port),
        &[&format!("port {port} is taken by another program: try --port ")],
    );
    let address = tracker.file().listen[0].split("/p2p/").next().unwrap().to_owned();
    fails(&TrackerBuilder::default().arg("--listen").arg(&address), &[&address, "already in use"]);
    fails(&TrackerBuilder::default().arg("--chain").arg("moon"), &["--chain moon"]);
    let dir = tracker.file_path().parent().unwrap().to_str().unwrap().to_owned();
    let builder = TrackerBuilder::default();
    let file = builder.home().join("tracker.toml");
    std::fs::write(&file, "mine = true\n").unwrap();
    let builder = builder.arg("--config").arg(file.to_str().unwrap());
    fails(&builder, &["mine is not an option of bard tracker"]);
    std::fs::write(&file, "chain = 'dev'\nexternal-address = ['/ip4/192.0.2.1/tcp/1']\nlog = 'info'\n").unwrap();
    drop(builder.start());
    let same = bard_tests::process::run(&["tracker", "--port", "0", "--data-dir", &dir]);
    assert!(same.told()[0].contains("is in use"), "{}", same.stderr);
}
