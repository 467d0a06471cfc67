//! Spile without its sandbox: the same engine compiled for this machine, the same gate, the same loader. What a run of Spile takes more
//! is the sandbox's.
//!
//! `bench-unboxed SOURCE DESTINATION DATASET`, with a source as JSON whose one resource is `records`, written anew each time. It has no
//! secrets, no limits on computing, and tells nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod transport;

use serde_json::Value;
use spile_connector::engine::{Extent, OpenRequest, Reader, Step};
use spile_connector::plan::Source;
use spile_connector::shape::schema::{Column, DataType};
use spile_connector::shape::table::TableRows;
use spile_host::destination::Target;
use spile_host::gate::Origin;
use spile_host::load::{self, Loader, Options, ResourcePlan, WriteDisposition};
use std::env;
use std::sync::mpsc::sync_channel;
use std::thread;
use transport::Gated;

/// As the host asks for batches (`host/src/run`).
const ROWS: u32 = 20_000;
const BYTES: u64 = 2 << 20;

/// Batches that may wait for the loader: about as many bytes as the host lets wait.
const WAITING: usize = 6;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [source, destination, dataset] = &arguments[..] else {
        panic!("usage: bench-unboxed SOURCE DESTINATION DATASET");
    };
    let target = Target::parse(destination).unwrap();
    let plan = ResourcePlan {
        resource: "records".to_owned(),
        table: "records".to_owned(),
        write_disposition: WriteDisposition::Replace,
        primary_key: Vec::new(),
    };
    let (mut loader, resumed) = Loader::begin(&target, Options::new("records", dataset, "", vec![plan])).unwrap();
    let request = OpenRequest {
        source: Source { config: source, params: "{}", bindings: "{}" },
        resources: &[],
        state: resumed.state.as_deref(),
        schema: resumed.schema.as_deref(),
        window: 8,
        load_id: resumed.load_id,
        extent: Extent::default(),
    };
    let origin: Value = serde_json::from_str(source).unwrap();
    let origin: Origin = origin["client"]["base_url"].as_str().unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let transport = Gated::new(origin, runtime.handle().clone());
    let mut reader = Reader::open(request, transport).unwrap_or_else(|error| panic!("{error:?}"));

    let (batches, waiting) = sync_channel(WAITING);
    let writer = thread::spawn(move || {
        for batch in waiting {
            loader.stage(batch).unwrap();
        }
        loader
    });
    let state = loop {
        match reader.next(ROWS, BYTES).unwrap_or_else(|error| panic!("{error:?}")) {
            Step::Batch { tables, state, schema, .. } => {
                let tables = tables.into_iter().map(rows).collect();
                batches.send(load::Batch { tables, state, schema, changes: Vec::new() }).unwrap();
            }
            Step::Wait { reason, .. } => panic!("nothing is to be waited for: {reason}"),
            Step::Done { state, .. } => break state,
        }
    };
    drop(batches);
    writer.join().unwrap().publish(&state).unwrap();
}

fn rows(rows: TableRows) -> load::TableRows {
    let columns = |columns: Vec<Column>| columns.into_iter().map(column).collect();
    load::TableRows {
        table: rows.table,
        resource: rows.resource,
        parent: rows.parent,
        rows: rows.rows,
        roots: rows.roots,
        new_columns: columns(rows.new_columns),
        widened_columns: columns(rows.widened_columns),
    }
}

fn column(column: Column) -> load::Column {
    let data_type = match column.data_type {
        DataType::Text => load::DataType::Text,
        DataType::Bigint => load::DataType::Bigint,
        DataType::Double => load::DataType::Double,
        DataType::Boolean => load::DataType::Boolean,
        DataType::Timestamp => load::DataType::Timestamp,
        DataType::LocalTimestamp => load::DataType::LocalTimestamp,
        DataType::Date => load::DataType::Date,
        DataType::Time => load::DataType::Time,
        DataType::Binary => load::DataType::Binary,
        DataType::Decimal { precision, scale } => load::DataType::Decimal(precision, scale),
        DataType::Json => load::DataType::Json,
    };
    load::Column { name: column.name, data_type, nullable: column.nullable }
}
