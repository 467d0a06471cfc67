//! Values that do not simply go into their columns: what a run tells of them, and what a strict one does.

use std::fs;

use mock_api::scripted::ScriptedApi;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::Call;
use crate::tables::json_rows;

/// An API with one page of items, which changes from run to run.
struct Api {
    api: ScriptedApi,
    folder: TempDir,
    resource: Value,
}

impl Api {
    fn new(resource: Value, items: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { api: serve(items), folder, resource }
    }

    fn now_gives(&mut self, items: Value) {
        self.api = serve(items);
    }

    /// `spile run`; the port of the API is a parameter, so that the source is the same in each run.
    fn call(&self, pipeline: Value) -> Call {
        let mut resource = self.resource.clone();
        resource["name"] = json!("items");
        let source =
            json!({"client": {"base_url": "http://localhost:1", "paginator": "single_page"}, "resources": [resource]});
        let mut file = json!({"name": "case", "source": source});
        file.as_object_mut().unwrap().extend(pipeline.as_object().unwrap().clone());
        fs::write(self.folder.path().join("case.json"), file.to_string()).unwrap();
        Call::new(self.folder.path(), &["run", "case.json", "--to", "duckdb:out.duckdb", "--dataset", "data"]).with([
            "--base-url",
            self.api.base_url(),
            "--allow-private",
            self.api.base_url(),
        ])
    }

    fn rows(&self, columns: &str) -> Vec<String> {
        json_rows(self.folder.path(), &format!("SELECT {columns} FROM data.items ORDER BY id"))
    }

    fn has_table(&self) -> bool {
        !json_rows(
            self.folder.path(),
            "SELECT 1 AS one FROM duckdb_tables() WHERE schema_name = 'data' AND table_name = 'items'",
        )
        .is_empty()
    }
}

fn serve(items: Value) -> ScriptedApi {
    let script = json!({"routes": [{"path": "/items", "answers": [{"body": items}]}]});
    ScriptedApi::start(serde_json::from_value(script).unwrap()).unwrap()
}

fn odd() -> Value {
    json!([{"id": 1, "n": 5}, {"id": 2, "n": "7"}, {"id": 3, "n": "n/a"}, {"id": 4, "n": "none"}])
}

#[test]
fn a_run_tells_what_became_of_values() {
    let api = Api::new(json!({}), odd());
    let outcome = api.call(json!({})).with(["--summary", "json"]).succeeds();
    assert_eq!(
        outcome.summary().0["changes"],
        json!([
            {"resource": "items", "table": "items", "column": "n__v_text", "kind": "variant", "count": 2, "sample": "\"n/a\""},
            {"resource": "items", "table": "items", "column": "n", "kind": "coerced", "count": 1, "sample": "\"7\""},
        ])
    );
    let text = api.call(json!({})).succeeds().stdout;
    for line in [
        "warning: 2 values of items.n did not fit and went to items.n__v_text, the first: \"n/a\"",
        "note: 1 value of items.n was converted, it is: \"7\"",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn a_strict_run_publishes_nothing_and_the_next_one_begins_where_it_began() {
    for (pipeline, flags) in [(json!({}), &["--strict"][..]), (json!({"strict": true}), &[])] {
        let mut api = Api::new(json!({"columns": {"n": {"data_type": "bigint"}}}), odd());
        api.call(pipeline.clone()).with(flags).outcome().ended_with(4).says(&[
            "the run is strict, and 2 values did not go into their columns as they are",
            "2 values of items.n did not fit and went to items.n__v_text, the first: \"n/a\"",
            "nothing was published",
        ]);
        assert!(!api.has_table());
        // The conversion of "7" was asked for, by `columns`.
        api.now_gives(json!([{"id": 1, "n": 5}, {"id": 2, "n": "7"}]));
        let outcome = api.call(pipeline).with(flags).with(["--summary", "json"]).succeeds();
        assert_eq!(outcome.summary().0["resumed"], json!(false));
        assert_eq!(api.rows("id, n"), [r#"{"id":1,"n":5}"#, r#"{"id":2,"n":7}"#]);
    }
}

#[test]
fn a_strict_run_of_a_later_load_leaves_the_tables_as_they_were() {
    let mut api = Api::new(json!({"write_disposition": "replace"}), json!([{"id": 1, "n": 5}]));
    api.call(json!({})).with(["--strict"]).succeeds();
    api.now_gives(odd());
    api.call(json!({})).with(["--strict"]).outcome().ended_with(4);
    assert_eq!(
        api.rows("*").iter().map(|row| serde_json::from_str::<Value>(row).unwrap()["n"].clone()).collect::<Vec<_>>(),
        [json!(5)]
    );
    // Without it the same values are taken, the variant among them.
    api.call(json!({})).succeeds();
    assert_eq!(
        api.rows("id, n, n__v_text AS v"),
        [
            r#"{"id":1,"n":5,"v":null}"#,
            r#"{"id":2,"n":7,"v":null}"#,
            r#"{"id":3,"n":null,"v":"n/a"}"#,
            r#"{"id":4,"n":null,"v":"none"}"#
        ]
    );
}

#[test]
fn a_violated_contract_fails_its_own_run_only() {
    let contract = json!({"schema_contract": {"columns": "freeze"}, "write_disposition": "merge", "primary_key": "id"});
    let mut api = Api::new(contract, json!([{"id": 1}]));
    api.call(json!({})).succeeds();
    api.now_gives(json!([{"id": 2}, {"id": 3, "extra": "x"}]));
    api.call(json!({})).outcome().ended_with(4).says(&[
        "the column `extra` of `items` is new",
        "\"x\"",
        "schema_contract",
    ]);
    assert_eq!(api.rows("id"), [r#"{"id":1}"#]);
    api.now_gives(json!([{"id": 2}, {"id": 3}]));
    api.call(json!({})).succeeds();
    assert_eq!(api.rows("id"), [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#]);
}

#[test]
fn a_column_of_whole_numbers_becomes_wider_from_run_to_run() {
    let mut api = Api::new(json!({"widen": true}), json!([{"id": 1, "n": 5}]));
    api.call(json!({})).succeeds();
    api.now_gives(json!([{"id": 2, "n": 7.5}]));
    api.call(json!({})).succeeds();
    assert_eq!(
        api.rows("id, n, typeof(n) AS t"),
        [r#"{"id":1,"n":5.0,"t":"DOUBLE"}"#, r#"{"id":2,"n":7.5,"t":"DOUBLE"}"#]
    );
}

#[test]
fn a_strict_run_fails_where_rows_may_be_lost_and_publishes_nothing() {
    let api =
        Api::new(json!({"processing_steps": [{"filter": "record.kind == 'A'"}]}), json!([{"id": 1, "kind": "a"}]));
    let outcome = api.call(json!({})).with(["--summary", "json"]).succeeds();
    let outcome = outcome.says(&["the steps leave nothing of 1 records", "case.json", "spile preview"]);
    let warning = &outcome.summary().0["warnings"][0];
    assert!(warning.to_string().contains("the steps leave nothing of 1 records"), "{warning}");
    let strict = api.call(json!({"strict": true})).outcome().ended_with(4);
    strict.says(&["the steps leave nothing of 1 records"]);
    assert!(!api.has_table());
}
