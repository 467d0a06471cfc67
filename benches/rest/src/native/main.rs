//! The native reference: what a program without a sandbox takes that was written by hand for one API. It fetches, parses and writes,
//! and does nothing else: no state, no retries, no keys, no change of a table's columns.
//!
//! `bench-native flat|nested URL DESTINATION DATASET`. One thread fetches, parses and builds columns, another writes them.
//!
//! | file | what |
//! |---|---|
//! | `fetch` | pages over HTTP/1.1, some of them in flight |
//! | `text` | values of JSON that are borrowed from the page |
//! | `columns` | tables as Arrow builders |
//! | `flat`, `nested` | the records and their tables |
//! | `sink` | the thread that writes |
//! | `duckdb`, `files` | where it writes to |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod columns;
mod duckdb;
mod fetch;
mod files;
mod flat;
mod nested;
mod sink;
mod text;

use columns::Tables;
use futures_util::StreamExt as _;
use sink::Sink;
use std::env;
use std::pin::pin;

/// Rows of the root table that are handed on at once.
const ROWS: usize = 10_000;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [records, base_url, destination, dataset] = &arguments[..] else {
        panic!("usage: bench-native flat|nested URL DESTINATION DATASET");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sink = Sink::start(destination, dataset);
    runtime.block_on(async {
        match records.as_str() {
            "flat" => load::<flat::Flat>(base_url, sink).await,
            "nested" => load::<nested::Nested>(base_url, sink).await,
            other => panic!("there are no records `{other}`"),
        }
    });
}

/// Reads all pages, in their order.
async fn load<T: Tables>(base_url: &str, sink: Sink) {
    let mut tables = T::default();
    let mut rows = 0;
    let mut pages = pin!(fetch::pages(base_url).await);
    while let Some(page) = pages.next().await {
        rows += tables.add(&page).expect("a page of the records that were asked for");
        if rows >= ROWS {
            tables.take().into_iter().for_each(|table| sink.write(table));
            rows = 0;
        }
    }
    tables.take().into_iter().for_each(|table| sink.write(table));
    sink.finish();
}
