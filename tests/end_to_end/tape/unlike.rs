//! Tapes of another run, damaged ones, and requests that are not on them.

use std::fs;

use mock_api::Options;
use serde_json::{Value, json};

use super::Recorded;
use crate::setting::SHIPPED;

#[test]
fn a_tape_of_another_run_says_what_differs() {
    let recorded = Recorded::new(Options { apps: 1, ..Options::default() }, &[]);
    let url = recorded.setting.api.base_url().to_owned();
    recorded.replay(&url, "same.duckdb").succeeds();
    for (arguments, texts) in [
        (&["--window", "4"][..], &["window: 8 on the tape, 4 now", "--window"][..]),
        (&["--commit-rows", "7"], &["batches: /rows is 20000 on the tape, 7 now"]),
        (&["--resource", "models"], &["resources: /0 is nothing on the tape, \"models\" now"]),
        (&["--param", "user_id=other"], &["params: /user_id is \"acme\" on the tape, \"other\" now", "--param"]),
        (&["--full-refresh"], &["extent: /full_refresh is false on the tape, true now"]),
        (&["--base-url", "http://127.0.0.1:1"], &["config: /client/base_url is", "record anew"]),
    ] {
        // A flag that comes again counts instead of the one before.
        let call = if arguments[0] == "--base-url" {
            recorded.replay(arguments[1], "other.duckdb")
        } else {
            recorded.replay(&url, "other.duckdb").with(arguments)
        };
        call.outcome().ended_with(2).says(texts).says(&["the tape is of another run"]);
    }
    // The destination was not touched.
    assert!(!recorded.setting.folder().join("other.duckdb").exists());
    let check = recorded.setting.call("check", SHIPPED).with(["--replay", "run.har"]);
    check.outcome().ended_with(2).says(&["command: run on the tape, check now"]);
    for (path, why) in [(".", "it is not a file"), ("/dev/null", "it is not a file"), ("no/run.har", "No such file")] {
        let call = recorded.setting.run(SHIPPED).with(["--record", path]);
        call.outcome().ended_with(2).says(&[&format!("failed to write the tape {path}"), why]);
    }
    let both = recorded.replay(&url, "other.duckdb").with(["--record", "other.har"]);
    both.outcome().ended_with(2).says(&["cannot be used with"]);
}

#[test]
fn a_damaged_tape_is_a_clear_error() {
    let recorded = Recorded::new(Options { apps: 1, ..Options::default() }, &[]);
    let url = recorded.setting.api.base_url().to_owned();
    let whole = fs::read_to_string(&recorded.tape).unwrap();
    let fails = |text: &str, code: i32, texts: &[&str]| {
        fs::write(&recorded.tape, text).unwrap();
        recorded.replay(&url, "out2.duckdb").outcome().ended_with(code).says(texts);
        let _ = fs::remove_file(recorded.setting.folder().join("out2.duckdb"));
    };
    for size in [0, 1, whole.len() / 2, whole.len() - 4] {
        let end = (0..=size).rev().find(|end| whole.is_char_boundary(*end)).unwrap();
        fails(&whole[..end], 2, &["run.har is damaged", "EOF", "record anew"]);
    }
    fails(r#"{"log": {"version": "1.2", "entries": []}}"#, 2, &["run.har is no tape of a run", "--record"]);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut har: Value = serde_json::from_str(&whole).unwrap();
        change(&mut har["log"]);
        har.to_string()
    };
    let without_one = changed(&|log| drop(log["entries"].as_array_mut().unwrap().pop()));
    fails(&without_one, 2, &["run.har is damaged", "requests are there"]);
    // Another record in a response.
    let other = whole.replacen("app-", "apq-", 1);
    assert_ne!(other, whole);
    fails(&other, 4, &["the connector"]);
    let shorter = changed(&|log| {
        let line = log["_answers"][0].as_str().unwrap();
        log["_answers"] = json!([line[..line.len() / 2].rsplit_once(' ').unwrap().0]);
    });
    fails(&shorter, 4, &["the tape ends here, and the connector goes on", "after: GET http://"]);
    let longer = changed(&|log| log["_answers"].as_array_mut().unwrap().push(json!("m7")));
    fails(&longer, 4, &["the connector is through, and the tape goes on"]);
    let garbled = changed(&|log| {
        let line = log["_answers"][0].as_str().unwrap().replace(" p", " p9");
        log["_answers"][0] = line.into();
    });
    fails(&garbled, 4, &["another way than on the tape", "after: "]);
    // The same in another form is the same tape.
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&whole).unwrap()).unwrap();
    fs::write(&recorded.tape, pretty).unwrap();
    recorded.replay(&url, "out2.duckdb").succeeds();
    fs::remove_file(&recorded.tape).unwrap();
    recorded.replay(&url, "out2.duckdb").outcome().ended_with(2).says(&["failed to read the tape run.har"]);
}

#[test]
fn a_request_that_is_not_on_the_tape_is_shown_with_the_nearest_one() {
    let recorded = Recorded::new(Options { apps: 1, ..Options::default() }, &[]);
    let url = recorded.setting.api.base_url().to_owned();
    let whole = fs::read_to_string(&recorded.tape).unwrap();
    for (from, to) in [("/apps?page=1&", "/apps?page=7&"), ("/apps?page=1&", "/apples?page=1&")] {
        fs::write(&recorded.tape, whole.replace(from, to)).unwrap();
        let request = format!("request: GET {url}/v2/users/acme/apps?page=1&per_page=20");
        recorded.replay(&url, "out2.duckdb").outcome().ended_with(4).says(&[
            "not on the tape",
            &request,
            "nearest: GET",
            to,
        ]);
        fs::remove_file(recorded.setting.folder().join("out2.duckdb")).unwrap();
    }
}
