//! Incremental loading over several runs against a simulated API whose data moves between them.

use super::simulated::{Log, Simulated, ok, opening, status};
use super::*;
use crate::request::Request;
use crate::shape::encode;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;

type Answer<'a> = &'a dyn Fn(&Request) -> Value;

/// How a run is made.
#[derive(Clone)]
struct Run<'a> {
    config: Value,
    answer: Answer<'a>,
    extent: Extent,
    seed: u64,
    window: u32,
    max_rows: u32,
    now: u64,
}

/// What a run gave: its rows, the state after each batch with the number of rows before it, and the state for the next run.
#[derive(Debug, Default)]
struct Outcome {
    rows: Vec<Value>,
    states: Vec<(usize, String)>,
    next: String,
    requests: Vec<String>,
    filtered: u64,
    warnings: Vec<Error>,
    error: Option<Error>,
}

impl Outcome {
    fn ids(&self) -> Vec<i64> {
        self.rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
    }

    /// The query of each request.
    fn queries(&self) -> Vec<&str> {
        self.requests.iter().map(|url| url.split_once('?').map_or("", |(_, query)| query)).collect()
    }
}

impl<'a> Run<'a> {
    fn new(config: Value, answer: Answer<'a>) -> Self {
        Self { config, answer, extent: Extent::default(), seed: 0, window: 4, max_rows: 1000, now: 0 }
    }

    fn of(endpoint: Value, answer: Answer<'a>) -> Self {
        let client = json!({"base_url": "http://api.example", "paginator": "single_page"});
        Self::new(json!({"client": client, "resources": [{"name": "r", "endpoint": endpoint}]}), answer)
    }

    fn from(&self, state: Option<&str>) -> Outcome {
        let config = self.config.to_string();
        let request = OpenRequest { extent: self.extent.clone(), ..opening(&config, state, self.window) };
        let log = Rc::<RefCell<Log>>::default();
        log.borrow_mut().now = self.now;
        let answer = |request: &Request, _: u64| match (self.answer)(request) {
            Value::Object(fields) if fields.contains_key("status") => status(500),
            body => ok(body),
        };
        let mut outcome = Outcome::default();
        let mut reader = match Reader::open(request, Simulated::new(log.clone(), self.seed, 20, answer)) {
            Ok(reader) => reader,
            Err(error) => return Outcome { error: Some(error), ..outcome },
        };
        loop {
            match reader.next(self.max_rows, 1 << 20) {
                Ok(Step::Batch { tables, state, .. }) => {
                    for table in tables {
                        for line in encode::ndjson(&table.rows).unwrap().lines() {
                            outcome.rows.push(serde_json::from_str(line).unwrap());
                        }
                    }
                    outcome.states.push((outcome.rows.len(), state));
                }
                Ok(Step::Wait { until, .. }) => log.borrow_mut().now = until,
                Ok(Step::Done { state, warnings, counts }) => {
                    outcome.filtered = counts.iter().map(|counts| counts.filtered).sum();
                    (outcome.next, outcome.warnings) = (state, warnings);
                    break;
                }
                Err(error) => {
                    outcome.error = Some(error);
                    break;
                }
            }
        }
        outcome.requests = std::mem::take(&mut log.borrow_mut().requests);
        outcome
    }
}

fn asked(request: &Request, name: &str) -> Option<String> {
    request.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Three runs of an endpoint, the nth over the nth list of records.
fn three(endpoint: &Value, records: [Value; 3]) -> Vec<Outcome> {
    let mut state: Option<String> = None;
    let mut outcomes = Vec::new();
    for records in &records {
        let outcome = Run::of(endpoint.clone(), &|_| json!({"data": records})).from(state.as_deref());
        assert_eq!(outcome.error, None);
        state = Some(outcome.next.clone());
        outcomes.push(outcome);
    }
    outcomes
}

fn last(state: &str) -> Value {
    let state: Value = serde_json::from_str(state).unwrap();
    state.pointer("/cursors/r/last/value").cloned().unwrap_or_default()
}

#[test]
fn records_at_the_boundary_come_once_unless_they_changed() {
    // Reference, worked example 5.
    let at = |id: u64, day: u64, w: u64| json!({"id": id, "at": format!("2025-01-{day:02}T00:00:00Z"), "w": w});
    let endpoint = json!({"params": {"since": "{incremental.start_value}"},
        "incremental": {"cursor_path": "at", "initial_value": "2025-01-01T00:00:00Z"}});
    let old = json!({"id": 5, "at": "2024-12-31T00:00:00Z"});
    let runs = three(
        &endpoint,
        [
            json!([at(1, 1, 1), at(2, 2, 6)]),
            json!([at(2, 2, 66), at(3, 2, 1), at(4, 3, 1), old]),
            json!([at(2, 2, 66), at(4, 3, 1), at(6, 3, 1)]),
        ],
    );
    assert_eq!(runs.iter().map(Outcome::ids).collect::<Vec<_>>(), [vec![1, 2], vec![2, 3, 4], vec![6]]);
    assert_eq!(runs[1].queries(), ["since=2025-01-02T00%3A00%3A00Z"]);
    assert_eq!(runs.iter().map(|run| run.filtered).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(last(&runs[2].next), "2025-01-03T00:00:00Z");
}

#[test]
fn an_unset_value_is_left_out() {
    let endpoint = json!({"params": {"since": "{incremental.start_value}", "until": "x{incremental.end_value}", "a": 1},
        "headers": {"x-since": "{incremental.last_value}"}, "json": {"a": "{incremental.start_value}", "b": [1]},
        "method": "POST", "incremental": {"cursor_path": "at"}});
    let runs =
        three(&endpoint, [json!([{"id": 1, "at": 7}]), json!([]), json!([{"id": 2, "at": 5}, {"id": 3, "at": 8}])]);
    assert_eq!(runs[0].requests, [r#"http://api.example/r?a=1 {"b":[1]}"#]);
    assert_eq!(runs[1].requests, [r#"http://api.example/r?since=7&a=1 {"a":7,"b":[1]}"#]);
    // An empty run keeps the cursor, and an old record is none of a later run.
    assert_eq!((last(&runs[1].next), runs[2].ids()), (json!(7), vec![3]));
    let endpoint = json!({"path": "r/{incremental.start_value}", "incremental": {"cursor_path": "at"}});
    let error = Run::of(endpoint, &|_| json!([])).from(None).error.unwrap();
    assert_eq!((error.kind, error.advice.as_deref()), (Kind::Config, Some("give `initial_value`")));
}

#[test]
fn the_lag_reads_again_but_not_before_the_beginning() {
    let endpoint = json!({"params": {"since": "{incremental.start_value}", "last": "{incremental.last_value}"},
        "incremental": {"cursor_path": "at", "initial_value": 10, "lag": 5}});
    let runs = three(
        &endpoint,
        [json!([{"id": 1, "at": 12}]), json!([{"id": 1, "at": 12}, {"id": 2, "at": 20}]), json!([{"id": 3, "at": 16}])],
    );
    let queries: Vec<&str> = runs.iter().flat_map(Outcome::queries).collect();
    assert_eq!(queries, ["since=10&last=10", "since=10&last=12", "since=15&last=20"]);
    assert_eq!(runs.iter().map(Outcome::ids).collect::<Vec<_>>(), [vec![1], vec![1, 2], vec![3]]);
    assert_eq!(last(&runs[2].next), json!(20));
}

#[test]
fn a_range_with_an_end_leaves_no_state() {
    for (end, ids) in [("open", vec![1, 2]), ("closed", vec![1, 2, 3])] {
        let endpoint = json!({"params": {"u": "{incremental.end_value}"}, "incremental":
            {"cursor_path": "at", "initial_value": "2025-01-01", "end_value": "2025-01-03", "range_end": end}});
        let records = json!([{"id": 1, "at": "2025-01-01"}, {"id": 2, "at": "2025-01-02T23:59:59Z"},
            {"id": 3, "at": "2025-01-03T02:00:00+02:00"}, {"id": 4, "at": "2025-01-04"}]);
        for run in three(&endpoint, [records.clone(), records.clone(), records.clone()]) {
            assert_eq!((run.ids(), run.queries()[0], last(&run.next)), (ids.clone(), "u=2025-01-03", Value::Null));
        }
    }
}

#[test]
fn an_ordered_chain_ends_where_nothing_new_can_follow() {
    // Ten records, two a page; the newest first.
    let answer = |request: &Request| {
        let page: i64 = asked(request, "page").unwrap().parse().unwrap();
        let ids = (page * 2..page * 2 + 2).map(|nth| 9 - nth).filter(|id| *id >= 0);
        json!({"data": ids.map(|id| json!({"id": id, "at": id})).collect::<Vec<_>>()})
    };
    let endpoint = |order: &str| {
        json!({"paginator": {"type": "page_number", "base_page": 0},
        "incremental": {"cursor_path": "at", "initial_value": 5, "row_order": order}})
    };
    let run = Run { window: 1, ..Run::of(endpoint("desc"), &answer) };
    let first = run.from(None);
    assert_eq!((first.ids(), first.queries()), (vec![9, 8, 7, 6, 5], vec!["page=0", "page=1", "page=2"]));
    // Nothing new: the first page shows that.
    let second = run.from(Some(&first.next));
    assert_eq!((second.ids(), second.queries()), (vec![], vec!["page=0"]));
    let mut ascending = Run { window: 1, ..Run::of(endpoint("asc"), &answer) };
    ascending.extent.until = Some("9".to_owned());
    assert_eq!(ascending.from(None).queries(), ["page=0"]);
}

#[test]
fn records_without_a_cursor_do_as_they_are_told() {
    let records = json!([{"id": 1, "at": 1}, {"id": 2}, {"id": 3, "at": null}]);
    let run = |missing: Value| {
        let endpoint = json!({"incremental": {"cursor_path": "at", "on_cursor_value_missing": missing}});
        Run::of(endpoint, &|_| json!({"data": records})).from(None)
    };
    assert_eq!(run(json!("include")).ids(), [1, 2, 3]);
    assert_eq!(run(json!("exclude")).ids(), [1]);
    for missing in [json!("raise"), Value::Null] {
        let error = run(missing).error.unwrap();
        assert_eq!(error.message, "a record has no cursor at `at`");
        assert!(error.advice.unwrap().starts_with("the record has the keys `id`; "));
        assert_eq!(error.pointer.as_deref(), Some("/resources/0/endpoint/incremental/cursor_path"));
    }
    let run = |initial: Value| {
        let endpoint = json!({"incremental": {"cursor_path": "at", "initial_value": initial}});
        Run::of(endpoint, &|_| json!({"data": [{"id": 1, "at": 1}]})).from(None)
    };
    let error = run(json!("2025-01-01")).error.unwrap();
    assert_eq!(error.kind, Kind::Schema);
    assert_eq!(
        error.message,
        "the cursor `at` is the number 1, and the value that it is compared with is the text \"2025-01-01\""
    );
    assert_eq!(run(json!("1")).ids(), [1]);
}

#[test]
fn replacing_runs_begin_anew_each_time() {
    // Reference, worked example 13.
    let run = |records: Value, state: Option<&str>| {
        let config = json!({"client": {"base_url": "http://api.example", "paginator": "single_page"}, "resources": [
            {"name": "r", "write_disposition": "replace", "endpoint": {"params": {"after": "{incremental.start_value}"},
                "incremental": {"cursor_path": "id", "initial_value": 0}}}]});
        Run::new(config, &|_| records.clone()).from(state)
    };
    let first = run(json!([{"id": 1}, {"id": 2}]), None);
    let second = run(json!([{"id": 1}, {"id": 2}]), Some(&first.next));
    assert_eq!((second.ids(), second.queries()), (vec![1, 2], vec!["after=0"]));
}

#[test]
fn a_range_that_a_person_asks_for_goes_before_the_state() {
    let endpoint = json!({"params": {"s": "{incremental.start_value}", "u": "{incremental.end_value}"},
        "incremental": {"cursor_path": "at", "initial_value": 0}});
    let records = json!((1..10).map(|id| json!({"id": id, "at": id})).collect::<Vec<_>>());
    let answer = |_: &Request| records.clone();
    let plain = Run::of(endpoint, &answer);
    let run = |since: Option<&str>, until: Option<&str>, full_refresh, state: Option<&str>| {
        let extent = Extent { since: since.map(str::to_owned), until: until.map(str::to_owned), full_refresh };
        Run { extent, ..plain.clone() }.from(state)
    };
    let first = run(None, Some("4"), false, None);
    assert_eq!((first.ids(), first.queries(), last(&first.next)), (vec![1, 2, 3], vec!["s=0&u=4"], json!(3)));
    // What was read is read again, and the cursor stays.
    let again = run(Some("2"), Some("3"), false, Some(&first.next));
    assert_eq!((again.ids(), again.queries(), last(&again.next)), (vec![2], vec!["s=2&u=3"], json!(3)));
    // A gap: the cursor does not jump over it.
    let gap = run(Some("6"), None, false, Some(&first.next));
    assert_eq!((gap.ids(), last(&gap.next)), (vec![6, 7, 8, 9], json!(3)));
    let anew = run(None, None, true, Some(&first.next));
    assert_eq!((anew.ids().len(), anew.queries(), last(&anew.next)), (9, vec!["s=0"], json!(9)));
}

/// Children of `parents` with a cursor each: `rows` are (parent, cursor, id).
fn children(per_parent: &Value) -> Value {
    let mut incremental = json!({"cursor_path": "at", "initial_value": 0});
    incremental.as_object_mut().unwrap().extend(per_parent.as_object().unwrap().clone());
    json!({"client": {"base_url": "http://api.example", "paginator": "single_page"}, "resources": [
        {"name": "parents", "selected": false},
        {"name": "r", "endpoint": {"path": "r", "params": {"p": "{resources.parents.id}", "s": "{incremental.start_value}"},
            "incremental": incremental}}]})
}

fn of_parents(parents: u64, rows: &[(u64, u64, u64)], request: &Request) -> Value {
    let Some(parent) = asked(request, "p").map(|parent| parent.parse::<u64>().unwrap()) else {
        return json!((0..parents).map(|id| json!({"id": id})).collect::<Vec<_>>());
    };
    let since: u64 = asked(request, "s").map_or(0, |since| since.parse().unwrap());
    let of = rows.iter().filter(|(of, at, _)| *of == parent && *at >= since);
    json!({"data": of.map(|(_, at, id)| json!({"id": id, "at": at})).collect::<Vec<_>>()})
}

#[test]
fn each_parent_has_a_cursor_of_its_own() {
    // Reference, worked example 6, with the late row that dlt misses.
    let mut rows = vec![(0, 500, 1), (1, 3, 2)];
    let first = Run::new(children(&json!({})), &|request| of_parents(2, &rows, request)).from(None);
    rows.push((1, 4, 3));
    rows.push((2, 1, 4));
    let second = Run::new(children(&json!({})), &|request| of_parents(3, &rows, request)).from(Some(&first.next));
    assert_eq!((first.ids(), second.ids()), (vec![1, 2], vec![3, 4]));
    assert_eq!(second.queries()[1..], ["p=0&s=500", "p=1&s=3", "p=2&s=0"]);

    let error = Run::new(children(&json!({"maximum_parents": 2})), &|request| of_parents(3, &rows, request)).from(None);
    assert_eq!(error.error.unwrap().message, "`r` has more than 2 parents, and a cursor is kept for each");
    let one = children(&json!({"maximum_parents": 2, "on_too_many_parents": "one_cursor"}));
    let first = Run::new(one.clone(), &|request| of_parents(3, &rows, request)).from(None);
    assert_eq!((first.ids().len(), first.warnings.len()), (4, 1));
    let second = Run::new(one, &|request| of_parents(3, &rows, request)).from(Some(&first.next));
    assert_eq!(second.queries()[1..], ["p=0&s=500", "p=1&s=500", "p=2&s=500"]);
    assert_eq!((second.ids(), second.warnings.len()), (vec![], 0));
}

#[test]
fn a_chain_that_was_skipped_is_read_again_from_where_it_began() {
    let config = |kind: Value| {
        let mut config = children(&kind);
        config["resources"][1]["on_error"] = json!("continue");
        config["resources"][1]["endpoint"]["paginator"] = json!({"type": "page_number", "base_page": 0});
        config["resources"][1]["endpoint"]["error_handler"] = json!({"max_retries": 0});
        config
    };
    // The second page of the parent 1 fails in the first run.
    let answer = |fails: bool| {
        move |request: &Request| {
            let page = asked(request, "page").map_or(0, |page| page.parse::<u64>().unwrap());
            let parent = asked(request, "p").map(|parent| parent.parse::<u64>().unwrap());
            match (parent, page) {
                (None, _) => json!([{"id": 0}, {"id": 1}, {"id": 2}]),
                (Some(1), 1) if fails => json!({"status": 500}),
                (Some(_), 2..) => json!([]),
                (Some(parent), page) => {
                    let at = parent * 100 + page;
                    let since: u64 = asked(request, "s").map_or(0, |since| since.parse().unwrap());
                    let records: Vec<Value> = vec![json!({"id": at, "at": at})];
                    json!(records.into_iter().filter(|_| at >= since).collect::<Vec<_>>())
                }
            }
        }
    };
    for (kind, rest) in [
        (json!({}), vec![100, 101]),
        (json!({"maximum_parents": 1, "on_too_many_parents": "one_cursor"}), vec![0, 1, 100, 101, 200, 201]),
    ] {
        let broken = answer(true);
        let whole = answer(false);
        let first = Run::new(config(kind.clone()), &broken).from(None);
        assert_eq!((&first.error, first.ids()), (&None, vec![0, 1, 100, 200, 201]));
        assert!(first.warnings.iter().any(|warning| warning.status == Some(500)), "{:?}", first.warnings);
        for (count, state) in &first.states {
            let resumed = Run::new(config(kind.clone()), &broken).from(Some(state));
            assert_eq!((resumed.ids(), &resumed.next), (first.ids()[*count..].to_vec(), &first.next));
        }
        let second = Run::new(config(kind), &whole).from(Some(&first.next));
        assert_eq!(second.ids(), rest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Rows come in order under each parent and in any order over all: each comes once, wherever a run was cut off.
    #[test]
    fn no_row_of_any_parent_is_late(
        moves in prop::collection::vec(prop::collection::vec((0u64..4, 0u64..4), 0..8), 3),
        seed in any::<u64>(),
        window in 1u32..6,
        max_rows in 1u32..5,
    ) {
        let mut rows: Vec<(u64, u64, u64)> = Vec::new();
        let mut furthest = [0u64; 4];
        let mut state: Option<String> = None;
        for step in moves {
            let before = rows.len() as u64;
            for (parent, by) in step {
                furthest[parent as usize] += by;
                rows.push((parent, furthest[parent as usize], rows.len() as u64));
            }
            let answer = |request: &Request| of_parents(4, &rows, request);
            let run = Run { seed, window, max_rows, ..Run::new(children(&json!({})), &answer) };
            let outcome = run.from(state.as_deref());
            prop_assert_eq!(&outcome.error, &None);
            let mut ids = outcome.ids();
            ids.sort_unstable();
            prop_assert_eq!(ids, (before as i64..rows.len() as i64).collect::<Vec<_>>());
            for (count, state) in &outcome.states {
                let rest = Run { seed: seed ^ 7, ..run.clone() }.from(Some(state));
                prop_assert_eq!(&rest.error, &None);
                prop_assert_eq!(rest.rows.len(), outcome.rows.len() - count);
                prop_assert_eq!(rest.ids(), outcome.ids()[*count..].to_vec());
                prop_assert_eq!(&rest.next, &outcome.next);
            }
            state = Some(outcome.next);
        }
    }

    /// Whatever comes, in whatever order, the cursor is at the furthest value that was ever read.
    #[test]
    fn a_cursor_never_moves_back(
        runs in prop::collection::vec(prop::collection::vec(-5i64..30, 0..6), 4),
        is_min in any::<bool>(),
        lag in prop::option::of(1u32..4),
        texts in any::<bool>(),
    ) {
        let function = if is_min { "min" } else { "max" };
        let endpoint = json!({"incremental": {"cursor_path": "at", "last_value_func": function, "lag": lag}});
        let mut state: Option<String> = None;
        let mut furthest: Option<i64> = None;
        for values in runs {
            let written = |at: &i64| if texts { json!(at.to_string()) } else { json!(at) };
            let records: Vec<Value> = values.iter().enumerate().map(|(id, at)| json!({"id": id, "at": written(at)})).collect();
            let outcome = Run::of(endpoint.clone(), &|_| json!({"data": records})).from(state.as_deref());
            prop_assert_eq!(&outcome.error, &None);
            furthest = values.iter().copied().chain(furthest).reduce(|a, b| if is_min { a.min(b) } else { a.max(b) });
            prop_assert_eq!(last(&outcome.next), furthest.as_ref().map_or(Value::Null, written));
            state = Some(outcome.next);
        }
    }

    /// The windows that are asked for lie one beside the other, and each record comes once, whether the API counts their ends or
    /// not, wherever a run was cut off, and over two runs.
    #[test]
    fn windows_cover_a_range_once(
        start in 0i64..50,
        days in 0i64..40,
        step in 1i64..9,
        is_closed in any::<bool>(),
        is_granular in any::<bool>(),
        seed in any::<u64>(),
        max_rows in 1u32..9,
    ) {
        let date = |day: i64| (jiff::civil::date(2025, 1, 1) + jiff::Span::new().days(day)).to_string();
        let mut incremental = json!({"cursor_path": "at", "initial_value": date(start), "end": "now", "step": format!("P{step}D")});
        if is_granular {
            incremental["granularity"] = json!("P1D");
        }
        let endpoint = json!({"params": {"s": "{incremental.start_value}", "u": "{incremental.end_value}"},
            "incremental": incremental});
        let answer = |request: &Request| {
            let (from, to) = (asked(request, "s").unwrap(), asked(request, "u").unwrap());
            let is_in = |day: &i64| {
                let date = date(*day);
                // With a granularity the end is that of an API which counts it.
                from <= date && (date < to || (date == to && (is_closed || is_granular)))
            };
            json!({"data": (0..120).filter(is_in).map(|day| json!({"id": day, "at": date(day)})).collect::<Vec<_>>()})
        };
        // Noon of the last day.
        let now = |day: i64| (1_735_689_600_000 + day * 86_400_000 + 43_200_000) as u64;
        let run = Run { seed, max_rows, now: now(start + days), ..Run::of(endpoint, &answer) };
        let first = run.from(None);
        prop_assert_eq!(&first.error, &None);
        prop_assert_eq!(first.ids(), (start..=start + days).collect::<Vec<_>>());
        let mut bounds: Vec<(String, String)> = first.queries().iter().map(|query| {
            let (from, to) = query.split_once('&').unwrap();
            (from.replace("s=", ""), to.replace("u=", ""))
        }).collect();
        bounds.sort();
        prop_assert_eq!(bounds.len() as i64, (days + step) / step);
        for pair in bounds.windows(2) {
            let end: jiff::civil::Date = pair[0].1.parse().unwrap();
            let next = if is_granular { end.tomorrow().unwrap() } else { end };
            prop_assert_eq!(&next.to_string(), &pair[1].0);
        }
        for (count, state) in &first.states {
            // A run that goes on another day reads what it was opened for.
            let rest = Run { seed: seed ^ 7, now: now(start + days + 20), ..run.clone() }.from(Some(state));
            prop_assert_eq!(rest.ids(), first.ids()[*count..].to_vec());
            prop_assert_eq!(&rest.next, &first.next);
        }
        let second = Run { now: now(start + days + 5), ..run.clone() }.from(Some(&first.next));
        prop_assert_eq!(second.ids(), (start + days + 1..=start + days + 5).collect::<Vec<_>>());
    }
}
