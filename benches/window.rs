//! Many requests at once against one after another: the same 1,000 pages of 20 records, both ways in one run.
//!
//! `cargo bench --package spile-host --bench window`. Ends with exit code 1 where a window of 8 takes a quarter of the time
//! of a window of 1, or more.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{
    fs,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use mock_api::{MockApi, Options};

/// The records are spread over 50 chains of 20 full pages. A 21st request finds the end of each chain; 4 more find the
/// applications (3 pages, and the end).
const APPLICATIONS: u64 = 50;
const INPUTS: u64 = 400;
const PAGE: u64 = 20;
const LATENCY: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let options =
        Options { apps: APPLICATIONS, inputs: INPUTS, latency_ms: LATENCY.as_millis() as u64, ..Options::default() };
    let api = MockApi::start(options).unwrap();
    // Once unmeasured, so that the component's code is compiled and cached for both.
    read(&api, 64);
    println!("{} records in {} pages, {LATENCY:?} each:", APPLICATIONS * INPUTS, APPLICATIONS * INPUTS / PAGE);
    let [together, one_by_one] = [8, 1].map(|window| {
        api.reset_stats();
        let elapsed = read(&api, window);
        let stats = api.stats();
        println!(
            "  window {window}: {:6.2} s, {} requests, at most {} in flight, {} connections",
            elapsed.as_secs_f64(),
            stats.total,
            stats.in_flight_peak,
            stats.connections
        );
        elapsed
    });
    let ratio = together.as_secs_f64() / one_by_one.as_secs_f64();
    println!("  ratio: {ratio:.3}");
    if ratio < 0.25 {
        println!("less than a quarter");
        ExitCode::SUCCESS
    } else {
        println!("NOT less than a quarter");
        ExitCode::FAILURE
    }
}

/// Reads all inputs into a new database with `spile run`: the time from its start to its end.
fn read(api: &MockApi, window: u32) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let source = include_str!("../tests/end_to_end/ai-platform.json");
    fs::write(folder.path().join("tap.json"), source).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_spile"));
    command
        .current_dir(&folder)
        .args(["run", "tap.json", "--resource", "app_inputs", "--window", &window.to_string(), "--summary", "json"])
        .args(["--base-url", api.base_url(), "--allow-private", api.base_url()])
        .args(["--param", "user_id=acme", "--bind", "app_id=applications.id", "--bind", "model_id=models.id"])
        .args(["--secret", "api_key=env:SPILE_BENCH_TOKEN"])
        .env("SPILE_BENCH_TOKEN", "mock-token");
    let start = Instant::now();
    let output = command.output().unwrap();
    let elapsed = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        summary["resources"].as_array().unwrap().iter().find(|r| r["resource"] == "app_inputs").unwrap()["rows"],
        APPLICATIONS * INPUTS
    );
    elapsed
}
