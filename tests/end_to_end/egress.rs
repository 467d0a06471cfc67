//! Where requests go when the API says so, and what of a secret comes back.

use std::fs;

use mock_api::scripted::ScriptedApi;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    program::{Call, Outcome},
    tables::json_rows,
};

/// Occurs nowhere else.
const TOKEN: &str = "t0ken/1b9f+6c04a7e2";

fn api(routes: Value) -> ScriptedApi {
    ScriptedApi::start(serde_json::from_value(json!({"routes": routes})).unwrap()).unwrap()
}

/// Runs resources with a bearer token against an API, which is allowed under both of its origins.
fn run(api: &ScriptedApi, folder: &TempDir, resources: Value) -> Outcome {
    let client = json!({"base_url": api.base_url(), "auth": {"token": {"secret": "key"}}, "paginator": "single_page"});
    let pipeline = json!({"name": "case", "source": {"client": client, "resources": resources}});
    let text = pipeline.to_string().replace("$other", &other(api));
    fs::write(folder.path().join("case.json"), text).unwrap();
    Call::new(
        folder.path(),
        &["run", "case.json", "--to", "duckdb:out.duckdb", "--dataset", "data", "--summary", "json"],
    )
    .with(["--allow-private", api.base_url(), "--allow-private", &other(api), "--secret", "key=env:SPILE_TEST_TOKEN"])
    .env("SPILE_TEST_TOKEN", TOKEN)
    .outcome()
}

/// The same server as another origin.
fn other(api: &ScriptedApi) -> String {
    api.base_url().replace("127.0.0.1", "localhost")
}

fn asked(api: &ScriptedApi) -> Vec<String> {
    api.asked().iter().map(ToString::to_string).collect()
}

fn to(path: &str, status: u16, location: &str) -> Value {
    json!({"path": path, "answers": [{"status": status, "headers": {"location": location}}]})
}

#[test]
fn a_redirect_is_followed_and_a_credential_stays_with_its_origin() {
    let api = api(json!([
        to("/here", 301, "/there?page=1"),
        {"path": "/there", "records": [{"id": 1}]},
        to("/away", 302, "$other/else"),
        {"path": "/else", "records": [{"id": 2}]},
        {"path": "/named", "records": [{"id": 3}]},
    ]));
    let folder = tempfile::tempdir().unwrap();
    let resources = json!(["here", "away", {"name": "named", "endpoint": {"path": "$other/named", "auth": null}}]);
    let summary = run(&api, &folder, resources).ended_with(0).summary();
    assert_eq!((summary.of_resource("here", "requests"), summary.of_resource("away", "rows")), (2, 1));
    let asked = asked(&api);
    let signed = format!(" authorization: Bearer {TOKEN}");
    for expected in [format!("GET /there?page=1{signed}"), format!("GET /away{signed}"), "GET $other/else".to_owned()] {
        assert!(asked.contains(&expected), "{expected}: {asked:?}");
    }
}

#[test]
fn a_redirect_leads_to_no_origin_that_the_file_does_not_name_and_ends() {
    let api = api(json!([
        to("/away", 302, "$other/else"),
        {"path": "/else", "records": [{"id": 1}]},
        to("/round", 307, "/round"),
        to("/metadata", 302, "http://169.254.169.254/latest"),
        to("/file", 302, "file:///etc/passwd"),
    ]));
    for (resource, why) in [
        ("away", "which the configuration does not name"),
        ("round", "there were 10 in a row"),
        ("metadata", "which the configuration does not name"),
        ("file", "something else than HTTP"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        run(&api, &folder, json!([resource])).ended_with(4).says(&["the redirect was not followed", why, resource]);
    }
    assert_eq!(asked(&api).iter().filter(|asked| asked.contains("/round")).count(), 11);
    assert!(!asked(&api).iter().any(|asked| asked.contains("/else")));
}

#[test]
fn a_secret_that_an_api_sends_back_is_masked() {
    let page = |id: u64, next: Value| {
        let echo = format!("you are {TOKEN}, or {}", TOKEN.replace('/', "\\/"));
        json!({"next": next, "items": [{"id": id, "echo": echo, "long": format!("{}{TOKEN}", "x".repeat(100_000))}]})
    };
    let next = format!("$api/pages?key={}&page=2", TOKEN.replace('/', "%2F").replace('+', "%2B"));
    let api = api(json!([
        {"path": "/pages", "answers": [
            {"query": {"key": TOKEN}, "headers": {"x-echo": TOKEN}, "body": page(1, json!(next))},
            {"query": {"key": TOKEN, "page": "2"}, "body": page(2, Value::Null)},
        ]},
        {"path": "/fails", "answers": [{"status": 400, "body": {"error": format!("no such key: {TOKEN}")}}]},
    ]));
    let folder = tempfile::tempdir().unwrap();
    let paginator = json!({"type": "json_link", "next_url_path": "next"});
    let endpoint = json!({"path": "pages", "params": {"key": {"secret": "key"}}, "data_selector": "items", "paginator": paginator});
    run(&api, &folder, json!([{"name": "pages", "endpoint": endpoint}])).ended_with(0).never_says(TOKEN);
    // The link is asked for with the secret, though the connector never saw it.
    assert_eq!(asked(&api).iter().filter(|asked| asked.contains(TOKEN)).count(), 2, "{:?}", asked(&api));
    let rows = json_rows(folder.path(), "SELECT id, echo, length(long) AS length FROM data.pages ORDER BY id");
    assert_eq!(rows.len(), 2);
    let raw = fs::read(folder.path().join("out.duckdb")).unwrap();
    for form in [TOKEN, &TOKEN.replace('/', "%2F").replace('+', "%2B")] {
        assert!(!raw.windows(form.len()).any(|window| window == form.as_bytes()), "{form} is in the database");
    }
    assert!(rows[0].contains("you are spile-slot-"), "{rows:?}");

    run(&api, &folder, json!(["fails"])).ended_with(4).never_says(TOKEN);
}
