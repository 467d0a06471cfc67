//! What a destination knows of a pipeline between its runs: state, history, tables.
//!
//! In a database each published run has a row in `_spile_runs`; in files the manifest has the same:
//!
//! | column | meaning |
//! |---|---|
//! | `pipeline_name`, `run` | which run of which pipeline |
//! | `load_id` | the load that it published |
//! | `began_at`, `published_at` | when the load began, and when the run ended; a load that was interrupted began in an earlier run |
//! | `inserted_rows` | rows of all tables |
//! | `tables` | JSON: what was inserted, deleted, left out as duplicates, and is there now, by table |

use arrow_array::{RecordBatch, cast::AsArray, types::TimestampMicrosecondType};
use serde::{Deserialize, Serialize};

use super::{
    Options, Published,
    files::Files,
    load_id,
    package::{self, KnownTable, STATE_TABLE, drop_table},
};
use crate::{
    destination::{self, Access, DataType, Resources, Session, Target, Value, bigint, text},
    error::{Class, Error, Result},
};

const RUNS_TABLE: &str = "_spile_runs";

/// A pipeline at a destination.
pub struct Ledger {
    place: Place,
    dataset: String,
    pipeline: String,
}

/// Where a pipeline is kept.
enum Place {
    Database(Session),
    Files(Box<Files>),
}

/// What is saved of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The number of the last run that began.
    pub run: u64,
    /// Whether that run's rows, or those of runs before it, wait in staging tables for a run that goes on.
    pub is_open: bool,
    /// The last load, or the one that is open.
    pub load_id: Option<String>,
    /// The connector's state as it was published: JSON.
    pub state: Option<String>,
    /// The connector's schema likewise.
    pub schema: Option<String>,
    /// The state that covers the staged rows too, where there are any.
    pub staged_state: Option<String>,
    /// Staged rows by table, where there are any.
    pub staged: Vec<(String, u64)>,
}

/// A state as a file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exported {
    /// The form of the file: 1.
    pub version: u32,
    /// The pipeline that the state is of.
    pub pipeline: String,
    /// The connector's state: JSON as text.
    pub state: Option<String>,
    /// The connector's schema likewise.
    pub schema: Option<String>,
}

/// A run that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its number; numbers that are missing are of runs that did not publish.
    pub run: u64,
    /// Its load.
    pub load_id: String,
    /// When the load began, and when it was published: ISO 8601, in UTC.
    pub began_at: String,
    /// Likewise.
    pub published_at: String,
    /// Rows inserted into all tables.
    pub inserted_rows: u64,
    /// What it did to each table: JSON.
    pub tables: String,
}

/// A table that the pipeline has written, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRecord {
    /// Its name.
    pub table: String,
    /// The resource that its rows belong to.
    pub resource: String,
    /// The table that it is a child of.
    pub parent: Option<String>,
    /// Its columns in their order: name, type in the database's words, the contract's type if it is one, and whether it may be null.
    pub columns: Vec<(String, String, Option<DataType>, bool)>,
    /// The statement that would create it; of files, the one by which DuckDB reads them.
    pub create: String,
}

impl Ledger {
    /// Opens a destination for a look, or for a change.
    ///
    /// # Errors
    /// As [`destination::open`]; and where a run of the pipeline is going on, if it is to be changed.
    pub fn open(target: &Target, access: Access, dataset: &str, pipeline: &str) -> Result<Self> {
        let place = if let Target::Parquet { directory } = target {
            Place::Files(Box::new(Files::open(directory, access, dataset, pipeline)?))
        } else {
            let mut session = destination::open(target, access, &Resources::default())?;
            if access == Access::Write {
                session.dialect().hold(&mut session, dataset, pipeline)?;
            }
            Place::Database(session)
        };
        Ok(Self { place, dataset: dataset.to_owned(), pipeline: pipeline.to_owned() })
    }

    /// What is saved. `None` where the pipeline has never run into this dataset.
    pub fn saved(&mut self) -> Result<Option<Saved>> {
        let Some(row) = self.row()? else { return Ok(None) };
        let staged = row.tables.iter().filter(|table| table.staged > 0);
        Ok(Some(Saved {
            run: u64::try_from(row.run).unwrap_or(0),
            is_open: row.open,
            load_id: row.load_id,
            staged: staged.map(|table| (table.table.clone(), table.staged)).collect(),
            state: row.state,
            schema: row.schema,
            staged_state: row.staged_state,
        }))
    }

    /// The runs that were published, the last one first.
    pub fn runs(&mut self) -> Result<Vec<RunRecord>> {
        let session = match &mut self.place {
            Place::Database(session) => session,
            Place::Files(files) => return Ok(files.runs()),
        };
        if !session.columns(&self.dataset)?.contains_key(RUNS_TABLE) {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT \"run\", \"load_id\", \"began_at\", \"published_at\", \"inserted_rows\", \"tables\" FROM {} \
             WHERE \"pipeline_name\" = $1 ORDER BY \"run\" DESC",
            session.qualified(&self.dataset, RUNS_TABLE),
        );
        let mut runs = Vec::new();
        for rows in session.query(&sql, &[Value::Text(Some(&self.pipeline))])? {
            runs.extend((0..rows.num_rows()).filter_map(|row| {
                let number = |column| u64::try_from(bigint(&rows, column, row)?).ok();
                Some(RunRecord {
                    run: number(0)?,
                    load_id: text(&rows, 1, row)?,
                    began_at: instant(&rows, 2, row)?,
                    published_at: instant(&rows, 3, row)?,
                    inserted_rows: number(4)?,
                    tables: text(&rows, 5, row)?,
                })
            }));
        }
        Ok(runs)
    }

    /// The pipeline's tables as they are now, each root table before its child tables.
    pub fn tables(&mut self) -> Result<Vec<TableRecord>> {
        let known = self.row()?.map(|row| row.tables).unwrap_or_default();
        let session = match &mut self.place {
            Place::Database(session) => session,
            Place::Files(files) => return Ok(files.records()),
        };
        let mut stored = session.columns(&self.dataset)?;
        let dialect = session.dialect();
        let tables = known.into_iter().filter_map(|known| {
            let columns = stored.remove(&known.table)?;
            let definitions = columns.iter().map(|column| {
                let not_null = if column.nullable { "" } else { " NOT NULL" };
                format!("    {} {}{not_null}", dialect.quote(&column.name), column.declared)
            });
            let create = format!(
                "CREATE TABLE {} (\n{}\n);\n",
                session.qualified(&self.dataset, &known.table),
                definitions.collect::<Vec<_>>().join(",\n")
            );
            let typed = columns.into_iter().map(|column| {
                let data_type = dialect.data_type(&column.declared);
                (column.name, column.declared, data_type, column.nullable)
            });
            let KnownTable { table, resource, parent, .. } = known;
            Some(TableRecord { table, resource, parent, columns: typed.collect(), create })
        });
        let mut tables: Vec<_> = tables.collect();
        tables.sort_by(|one, other| one.table.cmp(&other.table));
        Ok(tables)
    }

    /// The state for a file. `None` where the pipeline has never run into this dataset.
    pub fn export(&mut self) -> Result<Option<Exported>> {
        Ok(self.row()?.map(|row| Exported {
            version: 1,
            pipeline: self.pipeline.clone(),
            state: row.state,
            schema: row.schema,
        }))
    }

    /// Puts a state in the place of the one that is saved: the next run goes on from there. Staged rows go. Tables stay as they are.
    pub fn import(&mut self, exported: &Exported) -> Result<()> {
        self.put(exported.state.as_deref(), exported.schema.as_deref())
    }

    /// Forgets the state: the next run begins at the beginning. Staged rows go. Tables stay as they are.
    pub fn reset(&mut self) -> Result<()> {
        self.put(None, None)
    }

    fn put(&mut self, state: Option<&str>, schema: Option<&str>) -> Result<()> {
        let Self { place, dataset, pipeline } = self;
        let session = match place {
            Place::Database(session) => session,
            Place::Files(files) => return files.put(state, schema),
        };
        let options = Options::new(pipeline, dataset, "", Vec::new());
        session.transaction(|session| {
            session.dialect().hold_dataset(session, dataset)?;
            package::create(session, &options)?;
            let known = package::next_run(session, &options)?;
            for table in &known.tables {
                session.run(&drop_table(session, options.staging(), &table.table), &[])?;
            }
            package::put(session, &options, state, schema, &known.tables)
        })
    }

    fn row(&mut self) -> Result<Option<package::Row>> {
        let session = match &mut self.place {
            Place::Database(session) => session,
            Place::Files(files) => return Ok(files.row()),
        };
        if !session.columns(&self.dataset)?.contains_key(STATE_TABLE) {
            return Ok(None);
        }
        package::find(session, &self.dataset, &self.pipeline)
    }
}

/// Notes a published run. To be called in the transaction that publishes it.
pub(super) fn note_run(session: &mut Session, options: &Options, run: i64, published: &Published) -> Result<()> {
    let name = session.qualified(&options.dataset, RUNS_TABLE);
    let dialect = session.dialect();
    let (text, bigint, timestamp) = (
        dialect.column_type(DataType::Text),
        dialect.column_type(DataType::Bigint),
        dialect.column_type(DataType::Timestamp),
    );
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {name} (\"pipeline_name\" {text} NOT NULL, \"run\" {bigint} NOT NULL, \"load_id\" {text} NOT NULL, \
         \"began_at\" {timestamp} NOT NULL, \"published_at\" {timestamp} NOT NULL, \"inserted_rows\" {bigint} NOT NULL, \"tables\" {text} NOT NULL)"
    );
    session.run(&create, &[])?;
    let tables = serde_json::to_string(&published.tables)
        .map_err(|error| Error::new(Class::Internal, format!("what is noted of a run: {error}")))?;
    let inserted = published.tables.iter().map(|table| table.inserted).sum::<u64>();
    let insert = format!(
        "INSERT INTO {name} (\"pipeline_name\", \"run\", \"load_id\", \"began_at\", \"inserted_rows\", \"tables\", \"published_at\") \
         VALUES ($1, $2, $3, $4, $5, $6, {})",
        dialect.now()
    );
    let values = [
        Value::Text(Some(&options.pipeline)),
        Value::Bigint(run),
        Value::Text(Some(&published.load_id)),
        Value::Timestamp(load_id::began(&published.load_id)),
        Value::Bigint(i64::try_from(inserted).unwrap_or(i64::MAX)),
        Value::Text(Some(&tables)),
    ];
    session.run(&insert, &values).map(drop)
}

/// The instant at a place of a result, to the second: a timestamp, or a text where the database has none.
fn instant(rows: &RecordBatch, column: usize, row: usize) -> Option<String> {
    if let Some(text) = text(rows, column, row) {
        return Some(format!("{}Z", text.get(..19)?));
    }
    let micros = rows.columns().get(column)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let instant = jiff::Timestamp::from_microsecond(micros.value(row)).ok()?;
    Some(instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
