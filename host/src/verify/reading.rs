//! A reading: batches, and how it ended.

use crate::gate::Secrets;
use crate::limits::WALL;
use crate::run::Run;
use crate::sandbox::{Batch, OpenRequest, Step, Summary};
use crate::{Class, Error};
use jiff::Timestamp;
use serde_json::{Map, Value};
use spile_connector::shape::encode;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The longest that a reading may take.
const LONGEST: Duration = Duration::from_secs(120);

/// Columns of the loader's own begin so. Ids in them may be random.
const SYSTEM: &str = "_dlt_";

/// Rows by table, in their order, each as JSON without the loader's columns.
pub(super) type Rows = BTreeMap<String, Vec<String>>;

/// How to read.
#[derive(Clone)]
pub(super) struct How {
    pub max_rows: u32,
    pub max_bytes: u64,
    pub window: u32,
    pub state: Option<String>,
    pub schema: Option<String>,
}

impl Default for How {
    fn default() -> Self {
        Self { max_rows: 1000, max_bytes: 1 << 20, window: 8, state: None, schema: None }
    }
}

/// What a batch had.
pub(super) struct Delivered {
    pub rows: Rows,
    /// Rows of root tables.
    pub root_rows: u64,
    pub state: String,
    /// The schema so far.
    pub schema: Option<String>,
}

/// What came of it.
pub(super) struct Reading {
    pub batches: Vec<Delivered>,
    pub end: Result<Summary, Error>,
    /// Whether it was asked to come back later.
    pub has_waited: bool,
}

impl Reading {
    /// Reads a source until it ends.
    pub async fn of(run: &Run, secrets: &Secrets, how: &How) -> Self {
        let mut reading =
            Self { batches: Vec::new(), end: Err(Error::new(Class::Internal, "nothing was read")), has_waited: false };
        let end = timeout(LONGEST, reading.go_on(run, secrets, how)).await;
        reading.end = end.unwrap_or_else(|_| {
            let message = format!("it does not come to an end within {} s", LONGEST.as_secs());
            Err(Error { limit: Some(WALL.name), ..Error::new(Class::Policy, message) })
        });
        reading
    }

    async fn go_on(&mut self, run: &Run, secrets: &Secrets, how: &How) -> Result<Summary, Error> {
        let mut instance = run.start(secrets).await?;
        let request = OpenRequest {
            window: how.window,
            state: how.state.clone(),
            schema: how.schema.clone(),
            load_id: "1".to_owned(),
            ..OpenRequest::new(run.source().clone())
        };
        instance.open(&request).await?;
        let mut schema = how.schema.clone();
        loop {
            match instance.next(how.max_rows, how.max_bytes).await? {
                Step::Done(summary) => return Ok(summary),
                Step::Batch(batch) => {
                    schema = batch.schema.clone().or(schema);
                    self.batches.push(Delivered::of(&batch, schema.clone())?);
                }
                Step::Wait(wait) => {
                    self.has_waited = true;
                    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
                    let length = Duration::from_millis(wait.until.saturating_sub(now));
                    if length > LONGEST {
                        return Err(WALL.reached(&run.grant.operator().limits));
                    }
                    sleep(length).await;
                }
            }
        }
    }

    /// Fails where it ended with an error.
    pub fn whole(&self) -> Result<&Summary, String> {
        self.end.as_ref().map_err(super::told)
    }

    /// The rows of the batches from one on.
    pub fn rows_from(&self, batch: usize) -> Rows {
        let mut all = Rows::new();
        for delivered in self.batches.iter().skip(batch) {
            for (table, rows) in &delivered.rows {
                all.entry(table.clone()).or_default().extend(rows.iter().cloned());
            }
        }
        all
    }

    pub fn root_rows(&self) -> u64 {
        self.batches.iter().map(|batch| batch.root_rows).sum()
    }
}

impl Delivered {
    fn of(batch: &Batch, schema: Option<String>) -> Result<Self, Error> {
        let mut rows = Rows::new();
        let mut root_rows = 0;
        for table in &batch.tables {
            let lines = encode::ndjson(&table.rows).map_err(|error| {
                Error::new(Class::Internal, format!("rows cannot be shown as JSON: {}", error.message))
            })?;
            let own = rows.entry(table.table.clone()).or_default();
            for line in lines.split('\n').filter(|line| !line.is_empty()) {
                own.push(without_system(line));
            }
            if table.parent.is_none() {
                root_rows += table.rows.num_rows() as u64;
            }
        }
        rows.retain(|_, rows| !rows.is_empty());
        Ok(Self { rows, root_rows, state: batch.state.clone(), schema })
    }
}

/// A row without the loader's columns.
fn without_system(line: &str) -> String {
    let row: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
    let own: BTreeMap<_, _> = row.into_iter().filter(|(name, _)| !name.starts_with(SYSTEM)).collect();
    serde_json::to_string(&own).unwrap_or_default()
}
