//! Responses of every form, and steps of every kind, from the API to the rows.

use std::fs;

use mock_api::scripted::ScriptedApi;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::Call;
use crate::tables::json_rows;

/// Vessels in two pages, crews by vessel as lines of JSON, and prices as CSV.
fn api() -> ScriptedApi {
    let vessels = |records: Value| json!({"meta": {"pages": 2}, "Vessels": records});
    let crew = |id: u64, lines: &str| {
        let headers = json!({"content-type": "application/x-ndjson"});
        json!({"path": format!("/vessels/{id}/crew"), "answers": [{"headers": headers, "text": lines}]})
    };
    let script = json!({"routes": [
        {"path": "/vessels", "answers": [
            {"query": {"page": "0", "fleet": "north"}, "body": vessels(json!([
                {"id": 1, "name": " ann ", "tonnage": "501.50", "built": 946_684_800, "flag": {"code": "FI"}, "internal": 1,
                    "calls": [{"port": "Oslo"}, {"port": "Turku"}]},
                {"id": 2, "name": "bo", "tonnage": "12", "flag": {"code": "SE"}, "calls": []}
            ]))},
            {"query": {"page": "1", "fleet": "north"}, "body": vessels(json!([
                {"id": 3, "name": "cleo", "tonnage": "900", "flag": {"code": "DK"}, "calls": []}
            ]))}
        ]},
        crew(1, "{\"id\": 10, \"age\": 30}\n\n{\"id\": 11, \"age\": 17}\n"),
        crew(3, ""),
        {"path": "/prices", "answers": [{"headers": {"content-type": "text/csv"}, "text": "\u{feff}day;price\n2025-01-02;12345678901234.50\n2025-01-03;\n"}]}
    ]});
    ScriptedApi::start(serde_json::from_value(script).unwrap()).unwrap()
}

fn source(base_url: &str) -> Value {
    json!({
        "client": {"base_url": base_url},
        "resource_defaults": {"endpoint": {"paginator": "single_page"}},
        "resources": [
            {
                "name": "vessels",
                "endpoint": {"params": {"fleet": "north"}, "paginator": {"type": "page_number", "total_path": "meta.pages"}},
                "processing_steps": [
                    {"filter": "record.tonnage|float > 500"},
                    {"map": {
                        "set": {"name": "record.name|trim|title", "fleet": "params.fleet", "year": "record.built|strftime('%Y') if record.built"},
                        "rename": {"flag.code": "flag_code"},
                        "drop": ["internal", "flag"],
                        "cast": {"tonnage": "float", "built": "timestamp"}
                    }},
                    {"explode": {"path": "calls", "as": "call", "outer": true}}
                ]
            },
            {
                "name": "crews",
                "endpoint": "vessels/{resources.vessels.id}/crew",
                "processing_steps": [
                    {"filter": "record.age >= 18"},
                    {"map": "{'id': record.id, 'flag': parent.flag_code, 'port': parent.call.port, 'same': run.started_at is string}"}
                ]
            },
            {
                "name": "prices",
                "endpoint": {"response_format": {"type": "csv", "delimiter": ";"}},
                "processing_steps": [{"map": {"cast": {"price": "float"}}}],
                "columns": {"price": {"data_type": "decimal", "precision": 20, "scale": 2}}
            }
        ]
    })
}

fn run(source: &Value, folder: &TempDir, origin: &str) -> Call {
    fs::write(folder.path().join("case.json"), json!({"name": "case", "source": source}).to_string()).unwrap();
    Call::new(
        folder.path(),
        &["run", "case.json", "--to", "duckdb:out.duckdb", "--dataset", "data", "--summary", "json"],
    )
    .with(["--allow-private", origin])
}

#[test]
fn records_are_shaped_on_their_way() {
    let (api, folder) = (api(), tempfile::tempdir().unwrap());
    let outcome = run(&source(api.base_url()), &folder, api.base_url()).succeeds();
    let summary = outcome.summary();
    assert_eq!(summary.of_resource("vessels", "filtered"), 1);
    // One vessel calls at two ports, so its crew is read for each of the two records.
    assert_eq!(summary.of_resource("crews", "filtered"), 2);
    assert_eq!(
        json_rows(
            folder.path(),
            "SELECT id, name, fleet, year, flag_code, tonnage, built::VARCHAR AS built, call__port FROM data.vessels ORDER BY id, call__port"
        ),
        [
            r#"{"id":1,"name":"Ann","fleet":"north","year":"2000","flag_code":"FI","tonnage":501.5,"built":"2000-01-01 00:00:00+00","call__port":"Oslo"}"#,
            r#"{"id":1,"name":"Ann","fleet":"north","year":"2000","flag_code":"FI","tonnage":501.5,"built":"2000-01-01 00:00:00+00","call__port":"Turku"}"#,
            r#"{"id":3,"name":"Cleo","fleet":"north","year":null,"flag_code":"DK","tonnage":900.0,"built":null,"call__port":null}"#,
        ]
    );
    assert_eq!(
        json_rows(folder.path(), "SELECT id, flag, port, same FROM data.crews ORDER BY port"),
        [r#"{"id":10,"flag":"FI","port":"Oslo","same":true}"#, r#"{"id":10,"flag":"FI","port":"Turku","same":true}"#]
    );
    assert_eq!(
        json_rows(folder.path(), "SELECT day, price::VARCHAR AS price FROM data.prices ORDER BY day"),
        [r#"{"day":"2025-01-02","price":"12345678901234.50"}"#, r#"{"day":"2025-01-03","price":null}"#]
    );
}

#[test]
fn a_step_that_fails_is_shown_with_its_record() {
    let (api, folder) = (api(), tempfile::tempdir().unwrap());
    let mut source = source(api.base_url());
    source["resources"][0]["processing_steps"][1]["map"]["cast"]["name"] = json!("int");
    run(&source, &folder, api.base_url()).outcome().ended_with(4).says(&[
        "the field `name` is a text, which is not a whole number",
        "the record is {\"id\": 1, \"name\": \"Ann\"",
        "/resources/0/processing_steps/1/map",
    ]);
}
