//! A guard that does not depend on the machine: how many instructions the connector takes for fixed pages.

use std::{collections::BTreeMap, env, fs};

use mock_api::BulkApi;
use serde_json::{Value, json};

use crate::program::Call;

#[path = "../../benches/shared/pages.rs"]
mod pages;

/// Where the numbers are kept.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/instructions.json");

/// By how much a run may differ from them.
const MOST: f64 = 0.03;

/// What the bill says of one run that reads one page of so many records.
fn instructions(page: Vec<u8>, records: u64) -> u64 {
    let api = BulkApi::start(vec![page.into()], 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let source = json!({
        "client": {"base_url": api.base_url()},
        "resources": [{
            "name": "records",
            "primary_key": "id",
            "write_disposition": "merge",
            "endpoint": {"path": "records", "params": {"page": 1}, "data_selector": "data", "paginator": "single_page"},
        }],
    });
    fs::write(folder.path().join("pages.json"), json!({"name": "pages", "source": source}).to_string()).unwrap();
    let outcome = Call::new(folder.path(), &["run", "pages.json", "--to", "duckdb:out.duckdb", "--summary", "json"])
        .with(["--bill", "json", "--allow-private", api.base_url()])
        .succeeds();
    let bill: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
    assert!(bill["bill"]["rows"].as_u64().unwrap() >= records);
    bill["bill"]["instructions"].as_u64().unwrap()
}

#[test]
fn pages_take_as_many_instructions_as_before() {
    // Of each page what it takes beyond a run without records, so that neither hides a change in the other.
    let start = instructions(br#"{"data":[],"total":0}"#.to_vec(), 0);
    let of_page = |page: pages::Page| (page.name, instructions(page.bytes, page.records) - start);
    let mut counted: BTreeMap<_, _> = pages::all().into_iter().map(of_page).collect();
    counted.insert("no records", start);
    if env::var_os("BLESS").is_some() {
        fs::write(KEPT, serde_json::to_string_pretty(&counted).unwrap() + "\n").unwrap();
    }
    let kept: BTreeMap<String, u64> = serde_json::from_str(&fs::read_to_string(KEPT).unwrap()).unwrap();
    let mut differing = Vec::new();
    for (name, counted) in &counted {
        let ratio = *counted as f64 / kept[*name] as f64;
        println!("{name}: {counted} instructions, {ratio:.3} of what is kept");
        if (ratio - 1.0).abs() > MOST {
            differing.push(format!("{name}: {counted} instructions, {ratio:.3} of what is kept"));
        }
    }
    assert!(
        differing.is_empty(),
        "{}\nIf that is meant, run this test with BLESS=1, and say in the commit why",
        differing.join("\n")
    );
}
