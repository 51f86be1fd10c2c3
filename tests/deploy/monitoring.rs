//! Rules and dashboard, asked of a real Prometheus that watches two real nodes.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use bard_tests::{
    process::{Http, Node, PATIENCE, wait_for, wait_until},
    workspace::root,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Queries of the dashboard that need something to have happened that does not happen to two good nodes within seconds: they must be
/// valid, and may have nothing to tell.
const MAY_BE_SILENT: &[&str] =
    &["bard_peer_penalties_total", "bard_peer_bans_total", "bard_relay_blocks_rebuilt_total"];

fn prometheus_dir() -> std::path::PathBuf {
    root().join("deploy/prometheus")
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).current_dir(prometheus_dir()).output().expect("promtool");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(root().join("deploy/grafana/dashboard.json")).unwrap()).unwrap()
}

/// Title and expression of every query of the dashboard.
fn queries() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let of_panel = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.iter().map(|target| (title.clone(), target["expr"].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    panels.flat_map(of_panel).collect()
}

/// The names of our metrics in an expression, without the endings of the samples of a histogram.
fn names(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("bard_")).map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

/// The expressions of the alerts, as they are written in the file, each one line or folded.
fn alerts() -> Vec<(String, String)> {
    let text = fs::read_to_string(prometheus_dir().join("rules.yml")).unwrap();
    let of_alert = |block: &str| {
        let name = block.lines().next().unwrap().trim().to_owned();
        let (_, rest) = block.split_once("expr: ").unwrap();
        let (expression, _) =
            rest.split_once("\n        for:").or_else(|| rest.split_once("\n        labels:")).unwrap();
        let expression = expression.trim_start_matches(">-").split_whitespace().collect::<Vec<_>>().join(" ");
        (name, expression)
    };
    text.split("- alert: ").skip(1).map(of_alert).collect()
}

#[test]
fn every_metric_that_is_asked_for_is_documented() {
    let page = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let asked = queries().into_iter().chain(alerts());
    let asked: BTreeSet<_> = asked.flat_map(|(_, expression)| names(&expression)).collect();
    assert!(asked.len() > 20, "{asked:?}");
    let unknown: Vec<_> = asked.iter().filter(|name| !page.contains(&format!("| `{name}`"))).collect();
    assert!(unknown.is_empty(), "not in docs/metrics.md: {unknown:?}");
}

#[test]
fn every_alert_has_its_place_in_the_runbook_and_its_test() {
    let runbook = fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let rules = fs::read_to_string(prometheus_dir().join("rules.yml")).unwrap();
    let tests = fs::read_to_string(prometheus_dir().join("rules-test.yml")).unwrap();
    assert!(alerts().len() >= 9, "{:?}", alerts());
    for (alert, _) in alerts() {
        assert!(runbook.contains(&format!("\n### {alert}\n")), "{alert} is not in docs/runbook.md");
        assert!(rules.contains(&format!("runbook: docs/runbook.md#{}\n", alert.to_lowercase())), "{alert}");
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} is not in rules-test.yml");
    }
}

#[test]
#[ignore = "needs promtool; .ci/run deploy"]
fn promtool_finds_no_fault() {
    promtool(&["check", "config", "prometheus.yml"]);
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"]);
    promtool(&["test", "rules", "rules-test.yml"]);
}

/// A Prometheus that watches nodes.
struct Prometheus {
    child: Child,
    http: Http,
    _dir: TempDir,
}

impl Prometheus {
    fn start(nodes: &[&Node]) -> Self {
        let dir = TempDir::new().unwrap();
        let targets: Vec<_> = nodes.iter().map(|node| authority(node)).collect();
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [prometheus_dir().join("rules.yml")],
            "scrape_configs": [{ "job_name": "bard", "static_configs": [{ "targets": targets }] }],
        });
        // Whatever is JSON is YAML.
        fs::write(dir.path().join("prometheus.yml"), config.to_string()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .expect("prometheus");
        let prometheus = Self { child, http: Http::new(&format!("http://127.0.0.1:{port}")), _dir: dir };
        wait_until("Prometheus is ready", PATIENCE, || {
            prometheus.http.try_get("/-/ready").is_ok_and(|answer| answer.status == 200)
        });
        prometheus
    }

    /// What it says to an expression now; an error where it cannot be understood.
    fn ask(&self, expression: &str) -> Result<Vec<Value>, String> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.http.try_get(&format!("/api/v1/query?query={escaped}"))?.json();
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default()),
            _ => Err(answer["error"].to_string()),
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn authority(node: &Node) -> String {
    node.file().api.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

/// Lets two nodes do a little of everything: a fork that the second loses, payments, one that is refused, a peer.
fn lively() -> (Node, Node) {
    let (one, two) = (Node::start(), Node::start());
    two.mine(1);
    one.mine(3);
    two.post("/api/v1/peers", &json!({ "address": one.address() })).success();
    two.wait_for_same_tip(&one);
    one.pay("alice", "bob", 5);
    let poor = json!({ "from": "alice", "to": "bob", "amount": 999_999 });
    assert_eq!(one.post("/api/v1/wallet/transfer", &poor).status, 409);
    one.mine(1);
    two.wait_for_same_tip(&one);
    (one, two)
}

#[test]
#[ignore = "needs prometheus; .ci/run deploy"]
fn a_real_prometheus_answers_every_query_of_the_dashboard_and_of_the_alerts() {
    assert!(Path::new("/proc").is_dir());
    let (one, two) = lively();
    let prometheus = Prometheus::start(&[&one, &two]);
    // Rates need two figures.
    wait_until("two figures of both nodes", PATIENCE, || {
        prometheus.ask("min(count_over_time(bard_chain_height[1m])) >= 2").is_ok_and(|found| !found.is_empty())
    });
    one.mine(2);
    one.pay("alice", "bob", 1);
    let queries = queries();
    assert!(queries.len() > 25, "{queries:?}");
    for (title, expression) in queries {
        let here = expression.replace("$instance", ".*").replace("$__rate_interval", "1m");
        assert!(!here.contains('$'), "{title}: {here}");
        if MAY_BE_SILENT.iter().any(|name| here.contains(name)) {
            prometheus.ask(&here).unwrap_or_else(|error| panic!("{title}: {here}: {error}"));
            continue;
        }
        wait_for(&format!("data for {title}: {here}"), PATIENCE, || {
            let found = prometheus.ask(&here).unwrap_or_else(|error| panic!("{title}: {here}: {error}"));
            (!found.is_empty()).then_some(())
        });
    }
    for (name, expression) in alerts() {
        prometheus.ask(&expression).unwrap_or_else(|error| panic!("{name}: {expression}: {error}"));
    }
    let depths = prometheus.ask("max(bard_chain_reorg_blocks_count)").unwrap();
    assert_eq!(depths[0]["value"][1], json!("1"), "the fork that was lost is counted");
    the_rules_are_loaded(&prometheus);
    drop(two);
    // The rule waits for two minutes; its condition does not.
    wait_until("a node that is gone is noticed", PATIENCE, || {
        let state = prometheus.ask("ALERTS{alertname=\"BardDown\", alertstate=\"pending\"}");
        state.is_ok_and(|found| found.len() == 1)
    });
}

/// As many as are in the file, each evaluated without an error.
fn the_rules_are_loaded(prometheus: &Prometheus) {
    wait_until("every rule was evaluated", PATIENCE, || {
        let answer = prometheus.http.get("/api/v1/rules").success();
        let rules = answer["data"]["groups"][0]["rules"].as_array().cloned().unwrap_or_default();
        assert_eq!(rules.len(), alerts().len());
        rules.iter().all(|rule| rule["health"] == "ok")
    });
}
