//! Into DuckDB through ADBC: tables are filled in one transaction.

use crate::columns::Rows;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use spile_host::destination::{self, Access, Resources, Session, Target};
use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

/// Rows that go in by one statement. Three times as many take no less time, and a third more memory.
const ROWS: usize = 40_000;

/// Writes all that comes.
pub fn write(target: &Target, dataset: &str, receiver: Receiver<Rows>) {
    let mut session = destination::open(target, Access::Write, &Resources::default()).unwrap();
    session.create_schema(dataset).unwrap();
    let written = session.transaction(|session| {
        let mut tables: BTreeMap<&str, Vec<RecordBatch>> = BTreeMap::new();
        for Rows { table, batch } in receiver {
            let waiting = tables.entry(table).or_insert_with(|| {
                session.run(&create(session, dataset, table, &batch.schema()), &[]).unwrap();
                Vec::new()
            });
            waiting.push(batch);
            if waiting.iter().map(RecordBatch::num_rows).sum::<usize>() >= ROWS {
                ingest(session, dataset, table, waiting);
            }
        }
        for (table, mut waiting) in tables {
            ingest(session, dataset, table, &mut waiting);
        }
        Ok(())
    });
    written.unwrap();
}

fn ingest(session: &mut Session, dataset: &str, table: &str, waiting: &mut Vec<RecordBatch>) {
    if let Some(batch) = waiting.first() {
        session.ingest(dataset, table, batch.schema(), std::mem::take(waiting)).unwrap();
    }
}

/// The statement that makes a table.
fn create(session: &Session, dataset: &str, table: &str, columns: &Schema) -> String {
    let column = |name: &str, data_type: &DataType| {
        let declared = match data_type {
            DataType::Utf8 => "VARCHAR",
            DataType::Int64 => "BIGINT",
            DataType::Float64 => "DOUBLE",
            DataType::Boolean => "BOOLEAN",
            DataType::Timestamp(..) => "TIMESTAMP WITH TIME ZONE",
            other => panic!("no column is of {other}"),
        };
        format!("{} {declared}", session.dialect().quote(name))
    };
    let columns = columns.fields().iter().map(|field| column(field.name(), field.data_type()));
    format!("CREATE TABLE {} ({})", session.qualified(dataset, table), columns.collect::<Vec<_>>().join(", "))
}
