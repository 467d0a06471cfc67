//! What is fuzzed: each target takes any bytes, and must come to an end without a panic.
//!
//! | target | what |
//! |---|---|
//! | `config` | a configuration, and a run of it against an API that answers the same to everything |
//! | `expression` | an expression, and a record as JSON after a line feed |
//! | `response` | a body in any form, through all paginators, detection, selectors, steps and shaping |
//! | `shaping` | a JSON document as a record, under several contracts, into Arrow and back |
//! | `header` | status and headers: links, cursors, waits, quotas, content types |
//!
//! `scripts/fuzz.sh` fuzzes; `replay.rs` runs what is kept in `corpus/` with the other tests.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use arrow_array::Array as _;
use arrow_ipc::reader::StreamReader;
use serde_json::{Value, json};
use spile_connector::action::Actions;
use spile_connector::config::model;
use spile_connector::expression::{self, Expression};
use spile_connector::paginate::{self, Page, Paginator, Position};
use spile_connector::plan::{Plan, Source};
use spile_connector::records::Records;
use spile_connector::request::Response;
use spile_connector::response::{self, Format};
use spile_connector::retry::Retry;
use spile_connector::select::Selector;
use spile_connector::shape::{Shaper, Target, encode, schema::Schema};
use spile_connector::steps::{Scope, Steps};
use std::sync::LazyLock;
use url::Url;

/// A target by name.
pub fn target(name: &str) -> fn(&[u8]) {
    match name {
        "config" => config,
        "expression" => expression,
        "response" => response,
        "shaping" => shaping,
        "header" => header,
        other => panic!("there is no target {other}"),
    }
}

/// The names of all targets.
pub const TARGETS: [&str; 5] = ["config", "expression", "response", "shaping", "header"];

/// A configuration as text.
pub fn config(data: &[u8]) {
    let Ok(config) = std::str::from_utf8(data) else { return };
    let source = Source { config, params: r#"{"user_id": "u"}"#, bindings: r#"{"app_id": "apps.id"}"# };
    match Plan::new(&source) {
        Ok(plan) => {
            let described = plan.describe();
            assert!(described.resources.len() <= config.len());
            world::run(&source);
        }
        Err(errors) => assert!(!errors.is_empty(), "refused without a reason"),
    }
}

/// An expression, a line feed, and a record.
pub fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, record) = text.split_once('\n').unwrap_or((text, "{}"));
    let record: Value =
        serde_json::from_str(record).unwrap_or_else(|_| json!({"id": 1, "a": {"b": [1, 2.5, "x", null]}}));
    let Ok(expression) = Expression::parse(text, &["record", "page"], "filter", "/p") else { return };
    let value = |name: &str| match name {
        "record" => expression::value(&record),
        _ => expression::value(&json!({"index": 3})),
    };
    let _ = expression.holds(value);
    let _ = expression.json(value);
}

static PAGINATORS: LazyLock<Vec<Paginator>> = LazyLock::new(|| {
    let configs = [
        json!({"type": "json_link", "next_url_path": "next"}),
        json!({"type": "header_link"}),
        json!({"type": "header_cursor", "cursor_key": "next"}),
        json!({"type": "offset", "limit": 2, "total_path": "total", "has_more_path": "more"}),
        json!({"type": "page_number", "total_path": "total", "maximum_page": 7}),
        json!({"type": "cursor", "cursor_path": "next", "stop_when": "response.more == 0 or records > 9"}),
        json!({"type": "cursor", "last_record": "id"}),
    ];
    let read = |config: &Value| serde_json::from_value::<model::Paginator>(config.clone()).unwrap();
    configs.iter().map(|config| Paginator::new(&read(config), "/p").unwrap().unwrap()).collect()
});

static STEPS: LazyLock<Steps> = LazyLock::new(|| {
    let steps = json!([
        {"filter": "record.id is defined"},
        {"map": {"set": {"n": "record.id|string|length", "a.b": "record.name|default('')|lower"}, "rename": {"next": "after"},
            "drop": ["more"], "cast": {"id": "text", "total": "int"}}},
        {"explode": {"path": "items", "as": "item", "outer": true}}
    ]);
    Steps::new(&serde_json::from_value::<Vec<model::ProcessingStep>>(steps).unwrap(), "/s").unwrap()
});

static SELECTORS: LazyLock<Vec<Selector>> = LazyLock::new(|| {
    ["data", "$", "$..id", "data[*].items[*]", "data[?(@.id > 1)]", "items[-1:]"]
        .iter()
        .map(|path| Selector::parse(path, "/s").unwrap())
        .collect()
});

/// A body: of what form it is said to be by its first byte.
pub fn response(data: &[u8]) {
    let Some((form, body)) = data.split_first() else { return };
    let format = match form % 4 {
        0 => None,
        1 => Some(json!("json")),
        2 => Some(json!("ndjson")),
        _ => Some(json!({"type": "csv", "delimiter": ";"})),
    };
    let format = format.map(|format| Format::new(&serde_json::from_value(format).unwrap(), "/f").unwrap());
    let answer = || Response {
        status: 200,
        headers: vec![("link".to_owned(), "<?p=2>; rel=next".to_owned())],
        body: body.to_vec(),
    };
    let read = || response::read(&mut answer(), format.as_ref());
    let Ok(first) = read() else { return };
    let detected = first.detect(&answer());
    for selector in SELECTORS.iter().chain(&detected) {
        let page = |is_whole| read().unwrap().page(&answer(), selector, is_whole);
        let (Ok(beside), Ok(whole)) = (page(false), page(true)) else { continue };
        assert_eq!(beside.is_matched, whole.is_matched);
        assert_eq!(beside.records.len(), whole.records.len());
        follow(&answer(), &beside, selector);
        follow(&answer(), &whole, selector);
    }
    let Ok(page) = detected.and_then(|detected| first.page(&answer(), &detected, false)) else { return };
    let Ok(values) = page.records.values() else { return };
    let Ok((values, _)) = STEPS.run(values, &Scope::default()) else { return };
    let records = Records::of_values(&values);
    let mut shaper = Shaper::new("1".to_owned(), Schema::default());
    for record in records.from(0) {
        if shaper.add(&TARGET, record, &[7; 10]).is_err() {
            return;
        }
    }
    let _ = shaper.take();
}

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let resource = json!({"name": "r", "max_table_nesting": 5, "write_disposition": "merge"});
    Target::new(&serde_json::from_value(resource).unwrap(), "/resources/0").unwrap()
});

static SHAPED: LazyLock<Vec<Target>> = LazyLock::new(|| {
    let resources = [
        json!({"name": "r"}),
        json!({"name": "r", "max_table_nesting": 1, "write_disposition": "merge", "schema_contract": "discard_row"}),
        json!({"name": "r", "on_collision": "suffix", "widen": true, "schema_contract": "discard_value"}),
        json!({"name": "r", "columns": {"a": {"data_type": "decimal"}, "b": {"data_type": "time"}, "c": {"data_type": "binary"},
            "d": {"data_type": "date"}, "e": {"data_type": "timestamp", "timezone": false}, "f": {"data_type": "json"}}}),
    ];
    let target = |resource| Target::new(&serde_json::from_value(resource).unwrap(), "/resources/0").unwrap();
    resources.into_iter().map(target).collect()
});

/// Records, one a line; the first byte says how they are shaped. What is kept must be as many rows in Arrow.
pub fn shaping(data: &[u8]) {
    let Some((form, records)) = data.split_first() else { return };
    let Ok(records) = std::str::from_utf8(records) else { return };
    let target = &SHAPED[usize::from(*form) % SHAPED.len()];
    let mut schema = Schema::default();
    for load in ["1", "2"] {
        let mut shaper = Shaper::new(load.to_owned(), schema.clone());
        let mut kept = 0;
        for record in records.lines() {
            match shaper.add(target, record, &[7; 10]) {
                Ok(added) => kept += usize::from(added.is_kept),
                Err(_) => return,
            }
        }
        let batch = shaper.take().unwrap();
        let rows = batch.tables.iter().find(|table| table.parent.is_none()).map_or(0, |table| table.rows.num_rows());
        assert_eq!(rows, kept);
        for table in &batch.tables {
            let bytes = encode::arrow(&table.rows).unwrap();
            let mut reader = StreamReader::try_new(bytes.as_slice(), None).unwrap();
            let read = reader.next().unwrap().unwrap();
            for column in read.columns() {
                column.to_data().validate_full().unwrap();
            }
            assert_eq!(read, table.rows);
            assert_eq!(encode::ndjson(&read).unwrap().lines().count(), read.num_rows());
        }
        if let Some(text) = batch.schema {
            schema = Schema::parse(&text).unwrap();
        }
    }
}

fn follow(answer: &Response, read: &response::Page, selector: &Selector) {
    let url = Url::parse("http://h.example/v1/things?size=2").unwrap();
    let last_record = read.records.last().unwrap_or_default();
    let page = Page {
        url: &url,
        headers: &answer.headers,
        body: &read.head,
        selector: Some(selector),
        records: read.records.len() as u64,
        last_record: last_record.as_ref(),
        index: 0,
    };
    for paginator in PAGINATORS.iter() {
        for position in [paginator.first(), Position::Page(u64::MAX - 1), Position::Offset(u64::MAX - 1)] {
            let _ = paginator.next(&position, &page);
            let _ = paginator.shows_cap(&position, &page);
        }
    }
    let _ = paginate::detect(&page);
}

static ACTIONS: LazyLock<Actions> = LazyLock::new(|| {
    let rules = json!([{"status_code": "4xx", "when": "headers.retry is defined and status < 499", "action": "retry"},
        {"path": "errors", "action": "fail"}, {"content": "quota", "action": "end"}]);
    Actions::new(&serde_json::from_value::<Vec<model::ResponseAction>>(rules).unwrap(), "/a").unwrap()
});

/// Two bytes for the status, then lines `name: value`; what comes after an empty line is the body.
pub fn header(data: &[u8]) {
    let Some((status, rest)) = data.split_at_checked(2) else { return };
    let status = 100 + (u16::from(status[0]) * 256 + u16::from(status[1])) % 500;
    let text = String::from_utf8_lossy(rest);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, "{}"));
    let headers = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let mut answer = Response { status, headers: headers.collect(), body: body.as_bytes().to_vec() };
    let retry = Retry::default();
    for now in [0, 1_790_000_000_000, u64::MAX] {
        let _ = retry.after(1, Some(&answer), now, 0.5);
        let _ = spile_connector::quota::told(&answer, now);
        let _ = spile_connector::quota::asked(&answer, now);
    }
    let _ = ACTIONS.decide(&answer);
    let read = response::read(&mut answer, None).and_then(|body| body.page(&answer, &SELECTORS[0], false));
    if let Ok(page) = read {
        follow(&answer, &page, &SELECTORS[0]);
    }
}
