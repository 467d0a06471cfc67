//! The engine against a simulated API with a clock of its own, so that no test waits and every interleaving can be had.

use super::simulated::{Log, Simulated, ok, opening, status};
use super::*;
use crate::request::Request;
use crate::shape::encode;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;

type Answer = dyn Fn(&str, u64) -> Result<Response, Failure>;

fn ids(prefix: &str, count: u64, page: u64, limit: u64) -> Value {
    let from = (page - 1) * limit;
    (from..count.min(from + limit)).map(|n| json!({"id": format!("{prefix}{n}")})).collect()
}

/// Five applications with three models each, whose number of versions varies, in pages of two.
fn platform(url: &str, _: u64) -> Result<Response, Failure> {
    let url = url::Url::parse(url).unwrap();
    let page = url.query_pairs().find(|(name, _)| name == "page").unwrap().1.parse().unwrap();
    let steps: Vec<&str> = url.path_segments().unwrap().collect();
    ok(match steps.as_slice() {
        ["apps"] => json!({"apps": ids("a", 5, page, 2)}),
        ["apps", app, "models"] => json!({"models": ids(&format!("{app}m"), 3, page, 2)}),
        ["apps", app, "inputs"] => json!({"inputs": ids(&format!("{app}i"), 4, page, 2)}),
        ["apps", _, "models", model, "versions"] => {
            let count = u64::from(model.as_bytes()[model.len() - 1] % 4);
            json!({"versions": ids(&format!("{model}v"), count, page, 2)})
        }
        _ => panic!("no such path: {url}"),
    })
}

fn config() -> String {
    let endpoint = |path: &str, selector: &str| json!({"path": path, "data_selector": selector});
    json!({
        "client": {"base_url": "http://api.example", "paginator": {"type": "page_number", "limit": 2}},
        "resource_defaults": {"write_disposition": "merge", "primary_key": "id", "endpoint": {"error_handler":
            {"retry_on_status_codes": [429], "max_retries": 3, "backoff_factor": 2}}},
        "resources": [
            {"name": "apps", "endpoint": endpoint("apps", "apps")},
            {"name": "models", "endpoint": endpoint("apps/{app_id}/models", "models")},
            {"name": "versions", "endpoint": endpoint("apps/{app_id}/models/{resources.models.id}/versions", "versions")},
            {"name": "inputs", "endpoint": endpoint("apps/{app_id}/inputs", "inputs")},
        ]
    })
    .to_string()
}

struct Run<'a> {
    answer: &'a Answer,
    seed: u64,
    latency: u64,
    window: u32,
    max_rows: u32,
    resources: Vec<String>,
    linger: u64,
}

impl Default for Run<'_> {
    fn default() -> Self {
        Self {
            answer: &platform,
            seed: 0,
            latency: 20,
            window: 8,
            max_rows: 1000,
            resources: Vec::new(),
            linger: LINGER,
        }
    }
}

/// `table: id` of each row, in the order of delivery, after each step; and the state of that step.
type Steps = Vec<(Vec<String>, String)>;

impl Run<'_> {
    fn open(&self, state: Option<&str>, log: &Rc<RefCell<Log>>) -> Result<Reader<Simulated<'_>>> {
        let config = config();
        let source = Source { config: &config, params: "{}", bindings: r#"{"app_id": "apps.id"}"# };
        let request = OpenRequest { source, resources: &self.resources, ..opening(&config, state, self.window) };
        let answer = |request: &Request, times: u64| (self.answer)(request.url.as_str(), times);
        Reader::open(request, Simulated::new(log.clone(), self.seed, self.latency, answer))
    }

    fn steps(&self, state: Option<&str>, log: &Rc<RefCell<Log>>) -> Result<Steps> {
        let mut reader = self.open(state, log)?;
        reader.linger = self.linger;
        let mut steps = Steps::new();
        loop {
            match reader.next(self.max_rows, 1 << 20)? {
                Step::Batch { tables, state, .. } => {
                    let mut rows = Vec::new();
                    for table in tables {
                        for line in encode::ndjson(&table.rows)?.lines() {
                            let row: Value = serde_json::from_str(line).unwrap();
                            rows.push(format!("{}: {}", table.table, row["id"].as_str().unwrap()));
                        }
                    }
                    steps.push((rows, state));
                }
                Step::Wait { until, state, .. } => {
                    log.borrow_mut().now = until;
                    steps.push((Vec::new(), state));
                }
                Step::Done { state, .. } => {
                    steps.push((Vec::new(), state));
                    return Ok(steps);
                }
            }
        }
    }

    fn rows(&self) -> Vec<String> {
        let steps = self.steps(None, &Rc::default()).unwrap();
        steps.into_iter().flat_map(|(rows, _)| rows).collect()
    }
}

#[test]
fn rows_come_in_one_order_whatever_arrives_first() {
    let run = Run { max_rows: 1, ..Run::default() };
    let expected = run.rows();
    let versions: usize = (0..3u32).map(|n| (('0' as u32 + n) % 4) as usize).sum();
    assert_eq!(expected.len(), 5 + 5 * 3 + 5 * versions + 5 * 4);
    assert_eq!(expected.iter().collect::<BTreeSet<_>>().len(), expected.len());
    // A page, then all that hangs under it, then the next page.
    assert_eq!(expected[..4], ["apps: a0", "apps: a1", "models: a0m0", "models: a0m1"]);
    for seed in 1..40 {
        for window in [1, 2, 3, 8, 64] {
            assert_eq!(
                Run { seed, window, max_rows: 1, ..Run::default() }.rows(),
                expected,
                "seed {seed} window {window}"
            );
        }
    }
}

#[test]
fn batches_and_states_are_the_same_whatever_arrives_first() {
    // No batch is cut short by the clock.
    let patient = |seed, window, max_rows| Run { seed, window, max_rows, linger: u64::MAX, ..Run::default() };
    for max_rows in [1, 3, 1000] {
        let expected = patient(0, 1, max_rows).steps(None, &Rc::default()).unwrap();
        for (seed, window) in [(1, 1), (2, 3), (3, 8), (4, 8), (5, 64), (6, 64)] {
            let steps = patient(seed, window, max_rows).steps(None, &Rc::default()).unwrap();
            assert!(steps == expected, "seed {seed} window {window} rows {max_rows}");
        }
    }
}

#[test]
fn opening_with_any_state_gives_exactly_the_missing_rows() {
    let expected = Run { max_rows: 1, ..Run::default() }.rows();
    for (seed, max_rows) in [(0, 1), (3, 1), (7, 2), (9, 5)] {
        let run = Run { seed, max_rows, ..Run::default() };
        let steps = run.steps(None, &Rc::default()).unwrap();
        let mut delivered: BTreeSet<String> = BTreeSet::new();
        // The last state is the one between runs, which begins anew.
        for (rows, state) in &steps[..steps.len() - 1] {
            delivered.extend(rows.iter().cloned());
            let rest = run.steps(Some(state), &Rc::default()).unwrap();
            let rest: BTreeSet<String> = rest.into_iter().flat_map(|(rows, _)| rows).collect();
            assert!(rest.is_disjoint(&delivered), "twice after {state}");
            assert_eq!(rest.len() + delivered.len(), expected.len(), "lost after {state}");
        }
    }
}

#[test]
fn the_window_bounds_what_is_in_flight_and_is_used() {
    for window in [1, 3, 8] {
        let log = Rc::<RefCell<Log>>::default();
        Run { window, ..Run::default() }.steps(None, &log).unwrap();
        assert_eq!(log.borrow().peak, window as usize);
    }
}

#[test]
fn pages_of_many_chains_overlap() {
    let time = |window| {
        let log = Rc::<RefCell<Log>>::default();
        Run { window, ..Run::default() }.steps(None, &log).unwrap();
        let log = log.borrow();
        (log.now, log.requests.len() as u64)
    };
    let ((alone, requests), (together, _)) = (time(1), time(8));
    assert_eq!(alone, requests * 20);
    assert!(together * 4 < alone, "{together} ms against {alone} ms");
}

#[test]
fn long_chains_side_by_side_overlap() {
    // Twenty pages for each of five applications: no chain's next page can be asked for before its last one is here.
    let answer = |url: &str, times: u64| match url.split_once("/inputs?page=") {
        None => platform(url, times),
        Some((path, page)) => {
            let page: u64 = page.split('&').next().unwrap().parse().unwrap();
            ok(json!({"inputs": ids(&path[path.len() - 2..], 40, page, 2)}))
        }
    };
    let time = |window| {
        let log = Rc::<RefCell<Log>>::default();
        let resources = vec!["inputs".to_owned()];
        Run { answer: &answer, window, resources, ..Run::default() }.steps(None, &log).unwrap();
        log.borrow().now
    };
    let (alone, together) = (time(1), time(8));
    assert!(together * 4 < alone, "{together} ms against {alone} ms");
}

#[test]
fn a_resource_that_is_not_asked_for_is_read_only_where_others_need_it() {
    let run = Run { resources: vec!["versions".into()], ..Run::default() };
    let rows = run.rows();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.starts_with("versions: ")));
    let log = Rc::<RefCell<Log>>::default();
    run.steps(None, &log).unwrap();
    assert!(log.borrow().requests.iter().all(|url| !url.contains("inputs")));
}

#[test]
fn failures_are_retried_and_rows_come_once() {
    // Every URL is refused once, in one of three ways.
    let answer = |url: &str, times: u64| match (times, url.len() % 3) {
        (1, 0) => status(429),
        (1, 1) => Err(Failure::Network("reset".to_owned())),
        _ => platform(url, times),
    };
    let expected = Run::default().rows();
    let mut rows = Run { answer: &answer, ..Run::default() }.rows();
    let mut sorted = expected.clone();
    sorted.sort();
    rows.sort();
    assert_eq!(rows, sorted);
}

#[test]
fn the_last_retry_is_followed_by_an_error_that_says_all() {
    let answer = |url: &str, times: u64| if url.contains("a0/models?") { status(429) } else { platform(url, times) };
    let run = Run { answer: &answer, ..Run::default() };
    let log = Rc::<RefCell<Log>>::default();
    let error = run.steps(None, &log).unwrap_err();
    assert_eq!((error.kind, error.attempts, error.status), (Kind::RateLimited, Some(4), Some(429)));
    assert_eq!(error.resource.as_deref(), Some("models"));
    assert_eq!(error.url.as_deref(), Some("http://api.example/apps/a0/models?page=1&limit=2"));
    let log = log.borrow();
    let attempts = log.requests.iter().filter(|url| url.contains("a0/models?")).count();
    assert_eq!(attempts, 4);
    // 2 + 4 + 8 seconds of waiting.
    assert!((14_000..15_000).contains(&log.now), "{}", log.now);
}

#[test]
fn reopening_while_waiting_makes_no_more_attempts_than_permitted() {
    let answer = |url: &str, times: u64| if url.contains("a0/models?") { status(429) } else { platform(url, times) };
    let run = Run { answer: &answer, ..Run::default() };
    let log = Rc::<RefCell<Log>>::default();
    let mut state: Option<String> = None;
    for reopened in 0..20 {
        let mut reader = run.open(state.as_deref(), &log).unwrap();
        loop {
            match reader.next(1000, 1 << 20) {
                Ok(Step::Batch { .. }) => {}
                Ok(Step::Wait { until, state: at, .. }) => {
                    state = Some(at);
                    log.borrow_mut().now = until;
                    break;
                }
                Ok(Step::Done { .. }) => panic!("a page cannot be had"),
                Err(error) => {
                    assert_eq!((error.kind, error.attempts), (Kind::RateLimited, Some(4)));
                    assert!(reopened > 0);
                    return;
                }
            }
        }
    }
    panic!("the reader never gives up");
}

#[test]
fn rows_before_a_failure_are_handed_over_first() {
    let answer = |url: &str, times: u64| if url.contains("a1/models?") { status(403) } else { platform(url, times) };
    let run = Run { answer: &answer, ..Run::default() };
    let mut reader = run.open(None, &Rc::default()).unwrap();
    let Ok(Step::Batch { counts, .. }) = reader.next(1000, 1 << 20) else { panic!("rows come first") };
    assert_eq!(counts.iter().map(|counts| counts.rows).sum::<u64>(), 2 + 3 + 3);
    let error = loop {
        match reader.next(1000, 1 << 20) {
            Ok(_) => continue,
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind, error.status), (Kind::Permission, Some(403)));
    assert_eq!(reader.next(1, 1).err().unwrap().kind, Kind::Internal);
}

#[test]
fn a_wrong_token_costs_one_request() {
    let answer = |_: &str, _: u64| status(401);
    let log = Rc::<RefCell<Log>>::default();
    let error = Run { answer: &answer, ..Run::default() }.steps(None, &log).unwrap_err();
    assert_eq!((error.kind, log.borrow().requests.len()), (Kind::Auth, 1));
}

#[test]
fn a_check_makes_one_request_and_reads_no_children() {
    let log = Rc::<RefCell<Log>>::default();
    Run::default().open(None, &log).unwrap().check().unwrap();
    assert_eq!(log.borrow().requests, ["http://api.example/apps?page=1&limit=2"]);
}

#[test]
fn a_state_of_another_configuration_is_refused() {
    let run = Run::default();
    for state in [
        "",
        "{}",
        r#"{"version":2}"#,
        r#"{"version":1,"at":{"resource":"nope","record":0}}"#,
        r#"{"version":1,"at":{"resource":"models","record":0}}"#,
        r#"{"version":1,"at":{"resource":"apps","record":0,"within":{"parents":[],"child":{"resource":"models","record":9}}}}"#,
        r#"{"version":1,"at":{"resource":"apps","record":0,"within":{"parents":[{}],"child":{"resource":"versions","record":0}}}}"#,
    ] {
        let error = run.open(Some(state), &Rc::default()).err().unwrap_or_else(|| panic!("opened with {state}"));
        assert_eq!(error.kind, Kind::Config, "{state}");
    }
}

#[test]
fn an_unbound_variable_is_named_with_the_ways_to_bind_it() {
    let config = config();
    let request = opening(&config, None, 8);
    let transport = Simulated::new(Rc::default(), 0, 1, |_: &Request, _: u64| status(500));
    let error = Reader::open(request, transport).err().unwrap();
    assert_eq!(error.message, "nothing binds the path variable `app_id`");
    assert_eq!(error.pointer.as_deref(), Some("/resources/1/endpoint/path"));
    assert!(error.advice.unwrap().contains("--param app_id=VALUE"));
}
