//! What is not on a tape: secrets and tokens; and that what was denied stays so.

use std::fs;

use mock_api::scripted::ScriptedApi;
use serde_json::json;

use super::{
    SECRET,
    har::{assert_har, entries, having, read},
};
use crate::program::Call;

/// An API that sends back what it was sent, in a body and in a header. A secret of some length is masked before the connector
/// sees it; a short one is taken out of the tape only.
#[test]
fn a_secret_that_comes_back_is_not_on_the_tape() {
    assert!(!warns_of_what_comes_back(SECRET));
    assert!(warns_of_what_comes_back("t0kens"));
}

fn warns_of_what_comes_back(secret: &str) -> bool {
    let echo = json!({"routes": [{"path": "/things", "answers": [
        {"headers": {"x-echo": secret, "set-cookie": "session=cr1spy"}, "body": [{"id": 1, "token": secret}]},
    ]}]});
    let api = ScriptedApi::start(serde_json::from_value(echo).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pipeline = json!({
        "name": "echo",
        "source": {
            "client": {"base_url": api.base_url(), "auth": {"type": "bearer", "token": {"secret": "api_key"}}},
            "resources": [{"name": "things", "endpoint": {"path": "things", "paginator": "single_page"}}],
        },
    });
    fs::write(folder.path().join("echo.json"), pipeline.to_string()).unwrap();
    let call = |database: &str| {
        Call::new(folder.path(), &["run", "echo.json", "--allow-private", api.base_url(), "--to", database])
            .env("SPILE_SECRET_API_KEY", secret)
    };
    let recorded = call("duckdb:a.duckdb").with(["--record", "run.har"]).succeeds();
    let warns = recorded.stderr.contains("secrets that the API sent back were taken out of the tape");
    let text = fs::read_to_string(folder.path().join("run.har")).unwrap();
    assert!(!text.contains("t0ken") && !text.contains("cr1spy"), "{text}");
    assert_har(&serde_json::from_str(&text).unwrap());
    let replayed = call("duckdb:b.duckdb").with(["--replay", "run.har"]).succeeds();
    assert_eq!(replayed.stderr.contains("were not held against them"), warns);
    warns
}

/// A token that the host obtains, and renews after a refusal; a secret within a body that is sent in several pieces.
#[test]
fn what_the_host_puts_in_is_not_on_the_tape() {
    let script = json!({
        "tokens": [{"path": "/token", "answer": {"access_token": "$token"}}],
        "routes": [{"path": "/things", "method": "POST", "auth": {"issued": "header.authorization"}, "answers": [
            {"times": 1, "status": 401},
            {"times": 1, "status": 401},
            {"body": [{"id": 1}, {"id": 2}]},
        ]}],
    });
    let api = ScriptedApi::start(serde_json::from_value(script).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let json = json!({"key": {"secret": "key"}, "text": "long".repeat(10_000)});
    let auth = json!({
        "type": "oauth2_client_credentials",
        "access_token_url": format!("{}/token", api.base_url()),
        "client_id": "me",
        "client_secret": {"secret": "key"},
    });
    let endpoint = json!({"path": "things", "method": "POST", "json": json, "paginator": "single_page",
        "response_actions": [{"status_code": 401, "action": "refresh_auth"}]});
    let source = json!({
        "client": {"base_url": api.base_url(), "auth": auth},
        "resources": [{"name": "things", "endpoint": endpoint}],
    });
    fs::write(folder.path().join("things.json"), json!({"name": "things", "source": source}).to_string()).unwrap();
    let call = |tape: &str| Call::new(folder.path(), &["run", "things.json", "--summary", "json", tape, "run.har"]);
    let recorded = call("--record")
        .with(["--allow-private", api.base_url(), "--to", "duckdb:a.duckdb"])
        .env("SPILE_SECRET_KEY", SECRET)
        .succeeds()
        .summary();
    let asked = api.asked().len();
    let text = fs::read_to_string(folder.path().join("run.har")).unwrap();
    assert!(!text.contains("t0ken") && !text.contains("token-") && !text.contains("/token\""), "{text}");
    let har = read(&folder.path().join("run.har"));
    assert_har(&har);
    assert_eq!(having(&har, "/response/status", &401.into()), 1, "the host asked again by itself the first time");
    assert_eq!(having(&har, "/response/_credential", &"2".into()), 1);
    let post = entries(&har)[0]["request"]["postData"]["text"].as_str().unwrap();
    assert!(post.len() > 40_000 && post.contains("spile-slot-"));
    for database in ["duckdb:b.duckdb", "duckdb:c.duckdb"] {
        let again = call("--replay").with(["--to", database]).succeeds().summary();
        assert_eq!(again.of_tables("total"), recorded.of_tables("total"));
    }
    assert_eq!(api.asked().len(), asked);

    // Another body than the recorded one.
    let other = text.replace("spile-slot-", "spile-slut-");
    fs::write(folder.path().join("run.har"), other).unwrap();
    let call = call("--replay").with(["--to", "duckdb:d.duckdb"]);
    call.outcome().ended_with(4).says(&["not on the tape", "it has another body than on the tape"]);
}

#[test]
fn what_the_policy_denied_is_denied_in_a_replay() {
    let next = "http://127.0.0.1:1/things";
    let script = json!({"routes": [{"path": "/things", "answers": [{"body": {"data": [{"id": 1}], "next": next}}]}]});
    let api = ScriptedApi::start(serde_json::from_value(script).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let endpoint = json!({"path": "things", "data_selector": "data",
        "paginator": {"type": "json_link", "next_url_path": "next"}});
    let source =
        json!({"client": {"base_url": api.base_url()}, "resources": [{"name": "things", "endpoint": endpoint}]});
    fs::write(folder.path().join("things.json"), json!({"name": "things", "source": source}).to_string()).unwrap();
    let denied = |tape: &str, arguments: &[&str]| {
        let call = Call::new(folder.path(), &["run", "things.json", tape, "run.har"]).with(arguments);
        call.outcome().ended_with(6).says(&["may not send a request to this origin", "origin: http://127.0.0.1:1"])
    };
    denied("--record", &["--to", "duckdb:a.duckdb", "--allow-private", api.base_url()]);
    let har = read(&folder.path().join("run.har"));
    assert_har(&har);
    assert_eq!(having(&har, "/_denial/class", &"Policy".into()), 1);
    assert_eq!(having(&har, "/request/url", &next.into()), 1);
    denied("--replay", &["--to", "duckdb:b.duckdb"]);
}
