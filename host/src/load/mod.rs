//! Brings a connector's rows to their destination, each exactly once.
//!
//! A run is a *load package*. Its rows are staged, together with the state that covers exactly them, chunk by chunk
//! ([`Loader::stage`], [`Loader::commit`]). At the end everything becomes visible ([`Loader::publish`]): columns are added, rows
//! meet those that are there, the package is noted in `_dlt_loads`, the state is saved. A run that was killed leaves its package
//! open; the next run of the pipeline with the same configuration goes on with it ([`Loader::begin`]), and the final tables equal
//! those of a run that was not killed.
//!
//! In a database rows are staged in the schema `<dataset>_staging` (in DuckDB beside the final tables, as `_spile_staged_<table>`) and
//! become visible in the schema `<dataset>`; each chunk is a transaction, and so is the end. The pipeline's row in `_spile_state` holds a run number, the fence: every transaction of a run
//! begins with proving that no later run has begun. In a directory of Parquet files a manifest is all of that.
//!
//! | file | what |
//! |---|---|
//! | `store` | what a destination does with a package |
//! | `begin` | how a run begins from what is noted of its pipeline |
//! | `staging` | checks batches and buffers them until they are committed |
//! | `staging_table` | one staging table: its columns, and rows lined up with them |
//! | `disposition` | the ways in which staged rows meet final rows, each as a list of steps |
//! | `names` | names that are too long for the database |
//! | `characters` | characters that the database cannot store |
//! | `repeats` | runs that repeat another |
//! | `load_id` | names of loads |
//! | `database` | a package in a database |
//! | `package` | the pipeline's row in `_spile_state`: fence, state, which tables belong to the package |
//! | `publish` | migrates the final tables, merges, notes the load |
//! | `merge` | the statements of the steps |
//! | `by_hand` | what a person changed in the final tables |
//! | `ledger` | what the database knows of a pipeline between its runs |
//! | `files` | a package in Parquet files, and its manifest |

mod begin;
mod by_hand;
mod characters;
mod database;
mod disposition;
mod files;
mod ledger;
mod load_id;
mod merge;
mod names;
mod package;
mod publish;
mod repeats;
mod staging;
mod staging_table;
mod store;

use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::{
    changes::{Change, Changes},
    destination::{Resources, Tables, Target},
    error::{Class, Error, Result},
};

pub use crate::destination::DataType;
pub use disposition::{Duplicates, Merge, Scd2, Strategy, WriteDisposition};
pub use ledger::{Exported, Ledger, RunRecord, Saved, TableRecord};
pub use repeats::Repeats;
use staging::Staging;
use store::Store;

/// How one resource is loaded.
#[derive(Clone, Debug)]
pub struct ResourcePlan {
    /// Its name.
    pub resource: String,
    /// Its root table.
    pub table: String,
    /// How its rows meet those of the table.
    pub write_disposition: WriteDisposition,
    /// The key columns, by their names in the table.
    pub primary_key: Vec<String>,
}

/// What a run loads, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The pipeline: at a destination, one pipeline has one state.
    pub pipeline: String,
    /// The schema for its tables.
    pub dataset: String,
    /// Digest of everything that decides what the rows are (configuration, parameters, selected resources,
    /// component). A staged package of another
    /// digest is not gone on with.
    pub digest: String,
    /// The resources that this run delivers.
    pub resources: Vec<ResourcePlan>,
    /// Whether the rows that are there go, however the new ones are written.
    pub full_refresh: bool,
    /// The run that this one is to be a repetition of.
    pub repeats: Option<Repeats>,
    /// How it begins, where somebody relies on that already ([`Self::foresee`]).
    pub foreseen: Option<Resumed>,
    /// What the database may take of the machine.
    pub limits: Resources,
    /// Stage durably when this many rows have come together; as many as suit the destination, if absent;
    pub commit_rows: Option<usize>,
    /// or this many bytes; likewise;
    pub commit_bytes: Option<usize>,
    /// or when the last time was this long ago.
    pub commit_interval: Duration,
}

impl Options {
    /// Options with the usual limits: what its columns need and one thread for a database in this process; commits every 5 seconds, and
    /// every 40,000 rows or 64 MiB, in DuckDB every 1,000,000 rows or 256 MiB.
    pub fn new(pipeline: &str, dataset: &str, digest: &str, resources: Vec<ResourcePlan>) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            dataset: dataset.to_owned(),
            digest: digest.to_owned(),
            resources,
            full_refresh: false,
            repeats: None,
            foreseen: None,
            limits: Resources::default(),
            commit_rows: None,
            commit_bytes: None,
            commit_interval: Duration::from_secs(5),
        }
    }

    /// The staging tables.
    fn staging(&self) -> Tables<'_> {
        Tables::Staged(&self.dataset)
    }

    /// How a run begins, where that can be told before the destination is opened, since there is none yet: so reading can begin meanwhile.
    /// [`Loader::begin`] then fails where something came in between.
    ///
    /// # Errors
    /// As [`Self::check`]; [`Class::Config`] too where the target cannot be right.
    pub fn foresee(&mut self, target: &Target) -> Result<Option<Resumed>> {
        self.check(target)?;
        if target.is_new()? && self.repeats.is_none() {
            let load_id = load_id::next(None);
            self.foreseen = Some(Resumed { load_id, run: 1, state: None, schema: None, interrupted: None });
        }
        Ok(self.foreseen.clone())
    }

    /// Checks all that can be told before the destination is opened.
    ///
    /// # Errors
    /// [`Class::Config`] where the options contradict each other, or ask for what the destination cannot do.
    pub fn check(&self, target: &Target) -> Result<()> {
        let wrong = |message: String| Err(Error::new(Class::Config, message));
        if self.pipeline.is_empty() {
            return wrong("the pipeline has no name".to_owned());
        }
        if self.dataset.is_empty() || self.dataset.contains('\0') {
            return wrong(format!("{:?} cannot be the name of a dataset", self.dataset));
        }
        for (index, plan) in self.resources.iter().enumerate() {
            if let Some(reason) = staging::unusable_table(&plan.table) {
                return wrong(format!("the table of resource `{}` {reason}", plan.resource));
            }
            let other = self.resources.iter().take(index).find(|other| {
                other.table == plan.table
                    && (&other.write_disposition, &other.primary_key) != (&plan.write_disposition, &plan.primary_key)
            });
            if let Some(other) = other {
                return wrong(format!(
                    "the resources `{}` and `{}` write to the table `{}` in different ways",
                    other.resource, plan.resource, plan.table
                ));
            }
        }
        match target {
            Target::Parquet { .. } => files::check(self),
            Target::DuckDb { .. } | Target::Postgres { .. } | Target::Sqlite { .. } => Ok(()),
        }
    }
}

/// A column that a table did not have before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it may be null.
    pub nullable: bool,
}

/// Rows of one table.
#[derive(Clone, Debug)]
pub struct TableRows {
    /// The table.
    pub table: String,
    /// The resource that the rows belong to.
    pub resource: String,
    /// The table that they are children of.
    pub parent: Option<String>,
    /// The rows. Columns may stand in any order, and be absent where they are null in all rows.
    pub rows: RecordBatch,
    /// Of each row of a child table the root row that it stems from: its place, from 0, among all rows of the root table in the
    /// batch. Empty for a root table.
    pub roots: Vec<u32>,
    /// Columns that the table did not have before.
    pub new_columns: Vec<Column>,
    /// Columns whose type is a wider one from these rows on: values that are there already are converted.
    pub widened_columns: Vec<Column>,
}

/// Rows that belong together, and the state that covers all rows up to and with them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The rows by table.
    pub tables: Vec<TableRows>,
    /// Where to go on after them.
    pub state: String,
    /// The connector's schema, where this batch changed it.
    pub schema: Option<String>,
    /// What became of values that did not simply go into their columns.
    pub changes: Vec<Change>,
}

impl Batch {
    /// The bytes of its rows.
    pub(crate) fn size(&self) -> usize {
        self.tables.iter().map(|table| staging_table::bytes(&table.rows)).sum()
    }

    /// Its rows, those of child tables too.
    pub(crate) fn rows(&self) -> usize {
        self.tables.iter().map(|table| table.rows.num_rows()).sum()
    }
}

/// From where a run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The load that the rows belong to.
    pub load_id: String,
    /// The number of this run of the pipeline, from 1.
    pub run: u64,
    /// The connector's state: that of the staged rows, or else of the published ones. `None` at the first run.
    pub state: Option<String>,
    /// The connector's schema, likewise.
    pub schema: Option<String>,
    /// Present where this run goes on with the package of an interrupted one.
    pub interrupted: Option<Interrupted>,
}

/// What an interrupted run left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// The staged rows of the root table, by resource.
    pub rows: Vec<(String, u64)>,
}

/// What a published load did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The load.
    pub load_id: String,
    /// The tables of the run's resources, those without new rows included; each root table is followed by its child tables.
    pub tables: Vec<PublishedTable>,
    /// What became of values that did not simply go into their columns, those of an interrupted run that was gone on with included.
    pub changes: Changes,
    /// Things to tell a person.
    pub warnings: Vec<String>,
}

/// What a published load did to a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublishedTable {
    /// The table.
    pub table: String,
    /// The resource that its rows belong to.
    pub resource: String,
    /// The table that it is a child of.
    pub parent: Option<String>,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows deleted to make place for them.
    pub deleted: u64,
    /// Rows left out since another row with their key counts: one of the same run, or one that is there and comes first in the order
    /// that decides. With rows of child tables under such.
    pub duplicates: u64,
    /// Rows that the table has now.
    pub total: u64,
}

/// Writes the rows of one run.
pub struct Loader {
    store: Box<dyn Store>,
    options: Options,
    staging: Staging,
    commit_rows: usize,
    commit_bytes: usize,
    last_commit: Instant,
    /// Why nothing more can be staged: what was not committed may be lost, so no state may be noted that covers it.
    failed: Option<Error>,
}

impl Loader {
    /// Opens the destination and begins a run: it takes the fence, and says from where to go on.
    ///
    /// # Errors
    /// As [`Options::check`]; [`Class::Config`] too where the target cannot be right; [`Class::Destination`] where it cannot be
    /// opened, or another run holds what this one needs.
    pub fn begin(target: &Target, mut options: Options) -> Result<(Self, Resumed)> {
        options.check(target)?;
        let (store, staging, resumed) = store::open(target, &mut options)?;
        if options.foreseen.as_ref().is_some_and(|foreseen| *foreseen != resumed) {
            return Err(Error::new(Class::Destination, "another run made the database while this one began")
                .fact("destination", target)
                .advice("run again: a pipeline has one run at a time"));
        }
        let (rows, bytes) = store.commit_size();
        let commit_rows = options.commit_rows.unwrap_or(rows);
        let commit_bytes = options.commit_bytes.unwrap_or(bytes);
        let last_commit = Instant::now();
        Ok((Self { store, options, staging, commit_rows, commit_bytes, last_commit, failed: None }, resumed))
    }

    /// How long it is until what has come together is to be committed, if anything has.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        let left = self.options.commit_interval.saturating_sub(self.last_commit.elapsed());
        self.staging.pending().map(|_| left)
    }

    /// Takes a batch. When enough has come together, all of it is staged durably. Says whether it was.
    ///
    /// # Errors
    /// [`Class::Source`] for a row without a value in its key, [`Class::Internal`] for a batch that contradicts its own
    /// declarations: nothing of the batch is taken then. And as [`Self::commit`].
    pub fn stage(&mut self, mut batch: Batch) -> Result<bool> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.store.fit(&mut batch)?;
        let is_changed = self.staging.is_changed_ahead(&batch);
        if is_changed {
            self.commit()?;
        }
        self.staging.take(batch, &self.options, self.store.dialect())?;
        let (rows, bytes) = self.staging.uncommitted();
        let due = rows >= self.commit_rows
            || bytes >= self.commit_bytes
            || self.last_commit.elapsed() >= self.options.commit_interval;
        if due {
            self.commit()?;
        } else {
            let is_written = self.store.write_ahead(&self.options, &self.staging);
            if is_written.inspect_err(|error| self.failed = Some(error.clone()))? {
                self.staging.written();
            }
        }
        Ok(due || is_changed)
    }

    /// Stages what has come together, with its state: all of it, or after an error nothing, and nothing more.
    ///
    /// # Errors
    /// [`Class::Destination`] where another run of the pipeline took over, or the destination refuses.
    pub fn commit(&mut self) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if let Some(pending) = self.staging.pending() {
            let committed = self.store.commit(&self.options, &self.staging, pending);
            committed.inspect_err(|error| self.failed = Some(error.clone()))?;
            self.staging.committed();
        }
        self.last_commit = Instant::now();
        Ok(())
    }

    /// Gives itself back where every value of the run went into its column as it is, and nothing else looks wrong. Otherwise the
    /// package is discarded: nothing of it stays staged, and the next run begins where this one began.
    ///
    /// # Errors
    /// [`Class::Source`] that tells the changes and what else looks wrong, where there is any; [`Class::Destination`] where the
    /// package cannot be discarded.
    pub fn refuse(mut self, suspicious: Vec<Error>) -> Result<Self> {
        let suspicious = suspicious.into_iter().map(|warning| Error { class: Class::Source, ..warning });
        let Some(refusal) = Error::all(self.staging.changes().refusal().into_iter().chain(suspicious)) else {
            return Ok(self);
        };
        self.store.discard(&self.options, &self.staging)?;
        Err(refusal)
    }

    /// Makes all rows of the run visible, and saves `next_state` for the next run.
    ///
    /// # Errors
    /// As [`Self::commit`]. The package stays open then, and the next run goes on with it.
    pub fn publish(mut self, next_state: &str) -> Result<Published> {
        self.commit()?;
        let published = self.store.publish(&self.options, &self.staging, next_state)?;
        Ok(Published { changes: self.staging.changes().clone(), ..published })
    }
}
