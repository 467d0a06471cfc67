//! Bodies of every form, and steps on the way from a page to its rows.

use super::chain_tests::{Run, asked, ids, records};
use super::simulated::ok;
use super::transport::Failure;
use crate::error::Kind;
use crate::request::{Request, Response};
use serde_json::{Value, json};

/// A response with this content type and body.
fn with(kind: &str, body: &str) -> Response {
    let headers = vec![("content-type".to_owned(), kind.to_owned())];
    Response { status: 200, headers, body: body.as_bytes().to_vec() }
}

#[test]
fn an_empty_body_is_an_empty_page() {
    // The second of three pages has nothing in it, and each of these rules leads past it.
    let answer = |request: &Request| {
        let page = asked(request, "page").or(asked(request, "cursor")).unwrap_or(0);
        let cursor = ("x-next".to_owned(), (page + 1).to_string());
        let headers = if page < 2 { vec![cursor] } else { Vec::new() };
        match page {
            1 => Ok(Response { status: 204, headers, body: Vec::new() }),
            page => ok(json!({"list": records(page, page + 1), "total": 3}))
                .map(|response| Response { headers, ..response }),
        }
    };
    for paginator in [
        json!({"type": "header_cursor", "cursor_key": "x-next"}),
        json!({"type": "page_number", "stop_after_empty_page": false, "maximum_page": 2}),
    ] {
        let outcome = Run::new(json!({"paginator": paginator}), &answer).whole();
        assert_eq!((outcome.rows, outcome.error), (vec!["0".to_owned(), "2".to_owned()], None), "{paginator}");
    }
    // Without its total, nothing tells that a page follows.
    let paginator = json!({"type": "page_number", "stop_after_empty_page": false});
    let outcome = Run { window: 1, ..Run::new(json!({"paginator": paginator}), &answer) }.whole();
    assert_eq!((outcome.rows, outcome.error), (ids(0, 1), None));
    // The first page with something in it tells where the records are.
    let answer = |request: &Request| match asked(request, "page").unwrap() {
        0 => Ok(with("application/json", " \n")),
        1 => ok(json!({"boats": [{"id": 0}]})),
        _ => ok(json!({"data": [{"id": 9}], "boats": []})),
    };
    let paginator =
        json!({"type": "page_number", "stop_after_empty_page": false, "maximum_page": 2, "total_path": null});
    let outcome = Run::new(json!({"paginator": paginator}), &answer).whole();
    assert_eq!((outcome.rows, outcome.error, outcome.warnings), (ids(0, 1), None, vec![]));
    let answer = |_: &Request| Ok(with("", ""));
    let outcome = Run::new(json!({"data_selector": "data.list"}), &answer).whole();
    assert_eq!((outcome.rows.len(), outcome.error, outcome.warnings), (0, None, vec![]));
}

#[test]
fn pages_are_lines_or_values_between_commas() {
    let answer = |request: &Request| {
        let page = asked(request, "cursor").unwrap_or(0);
        let mut response = match request.url.path() {
            "/lines" => {
                with("application/x-ndjson", &format!("{{\"id\": {}}}\n\n{{\"id\": {}}}\n", page * 2, page * 2 + 1))
            }
            _ => with("text/csv", &format!("id,name\n{},a\n{},b\n", page * 2, page * 2 + 1)),
        };
        if page < 2 {
            response.headers.push(("next".to_owned(), (page + 1).to_string()));
        }
        Ok(response)
    };
    let lines = Run { max_rows: 1, ..Run::new(json!({"path": "lines", "paginator": "header_cursor"}), &answer) };
    let outcome = lines.whole();
    assert_eq!((&outcome.rows, &outcome.error), (&ids(0, 6), &None));
    for (before, state) in &outcome.states {
        assert_eq!(lines.from(Some(state)).rows, ids(*before as u64, 6), "from {state}");
    }
    let outcome = Run::new(json!({"path": "csv", "paginator": "header_cursor"}), &answer).whole();
    assert_eq!(outcome.rows, (0..6).map(|id| format!("\"{id}\"")).collect::<Vec<_>>());
    let error = Run::new(json!({"path": "csv", "response_format": "json"}), &answer).whole().error.unwrap();
    assert_eq!((error.kind, error.status), (Kind::Upstream, Some(200)));
    assert!(
        error.message.contains("its content type is `text/csv`, and it begins with \"id,name 0,a 1,b \""),
        "{error}"
    );
    assert_eq!(error.url.as_deref(), Some("http://api.example/csv"));
}

#[test]
fn a_selector_without_a_match_on_the_first_page_is_warned_of_once() {
    let answer = |request: &Request| match asked(request, "page").unwrap() {
        0 => ok(json!({"data": {"records": [1], "meta": {}}})),
        _ => ok(json!({"data": {}})),
    };
    let paginator = json!({"type": "page_number", "stop_after_empty_page": false, "maximum_page": 3});
    let endpoint = json!({"data_selector": "data.recrods", "paginator": paginator});
    let outcome = Run::new(endpoint, &answer).whole();
    let [warning] = outcome.warnings.as_slice() else { panic!("{:?}", outcome.warnings) };
    assert_eq!(warning.pointer.as_deref(), Some("/resources/0/endpoint/data_selector"));
    assert_eq!(warning.advice.as_deref(), Some("did you mean `records`?"));
    // A list that is there is a match, though it is empty.
    let outcome =
        Run::new(json!({"data_selector": "data.meta"}), &|_: &Request| ok(json!({"data": {"meta": []}}))).whole();
    assert_eq!(outcome.warnings, []);
}

/// Five parents in pages of two, with two children each; every page of children has a `page` of its own.
fn family(request: &Request) -> Result<Response, Failure> {
    match request.url.path() {
        "/parents" => {
            let page = asked(request, "page").unwrap();
            let parent = |id: u64| json!({"id": id, "geo": {"cc": if id.is_multiple_of(2) { "FI" } else { "SE" }}, "kids": [id * 10, id * 10 + 1]});
            ok((page * 2..5.min(page * 2 + 2)).map(parent).collect::<Vec<_>>().into())
        }
        path => {
            let parent: u64 = path.trim_start_matches("/kids/").trim_end_matches("/list").parse().unwrap();
            ok(match asked(request, "page").unwrap() {
                0 => json!([{"id": parent * 10}, {"id": parent * 10 + 1}]),
                _ => json!([]),
            })
        }
    }
}

fn family_of(parents: Value, children: Value) -> Value {
    json!({
        "client": {"base_url": "http://api.example", "paginator": {"type": "page_number", "total_path": null}},
        "resources": [
            {"name": "parents", "processing_steps": parents},
            {"name": "kids", "endpoint": {"path": "kids/{resources.parents.id}/list"}, "processing_steps": children},
        ]
    })
}

#[test]
fn children_see_the_records_after_the_steps_of_their_parent() {
    let parents =
        json!([{"filter": "record.geo.cc == 'FI'"}, {"map": {"set": {"half": "record.id // 2"}, "drop": ["kids"]}}]);
    let children = json!([
        {"filter": "record.id % 10 == parent.half % 2 or parent.nope"},
        {"map": {"set": {"id": "[record.id, parent.geo.cc, params.page, run.load_id, run.started_at]"}}},
        {"map": {"set": {"id": "record.id|join(' ')"}}},
    ]);
    let mut run = Run { max_rows: 1, ..Run::new(json!({}), &family) };
    run.config = family_of(parents, children);
    let expected = [
        "0",
        "2",
        "\"0 FI 0 1 1970-01-01T00:00:01Z\"",
        "\"21 FI 0 1 1970-01-01T00:00:01Z\"",
        "4",
        "\"40 FI 0 1 1970-01-01T00:00:01Z\"",
    ];
    for (seed, window) in [(0, 1), (1, 8), (2, 64)] {
        let run = Run { seed, window, config: run.config.clone(), ..Run::new(json!({}), &family) };
        let outcome = run.whole();
        assert_eq!(outcome.error, None);
        let mut rows = outcome.rows.clone();
        rows.sort();
        let mut sorted = expected.to_vec();
        sorted.sort_unstable();
        assert_eq!(rows, sorted);
        assert_eq!(outcome.filtered, 2 + 3);
        assert!(!outcome.requests.iter().any(|request| request.contains("kids/1") || request.contains("kids/3")));
    }
    let outcome = run.whole();
    for (before, state) in &outcome.states {
        assert_eq!(run.from(Some(state)).rows, outcome.rows[*before..], "from {state}");
    }
}

#[test]
fn one_record_in_many_rows_is_gone_on_with_in_its_midst() {
    let parents = json!([{"explode": {"path": "kids", "as": "id"}}]);
    let config = family_of(parents, json!([{"filter": "false"}]));
    let answer = |request: &Request| match request.url.path() {
        "/parents" => family(request),
        _ => ok(json!([])),
    };
    let run = Run { config, max_rows: 1, ..Run::new(json!({}), &answer) };
    let outcome = run.whole();
    assert_eq!(outcome.rows, ["0", "1", "10", "11", "20", "21", "30", "31", "40", "41"]);
    for (before, state) in &outcome.states {
        assert_eq!(run.from(Some(state)).rows, outcome.rows[*before..], "from {state}");
    }
}

#[test]
fn what_steps_leave_of_a_page_does_not_count_for_its_paginator() {
    // Pages one to three have nothing that is kept, and page five is page four again.
    let answer = |request: &Request| {
        let page = asked(request, "page").unwrap().min(4);
        ok(json!({"data": [{"id": page}]}))
    };
    let config = |filter: &str| {
        let resource =
            json!({"name": "r", "processing_steps": [{"filter": filter}], "endpoint": {"paginator": "page_number"}});
        json!({"client": {"base_url": "http://api.example"}, "resources": [resource]})
    };
    for filter in ["record.id == 0 or record.id == 4", "false"] {
        let outcome = Run { config: config(filter), ..Run::new(json!({}), &answer) }.whole();
        assert_eq!(outcome.rows.len(), if filter == "false" { 0 } else { 2 });
        let error = outcome.error.unwrap();
        assert!(error.message.starts_with("the chain of pages does not advance"), "{error}");
        assert_eq!(error.url.as_deref(), Some("http://api.example/r?page=5"));
    }
}

#[test]
fn a_step_that_fails_ends_the_run_and_no_credential_is_among_params() {
    let answer = |_: &Request| ok(json!({"data": [{"id": 0}, {"id": "x", "secret": "hunter2"}]}));
    let of = |step: Value, auth: Value| {
        let resource = json!({"name": "r", "processing_steps": [step], "endpoint": {"params": {"q": ["a", "b"], "token": "hunter2"}}});
        json!({"client": {"base_url": "http://api.example", "auth": auth, "paginator": "single_page"}, "resources": [resource]})
    };
    let config = of(json!({"map": {"cast": {"id": "int"}}}), Value::Null);
    let error = Run { config, ..Run::new(json!({}), &answer) }.whole().error.unwrap();
    assert_eq!(error.pointer.as_deref(), Some("/resources/0/processing_steps/0/map"));
    assert_eq!((error.status, error.resource.as_deref()), (Some(200), Some("r")));
    assert!(error.message.ends_with("; the record is {\"id\": \"x\", \"secret\": ***}"), "{error}");

    let auth = json!({"type": "api_key", "name": "k", "api_key": "hunter2", "location": "query"});
    let config = of(json!({"map": "{'id': params|tojson}"}), auth);
    let outcome = Run { config, ..Run::new(json!({}), &answer) }.whole();
    assert_eq!(outcome.rows[0], json!("{\"q\":[\"a\",\"b\"]}").to_string());
    assert!(outcome.requests[0].contains("k=hunter2") && outcome.requests[0].contains("token=hunter2"));
}

#[test]
fn what_an_expression_names_of_a_parent_must_be_there_to_be_had() {
    let defect = |config: Value| {
        let config = config.to_string();
        let source = crate::plan::Source { config: &config, params: "{}", bindings: "{}" };
        let error = crate::plan::Plan::new(&source).err().unwrap().swap_remove(0);
        (error.pointer.unwrap(), error.message)
    };
    let place = "/resources/1/processing_steps/0/filter".to_owned();
    let (pointer, message) = defect(family_of(json!([]), json!([{"filter": "parent"}])));
    assert_eq!(
        (pointer, &*message),
        (place, "the expression uses `parent` as a whole, and only the fields that it names are kept")
    );
    let (pointer, message) = defect(family_of(json!([{"filter": "parent.id"}]), json!([])));
    assert_eq!(pointer, "/resources/0/processing_steps/0/filter");
    assert_eq!(message, "the expression uses `parent`, and `parents` depends on no other resource");
}
