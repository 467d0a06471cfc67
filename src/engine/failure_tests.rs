//! Responses that are singled out, failures that are tried again, and chains that are left out.

use super::simulated::{Log, Simulated, ok, opening, status};
use super::*;
use crate::request::Request;
use crate::shape::encode;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;

type Answer<'a> = &'a dyn Fn(&Request, u64) -> Result<Response, Failure>;

/// What a run gave.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    rows: Vec<String>,
    states: Vec<(usize, String)>,
    requests: Vec<String>,
    warnings: Vec<Error>,
    error: Option<Error>,
    time: u64,
}

struct Run<'a> {
    config: Value,
    answer: Answer<'a>,
    max_rows: u32,
    seed: u64,
}

impl<'a> Run<'a> {
    /// One resource `r` with this endpoint.
    fn root(endpoint: Value, answer: Answer<'a>) -> Self {
        Self::new(json!({"resources": [{"name": "r", "endpoint": endpoint}]}), answer)
    }

    fn new(mut config: Value, answer: Answer<'a>) -> Self {
        let client = config.as_object_mut().unwrap().entry("client").or_insert_with(|| json!({}));
        client.as_object_mut().unwrap().insert("base_url".to_owned(), json!("http://api.example"));
        Self { config, answer, max_rows: 1000, seed: 0 }
    }

    fn from(&self, state: Option<&str>) -> Outcome {
        let config = self.config.to_string();
        let request = opening(&config, state, 4);
        let log = Rc::<RefCell<Log>>::default();
        let mut reader = Reader::open(
            request,
            Simulated::new(log.clone(), self.seed, 20, |request, times| (self.answer)(request, times)),
        )
        .unwrap_or_else(|error| panic!("{error:?}"));
        let mut outcome = Outcome::default();
        loop {
            match reader.next(self.max_rows, 1 << 20) {
                Ok(Step::Batch { tables, state, .. }) => {
                    for table in tables {
                        for line in encode::ndjson(&table.rows).unwrap().lines() {
                            let row: Value = serde_json::from_str(line).unwrap();
                            outcome.rows.push(row["id"].as_str().unwrap().to_owned());
                        }
                    }
                    outcome.states.push((outcome.rows.len(), state));
                }
                Ok(Step::Wait { until, .. }) => log.borrow_mut().now = until,
                Ok(Step::Done { warnings, .. }) => {
                    outcome.warnings = warnings;
                    break;
                }
                Err(error) => {
                    outcome.error = Some(error);
                    break;
                }
            }
        }
        let mut log = log.borrow_mut();
        outcome.requests = std::mem::take(&mut log.requests);
        outcome.requests.iter_mut().for_each(|url| *url = url.replace("http://api.example/", ""));
        outcome.time = log.now;
        outcome
    }

    fn outcome(&self) -> Outcome {
        self.from(None)
    }
}

fn page(request: &Request) -> u64 {
    request.url.query_pairs().find(|(name, _)| name == "page").map_or(1, |(_, page)| page.parse().unwrap())
}

fn paged(actions: Value) -> Value {
    json!({"paginator": {"type": "page_number", "base_page": 1}, "data_selector": "items", "response_actions": actions})
}

/// One record a page, and `special` at page 3.
fn special_at_three(
    special: impl Fn(u64) -> Result<Response, Failure>,
) -> impl Fn(&Request, u64) -> Result<Response, Failure> {
    move |request, times| match page(request) {
        3 => special(times),
        6.. => ok(json!({"items": []})),
        page => ok(json!({"items": [{"id": format!("p{page}")}]})),
    }
}

fn said(text: &'static str, code: u16) -> Result<Response, Failure> {
    Ok(Response { status: code, body: text.as_bytes().to_vec(), ..Response::default() })
}

#[test]
fn an_ignored_response_ends_its_chain_and_keeps_what_was_before() {
    for code in [404, 500, 200] {
        let answer = special_at_three(|_| said("it is gone", code));
        let run = Run::root(paged(json!([{"content": "gone", "action": "ignore"}])), &answer);
        let outcome = run.outcome();
        assert_eq!(outcome.rows, ["p1", "p2"], "{code}");
        assert_eq!((outcome.error, outcome.warnings.len()), (None, 0));
        assert_eq!(outcome.requests.iter().filter(|url| url.contains("page=3")).count(), 1);
    }
}

#[test]
fn an_end_takes_the_records_of_a_good_response_only() {
    let actions = json!([{"when": "body.last or status == 410", "action": "end"}]);
    let answer = special_at_three(|_| ok(json!({"items": [{"id": "p3"}], "last": true})));
    assert_eq!(Run::root(paged(actions.clone()), &answer).outcome().rows, ["p1", "p2", "p3"]);
    let answer = special_at_three(|_| said(r#"{"items": [{"id": "p3"}]}"#, 410));
    assert_eq!(Run::root(paged(actions), &answer).outcome().rows, ["p1", "p2"]);
    // What would follow is not even looked at: the same cursor again would be an error.
    let endpoint = json!({"paginator": {"type": "cursor", "cursor_path": "next"}, "data_selector": "items",
        "response_actions": [{"path": "done", "action": "end"}]});
    let answer = |request: &Request, _: u64| {
        let is_first = request.url.query().is_none();
        ok(json!({"items": [{"id": if is_first { "a" } else { "b" }}], "next": "c", "done": !is_first}))
    };
    assert_eq!(Run::root(endpoint, &answer).outcome().rows, ["a", "b"]);
}

#[test]
fn a_response_is_tried_again_as_a_failure_is() {
    let mut endpoint = paged(json!([{"path": "error", "action": "retry", "message": "the shop is busy"}]));
    endpoint["error_handler"] = json!({"max_retries": 2, "backoff_factor": 3});
    let busy = |times: u64, until: u64| match times <= until {
        true => ok(json!({"error": "busy"})),
        false => ok(json!({"items": [{"id": "p3"}]})),
    };
    let answer = special_at_three(|times| busy(times, 2));
    let outcome = Run::root(endpoint.clone(), &answer).outcome();
    assert_eq!(outcome.rows, ["p1", "p2", "p3", "p4", "p5"]);
    assert!((9000..10_000).contains(&outcome.time), "{}", outcome.time);
    let answer = special_at_three(|times| busy(times, 9));
    let error = Run::root(endpoint, &answer).outcome().error.unwrap();
    assert_eq!((error.kind, error.status, error.attempts), (Kind::Upstream, Some(200), Some(3)));
    assert_eq!(error.message, "the shop is busy");
    assert_eq!(error.pointer.as_deref(), Some("/resources/0/endpoint/response_actions/0"));
}

#[test]
fn a_failure_says_what_the_configuration_says_and_is_not_tried_again() {
    let answer = special_at_three(|_| status(503));
    let actions = json!([{"status_code": "5xx", "action": "fail", "message": "closed for today"}]);
    let outcome = Run::root(paged(actions), &answer).outcome();
    let error = outcome.error.unwrap();
    assert_eq!((error.kind, &*error.message, error.attempts), (Kind::Transient, "closed for today", Some(1)));
    assert_eq!(outcome.rows, ["p1", "p2"]);
}

#[test]
fn an_expression_that_fails_is_an_error_of_its_page() {
    let answer = special_at_three(|_| ok(json!({"items": [], "n": {}})));
    let outcome =
        Run::root(paged(json!([{"when": "body.n is defined and body.n + 1 > 2", "action": "end"}])), &answer).outcome();
    let error = outcome.error.unwrap();
    assert_eq!((error.kind, error.status, outcome.rows.len()), (Kind::Upstream, Some(200), 2));
    assert!(error.url.unwrap().contains("page=3"));
}

#[test]
fn the_endpoint_wins_whole_over_the_client_and_null_takes_all_away() {
    let rule = |status: u16| json!([{"status_code": status, "action": "ignore"}]);
    let config = |own: Value, defaults: Value| {
        json!({"client": {"response_actions": rule(404), "error_handler": {"retry_on_status_codes": []}},
            "resource_defaults": {"endpoint": defaults}, "resources": [{"name": "r", "endpoint": own}]})
    };
    let ignores = |own: Value, defaults: Value, code: u16| {
        Run::new(config(own, defaults), &move |_, _| status(code)).outcome().error.is_none()
    };
    let none = || json!({});
    assert!(ignores(none(), none(), 404));
    assert!(ignores(none(), json!({"response_actions": rule(410)}), 410));
    assert!(!ignores(none(), json!({"response_actions": rule(410)}), 404));
    assert!(ignores(json!({"response_actions": rule(409)}), json!({"response_actions": rule(410)}), 409));
    assert!(!ignores(json!({"response_actions": null}), json!({"response_actions": rule(404)}), 404));
    assert!(!ignores(json!({"response_actions": null}), none(), 404));
}

#[test]
fn jitter_waits_a_part_of_the_time() {
    // The simulated API's random bytes are zero.
    let answer = |_: &Request, times: u64| if times < 3 { status(500) } else { ok(json!([{"id": "a"}])) };
    let time = |handler: Value| Run::root(json!({"error_handler": handler}), &answer).outcome().time;
    assert!((3000..3200).contains(&time(json!({}))));
    assert!(time(json!({"jitter": true})) < 200);
    assert!((1000..1200).contains(&time(json!({"max_delay": 0.5}))));
}

/// Twelve parents; the children of those for which `fails` says so fail with this status, in their second page.
fn children(fails: impl Fn(u64) -> Option<u16>) -> impl Fn(&Request, u64) -> Result<Response, Failure> {
    move |request, _| {
        let steps: Vec<&str> = request.url.path_segments().unwrap().collect();
        match steps.as_slice() {
            ["parents"] => ok((0..12).map(|id| json!({"id": format!("{id:02}")})).collect()),
            [parent, _] => match (page(request), fails(parent.parse().unwrap())) {
                (2, Some(code)) => status(code),
                (page @ 1..3, _) => ok(json!([{"id": format!("{parent}.{page}")}])),
                _ => ok(json!([])),
            },
            _ => panic!("{}", request.url),
        }
    }
}

fn family(on_error: &str) -> Value {
    json!({"resources": [
        {"name": "parents", "endpoint": {"path": "parents", "paginator": "single_page"}},
        {"name": "children", "on_error": on_error, "endpoint": {"path": "{resources.parents.id}/children",
            "params": {"token": "s3cr3t"}, "paginator": {"type": "page_number", "base_page": 1}, "data_selector": "$", "error_handler": {"backoff_factor": 0}}},
    ]})
}

#[test]
fn chains_that_fail_are_left_out_and_told_however_often_the_run_is_cut_off() {
    let answer = children(|parent| (parent != 5).then_some(if parent % 2 == 0 { 500 } else { 404 }));
    for (seed, max_rows) in [(0, 1000), (3, 1), (4, 2)] {
        let run = Run { max_rows, seed, ..Run::new(family("continue"), &answer) };
        let whole = run.outcome();
        assert_eq!((whole.error.clone(), whole.rows.len()), (None, 12 + 12 + 1));
        // What was there of a chain before it failed stays.
        assert!(whole.rows.contains(&"00.1".to_owned()) && whole.rows.contains(&"05.2".to_owned()));
        assert_eq!(whole.warnings.len(), 11);
        let first = &whole.warnings[0];
        assert_eq!(first.message, "what belongs to one parent's record was left out: the API answered with status 500");
        assert_eq!((first.resource.as_deref(), first.status), (Some("children"), Some(500)));
        assert_eq!(first.url.as_deref(), Some("http://api.example/00/children?token=***&page=2"));
        assert_eq!(whole.warnings[10].message, "what belongs to 1 more records was left out as well");
        for (delivered, state) in &whole.states {
            let rest = run.from(Some(state));
            assert_eq!(delivered + rest.rows.len(), whole.rows.len(), "{state}");
            assert_eq!(rest.warnings, whole.warnings, "{state}");
        }
    }
}

#[test]
fn a_chain_is_not_left_out_for_what_is_wrong_with_all() {
    let fails = |on_error: &str, code: u16| {
        let answer = children(move |parent| (parent == 3).then_some(code));
        Run::new(family(on_error), &answer).outcome().error.map(|error| error.kind)
    };
    assert_eq!(fails("continue", 403), None);
    assert_eq!(fails("continue", 404), None);
    assert_eq!(fails("fail", 404), Some(Kind::Upstream));
    assert_eq!(fails("continue", 401), Some(Kind::Auth));
    let denied = |request: &Request, times: u64| match request.url.path() {
        "/parents" => children(|_| None)(request, times),
        _ => Err(Failure::Denied("no".to_owned())),
    };
    assert_eq!(Run::new(family("continue"), &denied).outcome().error.unwrap().kind, Kind::Permission);
}

#[test]
fn a_resource_without_a_parent_leaves_nothing_out() {
    let config = json!({"client": {"base_url": "http://api.example"}, "resource_defaults": {"on_error": "continue"}, "resources": ["r"]});
    let config = config.to_string();
    let errors = Plan::new(&Source { config: &config, params: "{}", bindings: "{}" }).err().unwrap();
    assert_eq!(errors[0].pointer.as_deref(), Some("/resource_defaults/on_error"));
    assert!(errors[0].advice.as_deref().is_some_and(|advice| advice.contains("`on_error: fail`")));
}
