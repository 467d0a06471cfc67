//! What a connector hands over, in the host's own types.

use super::bindings::exports::spile::connector::source as wit;
use super::failure::{cut, stated};
use super::instance::MOST_TOLD;
use crate::changes::{Change, ChangeKind, shown};
use crate::gate::Gate;
use crate::limits::{BATCH_SIZE, Limits, STATE_SIZE, TABLES};
use crate::{Class, Error, Result};
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::ArrowError;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use super::bindings::exports::spile::connector::source::{
    Column, DataType, Duplicates, Merge, MergeStrategy, ResourceCounts, ResourceDescription, Slot, WriteDisposition,
};

/// How many characters of a sample, and of the name of what it is a sample of, are kept.
const SAMPLE: usize = 200;

/// How many characters of what is wrong with rows are kept.
const REASON: usize = 2000;

/// What a reader has for its host.
#[derive(Debug)]
pub enum Step {
    /// Rows.
    Batch(Batch),
    /// Come back later.
    Wait(Wait),
    /// All rows were handed over.
    Done(Summary),
}

/// Rows, and where to go on after them.
#[derive(Debug)]
pub struct Batch {
    /// Rows by table. All rows that stem from one record are in the same batch.
    pub tables: Vec<TableRows>,
    /// JSON text: covers exactly the rows handed over so far.
    pub state: String,
    /// JSON text: the schema so far; present where this batch changed it.
    pub schema: Option<String>,
    /// Values of this batch that did not simply go into their columns.
    pub changes: Vec<Change>,
    /// Counts so far.
    pub counts: Vec<ResourceCounts>,
}

/// Rows of one table.
#[derive(Debug)]
pub struct TableRows {
    /// The table.
    pub table: String,
    /// The resource that the rows belong to.
    pub resource: String,
    /// The table that these rows are children of.
    pub parent: Option<String>,
    /// The rows. Columns in which no row of the batch has a value may be absent.
    pub rows: RecordBatch,
    /// Of rows of a child table the root rows that they stem from, by place in the root table's rows of the batch.
    pub roots: Vec<u32>,
    /// Columns that the table did not have before, in the order in which they are to be added.
    pub new_columns: Vec<Column>,
    /// Columns whose type is a wider one from these rows on.
    pub widened_columns: Vec<Column>,
}

/// Nothing to do before an instant.
#[derive(Debug)]
pub struct Wait {
    /// That instant, in milliseconds since 1970-01-01T00:00:00Z.
    pub until: u64,
    /// The resource that waits.
    pub resource: String,
    /// Why, for a person.
    pub reason: String,
    /// JSON text: state, with which a reader can be opened anew after that instant.
    pub state: String,
    /// Counts so far.
    pub counts: Vec<ResourceCounts>,
}

/// The end of a run.
#[derive(Debug)]
pub struct Summary {
    /// JSON text: the state for the next run.
    pub state: String,
    /// Counts of the whole run.
    pub counts: Vec<ResourceCounts>,
    /// What looks wrong though nothing failed.
    pub warnings: Vec<Error>,
}

/// How many things with a name of their own, such as resources, are taken from a connector at once. A run that may have few tables
/// can still come from a configuration of many resources.
pub(super) fn most_named(limits: &Limits) -> usize {
    limits.tables.max(10_000)
}

impl Step {
    /// Checks what a connector handed over, and decodes its rows.
    pub(super) fn new(step: wit::Step, limits: &Limits, gate: &Gate) -> Result<Self> {
        let check_state = |state: &str| match state.len() > limits.state_size {
            true => Err(STATE_SIZE.reached(limits)),
            false => Ok(()),
        };
        // What is known of resources is kept and compared: a connector names each once.
        let check_counts = |counts: &[ResourceCounts]| match counts.len() > most_named(limits) {
            true => {
                Err(Error::new(Class::Internal, "the connector handed over counts of more resources than it may have"))
            }
            false => Ok(()),
        };
        Ok(match step {
            wit::Step::Batch(batch) => {
                check_counts(&batch.counts)?;
                // Before any is looked at. One table may stand here several times, for each resource that gave rows to it.
                if batch.tables.len() > most_named(limits) {
                    return Err(TABLES.reached(limits));
                }
                check_state(&batch.state)?;
                batch.schema.as_deref().map_or(Ok(()), check_state)?;
                if batch.tables.iter().map(|rows| size(&rows.payload)).sum::<usize>() > limits.batch_size {
                    return Err(BATCH_SIZE.reached(limits));
                }
                let tables = batch.tables.into_iter().map(TableRows::new).collect::<Result<_>>()?;
                let changes = batch.changes.into_iter().map(|change| told(change, gate)).collect();
                Self::Batch(Batch { tables, state: batch.state, schema: batch.schema, changes, counts: batch.counts })
            }
            wit::Step::Wait(wait) => {
                check_state(&wait.state)?;
                check_counts(&wait.counts)?;
                let reason = cut(gate.redactor().redact(&wait.reason));
                Self::Wait(Wait {
                    until: wait.until,
                    resource: wait.resource,
                    reason,
                    state: wait.state,
                    counts: wait.counts,
                })
            }
            wit::Step::Done(summary) => {
                check_state(&summary.state)?;
                check_counts(&summary.counts)?;
                let warnings =
                    summary.warnings.into_iter().take(MOST_TOLD).map(|warning| stated(warning, gate)).collect();
                Self::Done(Summary { state: summary.state, counts: summary.counts, warnings })
            }
        })
    }
}

/// What a connector tells of values. Its texts pass the redactor, and come to an end: they are shown and stored.
fn told(change: wit::Change, gate: &Gate) -> Change {
    let text = |text: String| shown(&gate.redactor().redact(&text), SAMPLE);
    Change {
        resource: text(change.resource),
        table: text(change.table),
        column: change.column.map(text),
        kind: match change.kind {
            wit::ChangeKind::Coerced => ChangeKind::Coerced,
            wit::ChangeKind::Variant => ChangeKind::Variant,
            wit::ChangeKind::DiscardedValue => ChangeKind::DiscardedValue,
            wit::ChangeKind::DiscardedRow => ChangeKind::DiscardedRow,
        },
        count: change.count,
        sample: text(change.sample),
    }
}

fn size(payload: &wit::Payload) -> usize {
    match payload {
        wit::Payload::Arrow(bytes) => bytes.len(),
        wit::Payload::Ndjson(text) => text.len(),
    }
}

impl TableRows {
    fn new(rows: wit::TableRows) -> Result<Self> {
        let fail = |reason: String| {
            Error::new(Class::Internal, "the connector handed over rows that cannot be read")
                .fact("resource", shown(&rows.resource, SAMPLE))
                .fact("table", shown(&rows.table, SAMPLE))
                .fact("reason", shown(&reason, REASON))
        };
        let wit::Payload::Arrow(bytes) = rows.payload else {
            return Err(fail("they are not in Arrow's form".to_owned()));
        };
        // The host keeps numbers for each row: rows that take no room at all would fill its memory.
        if rows.rows as usize > bytes.len() {
            return Err(fail(format!("{} rows in {} bytes", rows.rows, bytes.len())));
        }
        let batch = decode(bytes).map_err(fail)?;
        if batch.num_rows() != rows.rows as usize {
            return Err(fail(format!("{} rows were announced and {} came", rows.rows, batch.num_rows())));
        }
        let (table, resource, parent, roots) = (rows.table, rows.resource, rows.parent, rows.roots);
        let (new_columns, widened_columns) = (rows.new_columns, rows.widened_columns);
        Ok(Self { table, resource, parent, rows: batch, roots, new_columns, widened_columns })
    }
}

/// Reads an Arrow IPC stream of one record batch, whose columns are slices of these bytes.
fn decode(bytes: Vec<u8>) -> Result<RecordBatch, String> {
    let decode = || -> Result<RecordBatch, ArrowError> {
        let mut bytes = Buffer::from_vec(bytes);
        let mut decoder = StreamDecoder::new();
        let batch = decoder.decode(&mut bytes)?;
        if decoder.decode(&mut bytes)?.is_some() {
            return Err(ArrowError::IpcError("more than one record batch".to_owned()));
        }
        decoder.finish()?;
        batch.ok_or_else(|| ArrowError::IpcError("no record batch".to_owned()))
    };
    // The reader checks what it reads, but these are the bytes of someone who is not trusted, and a panic must not end more
    // than this run.
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(decoded) => decoded.map_err(|error| error.to_string()),
        Err(_) => Err("they are not an Arrow IPC stream".to_owned()),
    }
}
