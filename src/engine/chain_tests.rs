//! Single chains of pages: every paginator against a simulated API.

use super::simulated::{Log, Simulated, ok, opening};
use super::*;
use crate::request::Request;
use crate::shape::encode;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;

pub type Answer<'a> = &'a dyn Fn(&Request) -> Result<Response, Failure>;

/// What a run gave: the ids of its rows, the state after each step with the number of rows before it, and how it ended.
#[derive(Debug, Default)]
pub struct Outcome {
    pub rows: Vec<String>,
    pub states: Vec<(usize, String)>,
    pub requests: Vec<String>,
    pub time: u64,
    pub warnings: Vec<Error>,
    /// Records that filters left out.
    pub filtered: u64,
    pub error: Option<Error>,
}

pub struct Run<'a> {
    pub config: Value,
    pub answer: Answer<'a>,
    pub seed: u64,
    pub window: u32,
    pub max_rows: u32,
    pub linger: u64,
}

impl<'a> Run<'a> {
    pub fn new(endpoint: Value, answer: Answer<'a>) -> Self {
        let config = json!({
            "client": {"base_url": "http://api.example"},
            "resources": [{"name": "r", "primary_key": "id", "endpoint": endpoint}]
        });
        Self { config, answer, seed: 0, window: 4, max_rows: 1000, linger: LINGER }
    }

    fn open(&self, state: Option<&str>, log: &Rc<RefCell<Log>>) -> Reader<Simulated<'_>> {
        let config = self.config.to_string();
        let request = opening(&config, state, self.window);
        let answer = |request: &Request, _: u64| (self.answer)(request);
        let mut reader = Reader::open(request, Simulated::new(log.clone(), self.seed, 20, answer)).unwrap();
        reader.linger = self.linger;
        reader
    }

    /// The requests of a check.
    pub fn check(&self) -> Result<Vec<String>> {
        let log = Rc::<RefCell<Log>>::default();
        self.open(None, &log).check()?;
        Ok(std::mem::take(&mut log.borrow_mut().requests))
    }

    pub fn from(&self, state: Option<&str>) -> Outcome {
        let log = Rc::<RefCell<Log>>::default();
        let mut reader = self.open(state, &log);
        let mut outcome = Outcome::default();
        loop {
            match reader.next(self.max_rows, 1 << 20) {
                Ok(Step::Batch { tables, state, .. }) => {
                    for table in tables {
                        for line in encode::ndjson(&table.rows).unwrap().lines() {
                            let row: Value = serde_json::from_str(line).unwrap();
                            outcome.rows.push(row["id"].to_string());
                        }
                    }
                    outcome.states.push((outcome.rows.len(), state));
                }
                Ok(Step::Wait { until, .. }) => log.borrow_mut().now = until,
                Ok(Step::Done { warnings, counts, .. }) => {
                    outcome.filtered = counts.iter().map(|counts| counts.filtered).sum();
                    assert_eq!((reader.in_flight, reader.arrived.len()), (reader.abandoned.len(), 0));
                    outcome.warnings = warnings;
                    break;
                }
                Err(error) => {
                    outcome.error = Some(error);
                    break;
                }
            }
        }
        outcome.requests = std::mem::take(&mut log.borrow_mut().requests);
        outcome.time = log.borrow().now;
        outcome
    }

    pub fn whole(&self) -> Outcome {
        self.from(None)
    }
}

/// The value of a query parameter.
pub fn asked(request: &Request, name: &str) -> Option<u64> {
    let found = request.url.query_pairs().find(|(key, _)| key == name);
    found.and_then(|(_, value)| value.parse().ok())
}

pub fn records(from: u64, to: u64) -> Value {
    (from..to).map(|id| json!({"id": id})).collect()
}

pub fn ids(from: u64, to: u64) -> Vec<String> {
    (from..to).map(|id| id.to_string()).collect()
}

#[test]
fn a_cursor_that_stays_the_same_ends_with_an_error() {
    let answer = |request: &Request| {
        let from = asked(request, "cursor").unwrap_or(0);
        ok(json!({"data": records(from * 2, from * 2 + 2), "cursors": {"next": (from + 1).min(5)}}))
    };
    let outcome = Run::new(json!({"paginator": "cursor"}), &answer).whole();
    let error = outcome.error.unwrap();
    assert_eq!((error.kind, error.resource.as_deref()), (Kind::Upstream, Some("r")));
    assert_eq!(error.url.as_deref(), Some("http://api.example/r?cursor=5"));
    assert_eq!(error.message, "the chain of pages does not advance: the cursor 5 leads to a page that was read before");
}

#[test]
fn links_in_a_circle_end_with_an_error() {
    let answer = |request: &Request| {
        let page = asked(request, "p").unwrap_or(0);
        ok(json!({"data": [{"id": page}], "next": format!("?p={}", (page + 1) % 7)}))
    };
    let outcome = Run::new(json!({"paginator": "json_link"}), &answer).whole();
    let error = outcome.error.unwrap();
    assert_eq!(error.kind, Kind::Upstream);
    assert!(error.message.ends_with("the link to the next page leads to a page that was read before"));
    assert!(outcome.requests.len() < 30);
}

#[test]
fn a_page_that_comes_again_ends_with_an_error_and_no_row_comes_twice() {
    // The last page is given for every number beyond it.
    let answer = |request: &Request| {
        let page = asked(request, "page").unwrap().min(3);
        ok(json!({"data": records(page * 2, page * 2 + 2)}))
    };
    let run = Run::new(json!({"paginator": "page_number"}), &answer);
    let outcome = run.whole();
    assert_eq!(outcome.rows, ids(0, 8));
    let error = outcome.error.unwrap();
    assert_eq!(error.kind, Kind::Upstream);
    assert_eq!(
        error.message,
        "the chain of pages does not advance: this page has the same records as the page before it"
    );
    assert_eq!(error.url.as_deref(), Some("http://api.example/r?page=4"));
    // Nor does a run that goes on from there.
    let again = run.from(Some(&outcome.states.last().unwrap().1));
    assert_eq!((again.rows.len(), again.error.unwrap().kind), (0, Kind::Upstream));
}

#[test]
fn a_chain_has_a_largest_number_of_pages() {
    let answer = |request: &Request| ok(json!({"data": [{"id": asked(request, "page")}]}));
    let outcome = Run::new(json!({"paginator": "page_number"}), &answer).whole();
    assert_eq!(outcome.rows.len() as u64, crate::plan::LONGEST_CHAIN);
    let error = outcome.error.unwrap();
    assert_eq!((error.kind, error.resource.as_deref()), (Kind::Limit, Some("r")));
    assert_eq!(error.message, "the chain has more than 100000 pages");
    for window in [1, 8] {
        let run = Run { window, ..Run::new(json!({"paginator": "page_number", "maximum_pages": 3}), &answer) };
        let outcome = run.whole();
        assert_eq!((outcome.rows.len(), outcome.requests.len()), (3, 3));
        assert_eq!(outcome.error.unwrap().message, "the chain has more than 3 pages");
    }
}

#[test]
fn a_response_that_cannot_be_understood_is_named_with_its_url() {
    let answer = |_: &Request| ok(json!({"data": [{"id": 1}], "more": "perhaps"}));
    let paginator = json!({"type": "page_number", "has_more_path": "more"});
    let error = Run::new(json!({"paginator": paginator}), &answer).whole().error.unwrap();
    assert_eq!((error.kind, error.status, error.attempts), (Kind::Upstream, Some(200), Some(1)));
    assert_eq!(error.message, "`has_more` is \"perhaps\", which is neither true nor false");
    assert_eq!(error.url.as_deref(), Some("http://api.example/r?page=0"));
}

/// `count` records by offset, at most `cap` in a page.
fn by_offset(request: &Request, count: u64, cap: u64) -> Value {
    let (offset, limit) = (asked(request, "offset").unwrap(), asked(request, "limit").unwrap());
    json!({"data": records(offset.min(count), count.min(offset + limit.min(cap))), "total": count})
}

#[test]
fn pages_are_fetched_ahead_where_the_total_is_known() {
    let answer = |request: &Request| ok(by_offset(request, 40, 5));
    let time = |paginator: Value, window| {
        let run = Run { window, ..Run::new(json!({"paginator": paginator}), &answer) };
        let outcome = run.whole();
        assert_eq!(outcome.rows, ids(0, 40));
        (outcome.time, outcome.requests.len())
    };
    let known = json!({"type": "offset", "limit": 5});
    assert_eq!(time(known.clone(), 1), (8 * 20, 8));
    // The first page tells the total, and then seven follow in two windows.
    assert_eq!(time(known, 4), (3 * 20, 8));
}

#[test]
fn where_the_total_is_not_known_one_page_is_fetched_ahead() {
    let answer = |request: &Request| ok(by_offset(request, 40, 5));
    let run = |paginator: Value, window, method: &str| {
        let run = Run { window, ..Run::new(json!({"paginator": paginator, "method": method}), &answer) };
        let outcome = run.whole();
        assert_eq!((outcome.rows, outcome.error), (ids(0, 40), None));
        (outcome.time, outcome.requests.len())
    };
    let unknown = json!({"type": "offset", "limit": 5, "total_path": null});
    // The first page, then two at a time; the empty page after the last one is the other of its two.
    assert_eq!(run(unknown.clone(), 4, "GET"), (5 * 20, 9));
    // With no room for it, and where a request might change something, each page waits for the one before.
    assert_eq!(run(unknown.clone(), 1, "GET"), (9 * 20, 9));
    assert_eq!(run(unknown, 4, "POST"), (9 * 20, 9));
    // Nothing is asked for beyond the largest offset.
    assert_eq!(run(json!({"type": "offset", "limit": 5, "total_path": null, "maximum_offset": 35}), 4, "GET").1, 8);
}

#[test]
fn a_page_that_was_asked_for_on_a_chance_counts_only_where_it_follows() {
    // Three pages, and beyond them the API fails; of a short chain no further page is asked for.
    let pages = |count: u64| {
        move |request: &Request| match asked(request, "page").unwrap() {
            page if page < count => ok(json!({"data": records(page, page + 1), "more": page + 1 < count})),
            _ => super::simulated::status(404),
        }
    };
    let paginator = json!({"type": "page_number", "has_more_path": "more"});
    for seed in 0..20 {
        let (long, short) = (pages(3), pages(1));
        let outcome = Run { seed, ..Run::new(json!({"paginator": paginator}), &long) }.whole();
        assert_eq!((outcome.rows, outcome.error), (ids(0, 3), None), "seed {seed}");
        assert!(outcome.requests.len() <= 4, "{:?}", outcome.requests);
        assert_eq!(Run { seed, ..Run::new(json!({"paginator": paginator}), &short) }.whole().requests.len(), 1);
    }
    // Where it does follow, its failure is one of the run.
    let answer = pages(3);
    let outcome = Run::new(json!({"paginator": "page_number"}), &answer).whole();
    assert_eq!((outcome.rows, outcome.error.unwrap().status), (ids(0, 3), Some(404)));
}

#[test]
fn a_condition_ends_the_chain() {
    let answer = |request: &Request| {
        let page = asked(request, "page").or(asked(request, "cursor")).unwrap_or(0);
        ok(json!({"data": records(page * 2, page * 2 + 2), "cursors": {"next": page + 1}, "done": page == 3}))
    };
    for condition in [
        "response.done",
        "records[-1].id == 7",
        "page.index == 3",
        "page.number == 3 or page.cursor == 3",
        "page.size and '3' in page.url",
    ] {
        for paginator in ["page_number", "cursor"] {
            let paginator = json!({"type": paginator, "stop_when": condition});
            let outcome = Run::new(json!({"paginator": paginator}), &answer).whole();
            assert_eq!((outcome.rows, outcome.error), (ids(0, 8), None), "{condition}");
        }
    }
    let paginator = json!({"type": "cursor", "stop_when": "response.cursors - 1"});
    let error = Run::new(json!({"paginator": paginator}), &answer).whole().error.unwrap();
    assert_eq!((error.kind, error.url.as_deref()), (Kind::Upstream, Some("http://api.example/r")));
    assert!(error.message.starts_with("`stop_when` failed: "), "{error}");
    // It is a rule by which a chain ends, so no other one is needed.
    let paginator = json!({"type": "page_number", "stop_when": "response.done", "total_path": null, "stop_after_empty_page": false});
    assert_eq!(Run::new(json!({"paginator": paginator}), &answer).whole().rows, ids(0, 8));
}

#[test]
fn a_server_that_caps_the_page_is_named_and_no_record_is_lost() {
    for (cap, window) in [(3, 1), (3, 8), (1, 4), (9, 64)] {
        let answer = |request: &Request| ok(by_offset(request, 40, cap));
        let run = Run { window, ..Run::new(json!({"paginator": {"type": "offset", "limit": 10}}), &answer) };
        let outcome = run.whole();
        assert_eq!(outcome.rows, ids(0, 40));
        let [warning] = outcome.warnings.as_slice() else { panic!("{:?}", outcome.warnings) };
        assert_eq!(warning.message, "the API gives pages with fewer records than `limit` though more follow");
    }
}

#[test]
fn a_total_that_promises_too_much_loses_and_repeats_nothing() {
    // Beyond its four pages the API fails.
    let answer = |request: &Request| match asked(request, "page").unwrap() {
        page @ 0..4 => ok(json!({"data": records(page, page + 1), "total": 1000})),
        4 => ok(json!({"data": [], "total": 1000})),
        _ => super::simulated::status(404),
    };
    for seed in 0..20 {
        let run = Run { seed, window: 8, ..Run::new(json!({"paginator": "page_number"}), &answer) };
        let outcome = run.whole();
        assert_eq!((outcome.rows, outcome.error), (ids(0, 4), None), "seed {seed}");
    }
}

/// Pages of one record, `count` of them from `base` on; the page with the least number is given where none is asked for.
fn counted(request: &Request, base: u64, count: u64, body: Value) -> Result<Response, Failure> {
    let page = asked(request, "page").unwrap_or(base);
    // As many APIs do, a number that is too small is taken for the first page.
    let page = page.max(base) - base;
    let mut body = body;
    body["total_pages"] = json!(count);
    body["data"] = records(page.min(count), (page + 1).min(count));
    ok(body)
}

#[test]
fn a_page_count_is_read_with_the_base_of_the_api() {
    for (base, count) in [(0, 1), (1, 1), (0, 2), (1, 2), (0, 7), (1, 7)] {
        let answer = |request: &Request| counted(request, base, count, json!({}));
        for (seed, max_rows) in [(0, 1), (5, 2)] {
            let run = Run { seed, max_rows, ..Run::new(json!({}), &answer) };
            let outcome = run.whole();
            assert_eq!((&outcome.rows, &outcome.error), (&ids(0, count), &None), "base {base} count {count}");
            // The base is known from page 1, which is the first page again if the base is 1.
            let most = count + u64::from(base == 1 && count > 1);
            assert_eq!(outcome.requests.len() as u64, most, "{:?}", outcome.requests);
            for (before, state) in &outcome.states {
                let rest = run.from(Some(state));
                assert_eq!((rest.rows, rest.error), (ids(*before as u64, count), None), "from {state}");
            }
        }
        let answer = |request: &Request| {
            let page = asked(request, "page").unwrap_or(base);
            counted(request, base, count, json!({"meta": {"currentPage": page}}))
        };
        let outcome = Run::new(json!({"paginator": "auto"}), &answer).whole();
        assert_eq!((outcome.rows, outcome.requests.len() as u64), (ids(0, count), count));
    }
}

#[test]
fn links_and_cursors_are_detected_and_survive_in_the_state() {
    let of = |style: &'static str| {
        move |request: &Request| {
            let at = asked(request, "cursor").or(asked(request, "page")).unwrap_or(0);
            let mut response = json!({"data": records(at * 2, at * 2 + 2)});
            let link = format!("?cursor={}", at + 1);
            let mut headers = Vec::new();
            if at < 4 {
                match style {
                    "odata" => response["@odata.nextLink"] = json!(link),
                    "relative" => response["paging"] = json!({"next": {"href": link}}),
                    "cursor" => response["next_cursor"] = json!((at + 1).to_string()),
                    "number" => response["next_page"] = json!(at + 1),
                    _ => headers.push(("link".to_owned(), format!("<{link}>; rel=\"next\""))),
                }
            }
            ok(response).map(|response| Response { headers, ..response })
        }
    };
    for style in ["odata", "relative", "cursor", "number", "header"] {
        let answer = of(style);
        let run = Run { max_rows: 1, ..Run::new(json!({}), &answer) };
        let outcome = run.whole();
        assert_eq!((&outcome.rows, outcome.requests.len()), (&ids(0, 10), 5), "{style}");
        for (before, state) in &outcome.states {
            assert_eq!(run.from(Some(state)).rows, ids(*before as u64, 10), "from {state}");
        }
    }
}

#[test]
fn a_credential_that_a_link_repeats_gets_into_no_state() {
    let answer = |request: &Request| {
        assert_eq!(request.url.query_pairs().filter(|(name, _)| name == "api key").count(), 1, "{}", request.url);
        let page = asked(request, "p").unwrap_or(0);
        let next = (page < 3).then(|| format!("?a=%20b&api%20key=s3cret&p={}", page + 1));
        ok(json!({"data": [{"id": page}], "next": next}))
    };
    let auth = json!({"type": "api_key", "name": "api key", "api_key": "s3cret", "location": "query"});
    let run = Run { max_rows: 1, ..Run::new(json!({"paginator": "json_link", "auth": auth}), &answer) };
    let outcome = run.whole();
    assert_eq!((&outcome.rows, &outcome.error), (&ids(0, 4), &None));
    assert!(outcome.states.iter().all(|(_, state)| !state.contains("s3cret")), "{:?}", outcome.states);
    assert!(outcome.states[0].1.contains("?a=%20b&p=1"), "{}", outcome.states[0].1);
    assert_eq!(run.from(Some(&outcome.states[1].1)).rows, ids(2, 4));
}

#[test]
fn a_path_that_ends_with_a_placeholder_gives_one_record() {
    let answer = |_: &Request| ok(json!({"id": 7, "tags": ["a"], "next": "/more"}));
    let mut run = Run::new(json!({"path": "things/{id}", "params": {"id": 7}}), &answer);
    run.config["client"]["paginator"] = json!("json_link");
    let outcome = run.whole();
    assert_eq!(outcome.requests, ["http://api.example/things/7"]);
    assert_eq!(outcome.error, None);
}
