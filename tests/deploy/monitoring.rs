//! Rules and dashboard, asked of a real Prometheus that watches two real nodes.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use bard_tests::{
    process::{Http, Node, PATIENCE, wait_until},
    workspace::root,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Transfers that make a block so long that it is announced compact.
const CROWD: u64 = 120;

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

/// The panels of the dashboard that show something, with their titles: all but the headings.
fn panels() -> Vec<(String, Value)> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let shown = panels.filter(|panel| panel["type"] != "row");
    shown.map(|panel| (panel["title"].as_str().unwrap().to_owned(), panel.clone())).collect()
}

/// Title and expression of every query of the dashboard.
fn queries() -> Vec<(String, String)> {
    let of_panel = |(title, panel): (String, Value)| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.iter().map(|target| (title.clone(), target["expr"].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    panels().into_iter().flat_map(of_panel).collect()
}

/// The series that an expression looks at, each with its labels: what it asks for before anything is compared.
fn selectors(expression: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = ["bard_", "process_", "up{"].into_iter().flat_map(|start| expression.match_indices(start));
    let of_start = |(at, _): (usize, &str)| {
        let rest = expression.get(at..)?;
        let inside =
            expression.get(..at).and_then(|before| before.chars().last()).is_some_and(|c| is_name(c) || c == '"');
        let name = rest.split(|c| !is_name(c)).next()?;
        let labels = rest.get(name.len()..).filter(|after| after.starts_with('{'));
        let labels = labels.and_then(|after| after.split_inclusive('}').next()).unwrap_or_default();
        (!inside).then(|| format!("{name}{labels}"))
    };
    starts.filter_map(of_start).collect()
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
fn every_panel_asks_something_of_the_source_that_is_chosen() {
    let panels = panels();
    assert!(panels.len() > 20, "{}", panels.len());
    for (title, panel) in panels {
        assert!(panel["panels"].is_null(), "{title}: panels in panels are not looked at");
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        assert!(!targets.is_empty(), "{title} asks nothing");
        for target in targets {
            assert_eq!(
                target["datasource"]["uid"].as_str().or(panel["datasource"]["uid"].as_str()),
                Some("${datasource}"),
                "{title}"
            );
        }
    }
}

#[test]
fn the_series_of_an_expression_are_found() {
    let found = selectors(
        "increase(bard_a_bucket{le=\"8.0\"}[1h]) - bard_b > 0 and changes(process_c{job=\"bard\"}[1h]) > up{job=\"bard\"}",
    );
    assert_eq!(found, ["bard_a_bucket{le=\"8.0\"}", "bard_b", "process_c{job=\"bard\"}", "up{job=\"bard\"}"]);
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

    /// Waits until an expression has something to tell: a number at least.
    fn wait_for_figures(&self, what: &str, expression: &str) {
        wait_until(&format!("data for {what}: {expression}"), PATIENCE, || {
            let found = self.ask(expression).unwrap_or_else(|error| panic!("{what}: {expression}: {error}"));
            let mut figures = found.iter().filter_map(|series| series["value"][1].as_str()?.parse::<f64>().ok());
            figures.any(f64::is_finite)
        });
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

/// Lets two nodes do a little of everything: a fork that the second loses, payments, one that is refused, a block that is announced
/// compact.
fn live(one: &Node, two: &Node) {
    two.mine(1);
    one.mine(3);
    two.post("/api/v1/peers", &json!({ "address": one.address() })).success();
    two.wait_for_same_tip(one);
    let poor = json!({ "from": "alice", "to": "bob", "amount": 999_999 });
    assert_eq!(one.post("/api/v1/wallet/transfer", &poor).status, 409);
    for _ in 0..CROWD {
        one.pay("alice", "bob", 1);
    }
    wait_until("the second has what waits", PATIENCE, || two.pool().len() == one.pool().len());
    one.mine(1);
    two.wait_for_same_tip(one);
    one.pay("alice", "bob", 1);
}

#[test]
#[ignore = "needs prometheus; .ci/run deploy"]
fn a_real_prometheus_answers_every_query_of_the_dashboard_and_of_the_alerts() {
    assert!(Path::new("/proc").is_dir());
    let (one, two) = (Node::start(), Node::start());
    let prometheus = Prometheus::start(&[&one, &two]);
    // Rates need two figures, and whatever grows has to grow while it is watched.
    wait_until("two figures of both nodes", PATIENCE, || {
        let counted = prometheus.ask("count(count_over_time(bard_chain_height[1m]) >= 2)");
        counted.is_ok_and(|found| found.first().is_some_and(|series| series["value"][1] == json!("2")))
    });
    live(&one, &two);
    let queries = queries();
    assert!(queries.len() > 25, "{queries:?}");
    for (title, expression) in queries {
        let here = expression.replace("$instance", ".*").replace("$__rate_interval", "1m");
        assert!(!here.contains('$'), "{title}: {here}");
        prometheus.wait_for_figures(&title, &here);
    }
    the_choice_of_nodes_has_both(&prometheus);
    for (name, expression) in alerts() {
        prometheus.ask(&expression).unwrap_or_else(|error| panic!("{name}: {expression}: {error}"));
        let series = selectors(&expression);
        assert!(!series.is_empty(), "{name}: {expression}");
        // An alert on what nobody tells would never come.
        for series in series {
            prometheus.wait_for_figures(&name, &series);
        }
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

/// What the list above the dashboard offers, asked as Grafana asks for it.
fn the_choice_of_nodes_has_both(prometheus: &Prometheus) {
    let dashboard = dashboard();
    let lists = dashboard["templating"]["list"].as_array().unwrap();
    let nodes = lists.iter().find(|list| list["name"] == "instance").unwrap();
    assert_eq!(nodes["definition"], json!("label_values(bard_build_info, instance)"));
    let answer = prometheus.http.get("/api/v1/label/instance/values?match[]=bard_build_info").success();
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2), "{answer}");
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
