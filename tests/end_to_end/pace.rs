//! Quotas, timeouts and chains that fail, over real sockets.

use std::{fs, io::Read as _, net::TcpListener, path::Path, thread};

use mock_api::scripted::ScriptedApi;
use serde_json::{Value, json};

use crate::program::{Call, Outcome};

/// Runs a source against this API, into a database in the folder.
fn run(folder: &Path, base_url: &str, client: Value, resources: Value) -> Outcome {
    let mut source = json!({"client": {"base_url": base_url, "paginator": "single_page"}, "resources": resources});
    source["client"].as_object_mut().unwrap().extend(client.as_object().unwrap().clone());
    fs::write(folder.join("case.json"), json!({"name": "case", "source": source}).to_string()).unwrap();
    Call::new(folder, &["run", "case.json", "--to", "duckdb:out.duckdb", "--summary", "json"])
        .with(["--allow-private", base_url])
        .outcome()
}

#[test]
fn a_quota_is_kept_to_with_a_rate_limit_and_without() {
    for (how, client) in [("rate_limit", json!({"rate_limit": {"requests": 50, "per": 1}})), ("adaptive", json!({}))] {
        let parents: Vec<Value> = (0..199).map(|id| json!({"id": id})).collect();
        let script = json!({"quota": {"requests": 50, "per": 1}, "routes": [
            {"path": "/parents", "records": parents}, {"path": "/parents/{parent}", "count": 1}]});
        let api = ScriptedApi::start(serde_json::from_value(script).unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let resources = json!([{"name": "parents", "endpoint": "parents"},
            {"name": "children", "endpoint": {"path": "parents/{resources.parents.id}", "data_selector": "$"}}]);
        let summary = run(folder.path(), api.base_url(), client, resources).ended_with(0).summary();
        assert_eq!(summary.of_resource("children", "rows"), 199);
        let (asked, refused) = (api.asked().len() as u64, summary.of_all("retries"));
        let waits = summary.of_all("waits");
        println!("{how}: {asked} requests, {refused} refused, {waits} waits of {} ms", summary.of_all("waited_ms"));
        assert_eq!(asked, 200 + refused);
        assert!(refused * 100 <= asked, "{refused} of {asked} were refused");
    }
}

#[test]
fn a_silent_server_is_waited_for_no_longer_than_the_file_says() {
    // Takes connections and requests, and answers none.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let silent = thread::spawn(move || {
        let read = |_| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            // Until the program gives up.
            stream.read_to_end(&mut request).unwrap();
            String::from_utf8_lossy(&request).starts_with("GET /r HTTP/1.1\r\n")
        };
        (0..4).all(read)
    });
    for timeouts in [json!({"first_byte": 0.1}), json!({"total": 0.1})] {
        let folder = tempfile::tempdir().unwrap();
        let client = json!({"timeouts": timeouts, "error_handler": {"max_retries": 1, "backoff_factor": 0}});
        let outcome = run(folder.path(), &base_url, client, json!(["r"])).ended_with(4);
        assert!(
            outcome.stderr.contains("the time was up") || outcome.stderr.contains("the response took too long"),
            "{}",
            outcome.stderr
        );
        outcome.says(&["attempts: 2"]);
    }
    assert!(silent.join().unwrap());
}

#[test]
fn what_is_left_out_is_told_in_the_summary() {
    let records: Vec<Value> = (0..15).map(|id| json!({"id": id})).collect();
    let script = json!({"routes": [{"path": "/parents", "records": records},
        {"path": "/parents/3", "answers": [{"body": [{"id": 1}]}]},
        {"path": "/parents/{parent}", "answers": [{"status": 404}]}]});
    let api = ScriptedApi::start(serde_json::from_value(script).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let resources = json!([{"name": "parents", "endpoint": "parents"}, {"name": "children", "on_error": "continue",
        "endpoint": {"path": "parents/{resources.parents.id}", "params": {"key": "s3cr3t"}, "data_selector": "$"}}]);
    let outcome = run(folder.path(), api.base_url(), json!({}), resources).ended_with(0).never_says("s3cr3t");
    let summary = outcome.summary();
    assert_eq!(summary.of_resource("children", "rows"), 1);
    let warnings = summary.0["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 11, "{warnings:?}");
    let first = warnings[0].as_str().unwrap();
    for part in ["left out", "resource: children", "status: 404", "/parents/0?key=***"] {
        assert!(first.contains(part), "{part:?} is missing in {first}");
    }
    outcome.says(&["4 more records"]);
}
