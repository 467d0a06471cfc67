//! Very many tenants at once in one process: each has a pipeline of its own, a policy, a secret, connections and files.
//!
//! `cargo run --release --example tenants -- 1000` starts an API on this machine that grants each tenant one request a second,
//! reads three pages for each tenant into Parquet files, compares the rows, and says what it took. A run that waits for longer than a
//! moment is parked: its connector is dropped, and begins again from its state.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "an example ends where something is wrong"
)]

use std::{fs, path::Path, sync::Arc, time::Duration, time::Instant};

use mock_api::scripted::ScriptedApi;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use spile_host::{
    gate::Secrets,
    pipeline::{Pipeline, document::Document},
    policy::Operator,
    run::{Bill, Event, Options, Run},
    sandbox::{CodeCache, Connector, Host, HostOptions},
    tenant::Tenant,
};

/// Records of a tenant, in three pages.
const RECORDS: usize = 30;

#[tokio::main]
async fn main() {
    let count: u32 = std::env::args().nth(1).map_or(1000, |count| count.parse().expect("a number of tenants"));
    // Two ends of a connection for each, and its files.
    rlimit::increase_nofile_limit(u64::from(count) * 8 + 1000).expect("a limit on open files");
    let api = ScriptedApi::start(
        serde_json::from_value(json!({
            "most_requests": count * 20,
            "quota": {"requests": 1, "per": 1, "by": "header.authorization"},
            "routes": [{"path": "/tenants/{tenant}/items", "count": RECORDS,
                "pages": {"size": 10, "page_at": "query.page", "base": 1}}]
        }))
        .expect("a script"),
    )
    .expect("a server");
    let host = Host::new(HostOptions { code_cache: CodeCache::of_user(), pool: Some(count), ..HostOptions::default() })
        .unwrap();
    let connector = host.load_built_in().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // What all tenants may do at most.
    let mut policy = Operator::default();
    policy.allow_private(api.base_url().parse().unwrap());
    policy.limits.memory = 64 << 20;

    let (started, policy) = (Instant::now(), Arc::new(policy));
    let mut runs = Vec::new();
    for number in 0..count {
        let tenant = Tenant::with_tokens(format!("tenant-{number}"), Some((*policy).clone()), None);
        let (connector, folder, url) = (connector.clone(), folder.path().to_owned(), api.base_url().to_owned());
        runs.push(tokio::spawn(async move { load(&tenant, &connector, &folder, &url).await }));
    }
    let mut all = Bill::default();
    for run in runs {
        let bill = run.await.expect("no run panics");
        all.requests += bill.requests;
        all.waits += bill.waits;
        all.starts += bill.starts;
        all.rows += bill.rows;
        all.peak_memory = all.peak_memory.max(bill.peak_memory);
    }
    let (seconds, resident) = (started.elapsed().as_secs_f64(), peak_resident());
    for number in 0..count {
        check(&folder.path().join(format!("tenant-{number}")), number);
    }
    println!(
        "{count} tenants in {seconds:.1} s: {} rows, all of them right; {} requests, {} waits, {} starts of connectors; \
         {} MiB resident at the most, {} KiB of memory for the largest connector",
        all.rows,
        all.requests,
        all.waits,
        all.starts,
        resident >> 20,
        all.peak_memory >> 10
    );
}

/// Runs the pipeline of a tenant.
async fn load(tenant: &Tenant, connector: &Connector, folder: &Path, url: &str) -> Bill {
    let name = tenant.name();
    let pipeline = json!({
        "name": name,
        "source": {
            "client": {"base_url": url, "auth": {"token": {"secret": "key"}}},
            "resources": [{"name": "items", "write_disposition": "replace", "endpoint": {
                "path": format!("tenants/{name}/items"), "data_selector": "$",
                "paginator": {"type": "page_number", "base_page": 1, "page_param": "page"}}}]
        },
        "destination": format!("parquet:{}", folder.join(name).display()),
        "policy": {"allow_private": [url]}
    });
    let document = Document::parse("pipeline.json", "json", pipeline.to_string()).unwrap();
    let run = Run::new(tenant, connector, Pipeline::new(document, name).unwrap()).await.unwrap();
    let mut secrets = Secrets::default();
    secrets.set("key", format!("the key of {name}"));
    let options = Options { window: 1, park_after: Some(Duration::from_millis(100)), ..Options::default() };
    let mut bill = Bill::default();
    let mut tell = |event: Event<'_>| {
        if let Event::Bill(took) = event {
            bill = *took;
        }
    };
    run.load(&secrets, &options, &mut tell, std::future::pending()).await.unwrap();
    bill
}

/// Every row of a tenant is there once, and none of another's.
fn check(folder: &Path, number: u32) {
    let mut rows = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "parquet")
                && path.to_string_lossy().contains("/items/")
            {
                for batch in
                    ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap().build().unwrap()
                {
                    let batch = batch.unwrap();
                    rows += batch.num_rows();
                    let column = batch.column_by_name("tenant").unwrap();
                    let column = column.as_any().downcast_ref::<arrow_array::StringArray>().unwrap();
                    assert!(column.iter().all(|tenant| tenant == Some(&format!("tenant-{number}"))));
                }
            }
        }
    }
    assert_eq!(rows, RECORDS, "tenant {number}");
}

/// The most memory that this process had, in bytes.
fn peak_resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) << 10
}
