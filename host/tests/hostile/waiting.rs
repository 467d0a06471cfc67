//! Connectors that never end, and take no time for it: every call comes back at once.

use crate::scripted::{Case, Kind, Place, batch, ids};
use serde_json::{Value, json};
use spile_host::gate::Secrets;
use spile_host::run::Options;
use spile_host::{Class, Error};
use std::time::{Duration, Instant};

/// Runs a case that has half a second.
async fn bounded(case: Case) -> Error {
    let began = Instant::now();
    let case = case.limit("wall", json!("500ms"));
    let error = tokio::time::timeout(Duration::from_secs(30), case.reaches("wall")).await.expect("it never ends");
    assert!(began.elapsed() >= Duration::from_millis(500), "it ended for another reason");
    error
}

#[tokio::test]
async fn a_wait_that_is_over_does_not_go_on_for_ever() {
    bounded(Case::again(&[json!({"wait": {"until": 1}})])).await;
}

#[tokio::test]
async fn a_wait_until_the_end_of_time_ends_with_the_run() {
    for until in [u64::MAX, 1 << 50] {
        bounded(Case::steps(&[json!({"wait": {"until": until}})])).await;
        // Dropped while it waits, it would be started anew.
        let parked = Options { park_after: Some(Duration::ZERO), ..Options::default() };
        bounded(Case { options: parked, ..Case::steps(&[json!({"wait": {"until": until}})]) }).await;
    }
}

#[tokio::test]
async fn batches_of_nothing_do_not_go_on_for_ever() {
    let place = Place::new(Kind::DuckDb);
    let case = Case::again(&[json!({"batch": {"tables": []}})]).limit("wall", json!("500ms"));
    let loading = tokio::time::timeout(Duration::from_secs(30), case.load(&place));
    let error = loading.await.expect("it never ends").err().unwrap();
    assert_eq!((error.class, error.limit), (Class::Policy, Some("wall")), "{error}");
}

#[tokio::test]
async fn a_preview_ends_with_its_time_too() {
    for step in [json!({"wait": {"until": u64::MAX}}), json!({"wait": {"until": 1}}), json!({"batch": {"tables": []}})]
    {
        let case = Case::again(&[step]).limit("wall", json!("300ms"));
        let place = Place::new(Kind::DuckDb);
        let run = case.prepared(&place).await.unwrap();
        let secrets = Secrets::default();
        let preview = tokio::time::timeout(Duration::from_secs(30), run.preview(&secrets, "r", 5));
        let error = preview.await.expect("it never ends").unwrap_err();
        assert_eq!((error.class, error.limit), (Class::Policy, Some("wall")), "{error}");
    }
}

#[tokio::test]
async fn rows_before_a_breach_are_kept_for_the_next_run_and_are_not_visible() {
    let case = Case::again(&[batch(&ids(3)), json!({"wait": {"until": u64::MAX}})]).limit("wall", json!("300ms"));
    let place = Place::new(Kind::DuckDb);
    assert_eq!(case.load(&place).await.err().unwrap().limit, Some("wall"));
    let visible = place.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'data' AND table_name = 'r'");
    assert_eq!(visible.iter().map(arrow_array::RecordBatch::num_rows).sum::<usize>(), 0);
}

/// Names that are new in each call would otherwise be collected.
#[tokio::test]
async fn a_resource_that_was_not_described_is_refused() {
    let unknown: [Value; 3] = [
        json!({"wait": {"resource": "x{call}"}}),
        json!({"batch": {"counts": [{"resource": "x{call}"}]}}),
        json!({"done": {"counts": [{"resource": "x{call}"}]}}),
    ];
    for step in unknown {
        let error = Case::steps(&[step]).contained().await;
        assert_eq!(error.class, Class::Internal);
        assert!(error.message.contains("a resource that it did not describe"), "{error}");
    }
    let many = json!({"batch": {"counts": [{"resource": "r", "many": 500_000}]}});
    let error = Case::steps(&[many]).contained().await;
    assert!(error.message.contains("counts of more resources"), "{error}");
}
