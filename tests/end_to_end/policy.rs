//! What a source may do: plans, approvals, policies of the host, pinned components, limits, and the bill.

use std::{fs, path::Path};

use mock_api::Options;
use serde_json::{Value, json};

use crate::{
    program::{Call, Outcome},
    setting::{SHIPPED, Setting},
};

/// Calls the program on `case.json` in this folder, with a state folder of its own.
fn call(folder: &Path, arguments: &[&str]) -> Call {
    let state = folder.join("state");
    Call::new(folder, arguments).env("XDG_STATE_HOME", state.to_str().unwrap())
}

/// Writes a pipeline with these resources and this policy.
fn write(folder: &Path, base_url: &str, resources: Value, policy: Value) {
    let source = json!({"client": {"base_url": base_url, "paginator": "single_page"}, "resources": resources});
    let pipeline = json!({"name": "case", "source": source, "policy": policy});
    fs::write(folder.join("case.json"), pipeline.to_string()).unwrap();
}

fn plan(folder: &Path, more: &[&str]) -> Value {
    let outcome = call(folder, &["plan", "case.json", "--json"]).with(more).succeeds();
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[track_caller]
fn refused(outcome: Outcome, texts: &[&str]) {
    let outcome = outcome.ended_with(6);
    for text in texts {
        assert!(outcome.stderr.contains(text), "{text}: {}", outcome.stderr);
    }
}

#[test]
fn what_a_source_asks_for_beyond_what_was_approved_is_refused_until_it_is_approved() {
    let setting = Setting::new(Options::default());
    let (folder, url) = (setting.folder(), setting.api.base_url());
    let policy = json!({"allow_private": [url]});
    let other = json!(["r", {"name": "s", "endpoint": "https://other.example/s"}]);
    write(folder, url, json!(["r"]), policy.clone());
    assert_eq!(plan(folder, &[])["approved"], Value::Null);
    assert_eq!(plan(folder, &["--approve"])["approved"], true);

    write(folder, url, other, policy);
    let planned = plan(folder, &[]);
    assert_eq!(
        (&planned["approved"], &planned["new"]),
        (&json!(false), &json!(["requests to https://other.example:443"]))
    );
    for command in [
        &["run", "case.json", "--to", "duckdb:out.duckdb"][..],
        &["check", "case.json"],
        &["preview", "case.json", "r"],
    ] {
        let outcome = call(folder, command).outcome();
        refused(outcome, &["asks for more than was approved", "requests to https://other.example:443", "--approve"]);
    }
    assert_eq!(setting.api.stats().total, 0, "nothing was asked");
    assert!(!folder.join("out.duckdb").exists(), "nothing was written");
    assert_eq!(plan(folder, &["--approve"])["approved"], true);
    assert_eq!(plan(folder, &[])["new"], json!([]));
}

#[test]
fn a_policy_of_the_host_cannot_be_widened() {
    let setting = Setting::new(Options::default());
    let (folder, url) = (setting.folder(), setting.api.base_url());
    write(folder, url, json!(["r"]), json!({"allow_private": [url], "limits": {"requests": 7, "memory": "2GiB"}}));
    fs::write(folder.join("host.yaml"), "origins: [\"https://*.example.com\"]\nlimits: { wall: 10m }\n").unwrap();
    let planned = plan(folder, &["--policy", "host.yaml", "--limit", "wall=1h"]);
    let limits = &planned["limits"];
    assert_eq!(
        (&limits["requests"], &limits["memory"], &limits["wall"]),
        (&json!("7"), &json!("512 MiB"), &json!("10m"))
    );
    assert_eq!(
        (&planned["origins"][0]["private"], &planned["origins"][0]["denied"]),
        (&json!(false), &json!("the policy does not name it"))
    );
    for command in [&["run", "case.json", "--to", "duckdb:out.duckdb"][..], &["check", "case.json"]] {
        let outcome = call(folder, command).env("SPILE_POLICY", "host.yaml").outcome();
        refused(outcome, &["the policy does not permit what the source asks for", url, "resource: r"]);
    }
    assert_eq!(setting.api.stats().total, 0, "nothing was asked");
    assert!(!folder.join("out.duckdb").exists(), "nothing was written");

    fs::write(folder.join("host.yaml"), "origins: [ftp://x]\nlimit: {}\nlimits: {wall: soon}\n").unwrap();
    let outcome = call(folder, &["plan", "case.json", "--policy", "host.yaml"]).outcome().ended_with(2);
    assert!(
        outcome.stderr.contains("host.yaml:2:1") && outcome.stderr.contains("did you mean `limits`"),
        "{}",
        outcome.stderr
    );
    fs::write(folder.join("host.yaml"), "origins: [ftp://x]\nlimits: {wall: soon}\n").unwrap();
    let outcome = call(folder, &["plan", "case.json", "--policy", "host.yaml"]).outcome().ended_with(2);
    assert!(
        outcome.stderr.contains("host.yaml:1:11") && outcome.stderr.contains("host.yaml:2:10"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_component_and_a_reach_can_be_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let url = "https://a.example";
    write(folder, url, json!(["r"]), json!({}));
    let planned = plan(folder, &[]);
    let pinned = json!({"component": planned["component"], "approved": planned["reach"]});
    write(folder, url, json!(["r"]), pinned);
    plan(folder, &[]);
    let zeros = format!("sha256:{}", "0".repeat(64));
    write(folder, url, json!(["r"]), json!({"component": zeros}));
    refused(
        call(folder, &["plan", "case.json"]).outcome(),
        &["not the one that the policy pins", planned["component"].as_str().unwrap()],
    );
    write(folder, url, json!(["r"]), json!({"approved": zeros}));
    refused(call(folder, &["plan", "case.json"]).outcome(), &["does not ask for what the policy says was approved"]);
    write(folder, url, json!(["r"]), json!({"component": "sha256:abc"}));
    let outcome = call(folder, &["plan", "case.json"]).outcome().ended_with(2);
    assert!(
        outcome.stderr.contains("64 hexadecimal digits") && outcome.stderr.contains("/policy/component"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_limit_that_is_reached_is_named_with_the_resource_and_the_page() {
    let setting = Setting::new(Options::default());
    for (limit, texts) in [
        (
            "response_size=100",
            &[
                "the limit on the size of a response",
                "response_size, 100 bytes",
                "resource: applications",
                "/apps?page=1",
            ][..],
        ),
        ("requests=3", &["the limit on requests in a run", "requests, 3", "resource:", "url: http"]),
        (
            "memory=2500KiB",
            &["the limit on the connector's memory", "memory, 2500 KiB", "resource:", "last page: http"],
        ),
        ("tables=2", &["the limit on the tables of a run", "tables, 2", "resource:", "last page: http"]),
    ] {
        let outcome = setting.run(SHIPPED).with(["--limit", limit]).outcome();
        refused(outcome, texts);
    }
}

/// The bill of a run of all resources.
fn bill(setting: &Setting, target: &str) -> Value {
    let outcome = setting.run_into(target, SHIPPED).with(["--bill", "json", "--window", "1"]).succeeds();
    let bill: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
    bill["bill"].clone()
}

#[test]
fn a_replay_has_the_same_bill() {
    let setting = Setting::new(Options::default());
    let mut instructions = Vec::new();
    for (number, tape) in ["--record", "--replay", "--replay"].into_iter().enumerate() {
        let database = format!("duckdb:{number}.duckdb");
        let outcome = setting.run_into(&database, SHIPPED).with(["--bill", "json", tape, "run.har"]).succeeds();
        let bill: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
        instructions.push(bill["bill"]["instructions"].as_f64().unwrap());
    }
    println!("instructions: {instructions:?}");
    assert!(instructions.iter().all(|own| (own / instructions[0] - 1.0).abs() < 0.01), "{instructions:?}");
}

#[test]
fn a_run_has_a_bill() {
    let setting = Setting::new(Options::default());
    let bills = ["duckdb:one.duckdb", "duckdb:two.duckdb"].map(|target| bill(&setting, target));
    for bill in &bills {
        assert_eq!(bill["requests"], setting.api.stats().total / 2);
        assert!(bill["bytes_in"].as_u64().unwrap() > 10_000, "{bill}");
        assert!(bill["rows"].as_u64().unwrap() > 100 && bill["peak_memory"].as_u64().unwrap() > 1 << 20, "{bill}");
        assert_eq!(bill["starts"], 1);
    }
    let instructions = bills.map(|bill| bill["instructions"].as_f64().unwrap());
    println!("instructions: {instructions:?}");
    assert!(instructions[0] > 1e6 && (instructions[0] / instructions[1] - 1.0).abs() < 0.05, "{instructions:?}");

    // One that failed has its price too.
    let outcome = setting.run(SHIPPED).with(["--bill", "json", "--limit", "requests=3"]).outcome().ended_with(6);
    let bill: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(bill["bill"]["requests"], 3);
}

/// The same connector with another digest.
#[test]
fn what_another_component_asks_for_needs_a_word_the_first_time() {
    let setting = Setting::new(Options::default());
    let (folder, url) = (setting.folder(), setting.api.base_url());
    // An empty custom section whose name is `x`.
    let component = [spile_host::COMPONENT, &[0, 2, 1, b'x']].concat();
    fs::write(folder.join("other.wasm"), component).unwrap();
    let resources = json!([{"name": "s", "endpoint": "https://other.example/s"}, {"name": "r", "endpoint": "r"}]);
    write(folder, url, resources, json!({"allow_private": [url]}));
    let check = || call(folder, &["check", "case.json", "--component", "other.wasm"]).outcome();
    refused(check(), &["nothing was approved yet", "requests to https://other.example:443", "--approve"]);
    let digest = plan(folder, &["--component", "other.wasm", "--approve"])["component"].clone();
    assert!(!check().stderr.contains("approved"), "it was approved");

    fs::remove_dir_all(folder.join("state")).unwrap();
    write(folder, url, json!(["r"]), json!({"allow_private": [url], "component": digest}));
    assert!(!check().stderr.contains("approved"), "it is pinned");
    refused(call(folder, &["check", "case.json"]).outcome(), &["not the one that the policy pins"]);
}

/// What a request leaves behind would end a run of very many.
#[test]
fn a_run_of_many_requests_leaves_no_handle_behind() {
    let setting = Setting::new(Options { apps: 1, inputs: 8000, ..Options::default() });
    let summary =
        setting.run(SHIPPED).with(["--resource", "app_inputs", "--limit", "handles=150"]).succeeds().summary();
    assert!(summary.of_resource("app_inputs", "requests") >= 400, "{}", summary.0);
}
