//! What a destination keeps of a pipeline: `spile state`, `spile runs`, `spile schema tables`.

use mock_api::Options;
use serde_json::{Value, json};

use crate::{
    program::Call,
    server,
    setting::{DATASET, SHIPPED, Setting},
};

fn options() -> Options {
    Options { apps: 8, datasets: 104, inputs: 300, concepts: 110, latency_ms: 20, ..Options::default() }
}

/// `spile COMMAND… FILE --to TARGET`.
fn call(setting: &Setting, target: &str, command: &[&str], more: &[&str]) -> Call {
    Call::new(setting.folder(), command)
        .with([file(setting, target).as_str(), "--to", target, "--dataset", DATASET])
        .with(more)
}

/// The shipped connector; for files, which nothing is merged into, with another disposition.
fn file(setting: &Setting, target: &str) -> String {
    if !target.starts_with("parquet:") {
        return SHIPPED.to_owned();
    }
    let text =
        std::fs::read_to_string(SHIPPED).unwrap().replace("write_disposition: merge", "write_disposition: replace");
    setting.file("ai-platform.yaml", &text).to_str().unwrap().to_owned()
}

fn json_of(call: Call) -> Value {
    serde_json::from_str(&call.succeeds().stdout).unwrap()
}

fn works(target: &str) {
    let setting = Setting::new(options());
    let state = |command, more: &[&str]| call(&setting, target, &["state", command], more);
    let runs = || json_of(call(&setting, target, &["runs"], &["--json"]));
    let file_of = || file(&setting, target);
    setting.run_into(target, file_of()).succeeds();

    // A run that is cut off has rows that wait: so many requests take 300 ms at least, and rows were handed over by then.
    setting.api.reset_stats();
    let running = setting.wait_until(setting.run_into(target, file_of()).start(), |stats| stats.total >= 120);
    running.signal(libc::SIGINT);
    running.end().ended_with(130);
    let shown = json_of(state("show", &["--json"]));
    assert_eq!((&shown["run"], &shown["open"]), (&json!(2), &json!(true)));
    assert!(shown["staged_rows"]["applications"].as_u64() > Some(0), "{shown}");
    assert!(shown["staged_state"].is_object() && shown["state"].is_object(), "{shown}");
    let shown = state("show", &[]).succeeds().stdout;
    assert!(shown.contains("run 2: its load") && shown.contains("the next run goes on from them"), "{shown}");
    let listed = call(&setting, target, &["runs"], &[]).succeeds().stdout;
    assert!(listed.contains("run 2 has not published: the next run goes on"), "{listed}");

    // After a reset nothing waits, and the next run begins anew.
    let file = setting.folder().join("state.json");
    let file = file.to_str().unwrap();
    state("export", &["--output", file]).succeeds();
    let exported: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!((&exported["version"], &exported["pipeline"]), (&json!(1), &json!("ai_platform")));
    assert!(exported["schema"].as_str().unwrap().contains("applications"), "{exported}");
    state("reset", &[]).succeeds();
    let shown = json_of(state("show", &["--json"]));
    assert_eq!(
        (&shown["open"], &shown["staged_rows"], &shown["staged_state"], &shown["state"]),
        (&json!(false), &json!({}), &Value::Null, &Value::Null)
    );
    Call::new(setting.folder(), &["state", "import"])
        .with([file_of().as_str(), file, "--to", target, "--dataset", DATASET])
        .succeeds();
    assert_eq!(json_of(state("export", &[])), exported);
    assert_eq!(setting.run_into(target, file_of()).succeeds().summary().0["resumed"], json!(false));

    // Numbers that are missing: the run that was cut off, the reset, the import.
    let runs = runs();
    let numbers: Vec<_> = runs.as_array().unwrap().iter().map(|run| run["run"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [5, 1]);
    assert_eq!(runs[0]["inserted_rows"], runs[1]["inserted_rows"]);
    let of_applications = runs[0]["tables"].as_array().unwrap().iter().find(|table| table["table"] == "applications");
    assert_eq!(of_applications.unwrap()["deleted"], json!(8));

    let tables = |form| call(&setting, target, &["schema", "tables"], &["--format", form]);
    let listed = json_of(tables("json"));
    let tags = listed.as_array().unwrap().iter().find(|table| table["table"] == "applications__tags").unwrap();
    assert_eq!(tags["parent"], json!("applications"));
    assert!(tags["columns"].as_array().unwrap().contains(&json!({"name": "value", "type": "text", "nullable": true})));
    let diagram = tables("mermaid").succeeds().stdout;
    assert!(diagram.starts_with("erDiagram\n"), "{diagram}");
    assert!(diagram.contains("    \"applications\" ||--o{ \"applications__tags\" : _dlt_parent_id\n"), "{diagram}");
    assert!(diagram.contains("        text _dlt_id PK\n"), "{diagram}");
    let statements = tables("sql").succeeds().stdout;
    let create = if target.starts_with("parquet:") { "CREATE VIEW " } else { "CREATE TABLE " };
    assert_eq!(statements.matches(create).count(), listed.as_array().unwrap().len());
    assert!(tables("table").succeeds().stdout.contains("applications__tags"));
}

#[test]
fn records_of_duckdb() {
    works("duckdb:out.duckdb");
}

#[test]
fn records_of_postgresql() {
    works(&server::new_database());
}

#[test]
fn records_of_sqlite() {
    works("sqlite:out.sqlite");
}

#[test]
fn records_of_parquet_files() {
    works("parquet:out");
}

#[test]
fn what_is_not_there_is_told() {
    let setting = Setting::new(options());
    let target = "duckdb:out.duckdb";
    call(&setting, target, &["runs"], &[]).outcome().ended_with(5).says(&["the database does not exist", "out.duckdb"]);
    let files = call(&setting, "parquet:nothing", &["runs"], &[]).outcome().ended_with(2);
    files.says(&["the pipeline has never run into this dataset"]);
    assert!(!setting.folder().join("nothing").exists());
    setting.run_into(target, SHIPPED).succeeds();
    Call::new(setting.folder(), &["runs"])
        .with([SHIPPED, "--to", target, "--dataset", "elsewhere"])
        .outcome()
        .ended_with(2)
        .says(&["the pipeline has never run into this dataset", "elsewhere", "--dataset"]);
    for (text, parts) in [
        ("no JSON", &["the file holds no state of a pipeline", "state.json"][..]),
        (r#"{"version":2,"pipeline":"ai_platform","state":null,"schema":null}"#, &["its version is 2"]),
        (
            r#"{"version":1,"pipeline":"other","state":null,"schema":null}"#,
            &["the state is of another pipeline, `other`"],
        ),
    ] {
        let file = setting.file("state.json", text);
        Call::new(setting.folder(), &["state", "import"])
            .with([SHIPPED, file.to_str().unwrap(), "--to", target, "--dataset", DATASET])
            .outcome()
            .ended_with(2)
            .says(parts);
    }
}
