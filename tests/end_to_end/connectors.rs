//! The connectors that ship, each against a recorded exchange of invented data (`tests/connectors/NAME/exchange.yaml`): they make
//! exactly its requests, and its tables (`tests/connectors/NAME/expected/RUN.json`; `BLESS=1` rewrites those).
//!
//! ```yaml
//! arguments: [--param, organization=acorn]   # of every run
//! secrets: {token: text}
//! headers: {authorization: Bearer text}      # of every request that does not say otherwise; null for none
//! runs:                                      # of the same pipeline, one after another
//!   - arguments: [--until, "2020-03-01"]
//!     exchange: [{request: {…}, answer: {…}}]   # see `mock_api::scripted::Recorded`
//!     fails: text                            # a part of the error that it ends with; the tables are those of the run before
//! ```

use crate::{golden, program::Call};
use mock_api::scripted::{Asked, Recorded, ScriptedApi};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spile_host::{destination::Target, pipeline::document::Document};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../connectors");
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/connectors");

/// Has an API of its own (`mock_api::MockApi`) and tests of its own.
const OTHERWISE_TESTED: &str = "ai-platform";

/// The host that the connectors have for want of a real one.
const NO_HOST: &str = "https://api.example.com";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    #[serde(default)]
    headers: Map<String, Value>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    #[serde(default)]
    arguments: Vec<String>,
    exchange: Vec<Value>,
    fails: Option<String>,
}

#[test]
fn every_connector_makes_its_recorded_requests_and_tables() {
    let names = |folder: &str| -> BTreeSet<String> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let recorded = names(RECORDED);
    let mut shipped = names(SHIPPED);
    assert!(shipped.remove(OTHERWISE_TESTED));
    assert_eq!(shipped, recorded, "each connector has a recorded exchange");

    // One request at a time, and as many as the program makes where it is not told.
    let jobs = recorded.iter().flat_map(|name| [(name, "1"), (name, "8")]);
    let (waiting, failures) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, window)) = { waiting.lock().unwrap().next() } {
                    if let Err(why) = replay(name, window) {
                        failures.lock().unwrap().push(format!("\n=== {name}, window {window}: {why}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Makes all runs of a connector.
fn replay(name: &str, window: &str) -> Result<(), String> {
    let home = Path::new(RECORDED).join(name);
    let recording = Document::read(&home.join("exchange.yaml")).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let recording: Recording =
        serde_json::from_value(recording.value).unwrap_or_else(|error| panic!("{name}: {error}"));
    let api = ScriptedApi::start(serde_json::from_value(json!({})).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, base_url) = placed(name, &api, folder.path());
    let target = Target::DuckDb { path: folder.path().join("out.duckdb") };

    for (number, run) in (1..).zip(recording.runs) {
        let of_run = |why: String| format!("run {number}: {why}");
        let exchange: Vec<_> = run.exchange.into_iter().map(|one| with_headers(one, &recording.headers)).collect();
        api.replace(
            serde_json::from_value(json!({"recorded": exchange})).unwrap_or_else(|why| panic!("{name}: {why}")),
        );
        let recorded: Vec<Recorded> = serde_json::from_value(json!(exchange)).unwrap();

        let mut call = Call::new(folder.path(), &["run"])
            .with([&file])
            .with(["--base-url", &base_url, "--allow-private", api.base_url()])
            .with(["--to", "duckdb:out.duckdb", "--dataset", "data", "--window", window])
            .with(recording.arguments.iter().chain(&run.arguments))
            .env("XDG_STATE_HOME", folder.path().to_str().unwrap());
        for (secret, value) in &recording.secrets {
            let variable = format!("SPILE_TEST_{}", secret.to_uppercase());
            call = call.with(["--secret", &format!("{secret}=env:{variable}")]).env(&variable, value);
        }
        let outcome = call.outcome();
        let ended = match &run.fails {
            None => outcome.code == 0,
            Some(text) => outcome.code != 0 && outcome.stderr.contains(text),
        };
        same_requests(&recorded, &api.asked())
            .and_then(|()| if ended { Ok(()) } else { Err(format!("ends with {}", outcome.code)) })
            .map_err(|why| of_run(format!("{why}\n{}", outcome.stderr)))?;
        let good = if run.fails.is_some() { number - 1 } else { number };
        let tables = golden::tables(&target, "data", api.base_url());
        golden::compare(&tables, &home.join(format!("expected/{good}.json"))).map_err(of_run)?;
    }
    Ok(())
}

/// The connector in a folder of the test, where it asks this API for tokens too, and the base URL that it is given.
fn placed(name: &str, api: &ScriptedApi, folder: &Path) -> (PathBuf, String) {
    let text = fs::read_to_string(Path::new(SHIPPED).join(name).with_extension("yaml")).unwrap();
    let document = Document::parse(name, "yaml", text.clone()).unwrap();
    let base_url = url::Url::parse(document.value["source"]["client"]["base_url"].as_str().unwrap()).unwrap();
    let file = folder.join(name).with_extension("yaml");
    fs::write(&file, text.replace(NO_HOST, api.base_url())).unwrap();
    (file, format!("{}{}", api.base_url(), base_url.path().trim_end_matches('/')))
}

/// An exchange with the headers that all requests have.
fn with_headers(mut exchange: Value, headers: &Map<String, Value>) -> Value {
    let mut all = headers.clone();
    all.extend(exchange["request"]["headers"].as_object().cloned().unwrap_or_default());
    all.retain(|_, value| !value.is_null());
    exchange["request"]["headers"] = all.into();
    exchange
}

/// Checks that each recorded request was made once, and no other.
fn same_requests(recorded: &[Recorded], asked: &[Asked]) -> Result<(), String> {
    let mut counts: BTreeMap<String, i32> = BTreeMap::new();
    for request in recorded {
        *counts.entry(request.asked().to_string()).or_default() += 1;
    }
    for request in asked {
        *counts.entry(request.to_string()).or_default() -= 1;
    }
    let mut text = String::new();
    for (request, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
        let what = if count > 0 { "recorded, and not made" } else { "made, and not recorded" };
        writeln!(text, "{what} ({}): {request}", count.abs()).unwrap();
    }
    if text.is_empty() { Ok(()) } else { Err(text) }
}
