//! The load package of a pipeline: its row in `_spile_state`.
//!
//! | column | meaning |
//! |---|---|
//! | `pipeline_name` | key |
//! | `run` | the fence: the number of the last run that began |
//! | `status` | `open` while a package is not published, then `done` |
//! | `digest` | of what the package was read with |
//! | `load_id` | the package's, or the last one's |
//! | `state`, `schema` | the connector's, as published |
//! | `staged_state`, `staged_schema` | the connector's, as of the staged rows; null where none were staged or changed |
//! | `staged_changes` | JSON: what became of values of the staged rows; null where all went into their columns as they are |
//! | `tables` | JSON: the tables that the pipeline has written, with the number of their staged rows |

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};

use super::{Options, Resumed};
use crate::{
    changes::Changes,
    destination::{Catalog, DataType, Session, Tables, Value, bigint, text},
    error::{Class, Error, Result},
};

pub(super) const STATE_TABLE: &str = "_spile_state";

/// A table of the pipeline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KnownTable {
    pub table: String,
    /// The root of its chain of tables; itself for a root table.
    pub root: String,
    pub resource: String,
    pub parent: Option<String>,
    /// Rows in its staging table.
    #[serde(default)]
    pub staged: u64,
    /// The columns of the final table as the last run left them, with their types in the database's words.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
}

impl KnownTable {
    /// Notes the table's present place, where an earlier configuration gave it another one. Of two resources that share a
    /// table, the first stays its resource.
    pub fn place(&mut self, place: Self) {
        if self.root != place.root || self.parent != place.parent {
            *self = Self { staged: self.staged, columns: std::mem::take(&mut self.columns), ..place };
        }
    }
}

/// A run's hold on the pipeline's row.
pub(super) struct Package {
    pub load_id: String,
    /// As far as the database knows them.
    pub tables: Vec<KnownTable>,
    /// What became of values of the staged rows.
    pub changes: Changes,
    pipeline: String,
    /// The fence.
    pub run: i64,
    state_table: String,
}

impl Package {
    /// Takes the next run number, and either goes on with the open package or begins one. To be called in a transaction. Gives what else
    /// the database has of the dataset.
    pub fn begin(session: &mut Session, options: &Options) -> Result<(Self, Resumed, Catalog)> {
        let mut catalog = create(session, options)?;
        let state_table = session.qualified(&options.dataset, STATE_TABLE);
        let row = next_run(session, options)?;

        let run = row.run;
        // A person may have dropped a staging table.
        let begun = row.begin(options, |table| catalog.staged.contains_key(&table.table))?;
        for table in &begun.discarded {
            if catalog.staged.remove(&table.table).is_some() {
                session.run(&drop_table(session, options.staging(), &table.table), &[])?;
            }
        }
        let load_id = begun.resumed.load_id.clone();
        let package = Self {
            load_id: load_id.clone(),
            tables: begun.tables,
            changes: begun.changes,
            pipeline: options.pipeline.clone(),
            run,
            state_table,
        };
        package.refuse_foreign_rows(session, options)?;
        let sets = if begun.goes_on {
            "\"status\" = 'open', \"digest\" = $1, \"load_id\" = $2, \"tables\" = $3"
        } else {
            "\"status\" = 'open', \"digest\" = $1, \"load_id\" = $2, \"tables\" = $3, \"staged_state\" = NULL, \"staged_schema\" = NULL, \
             \"staged_changes\" = NULL"
        };
        let values = [
            Value::Text(Some(&options.digest)),
            Value::Text(Some(&load_id)),
            Value::Text(Some(&json(&package.tables)?)),
        ];
        package.update(session, sets, &values)?;
        Ok((package, begun.resumed, catalog))
    }

    /// Proves the fence, and notes the state that covers the rows which the same transaction stages.
    pub fn note_staged(
        &self,
        session: &mut Session,
        state: &str,
        schema: Option<&str>,
        tables: &[KnownTable],
        changes: &Changes,
    ) -> Result<()> {
        let tables = json(tables)?;
        let changes = if changes.is_empty() { None } else { Some(json(changes)?) };
        let values = [
            Value::Text(Some(state)),
            Value::Text(schema),
            Value::Text(Some(&tables)),
            Value::Text(changes.as_deref()),
        ];
        let sets = "\"staged_state\" = $1, \"staged_schema\" = coalesce($2, \"staged_schema\"), \"tables\" = $3, \
                    \"staged_changes\" = $4";
        self.update(session, sets, &values).map(drop)
    }

    /// Proves the fence, and notes that the package is being published. Gives the connector's schema.
    pub fn note_published(&self, session: &mut Session, state: &str) -> Result<Option<String>> {
        let sets = "\"status\" = 'done', \"state\" = $1, \"schema\" = coalesce(\"staged_schema\", \"schema\"), \
                    \"staged_state\" = NULL, \"staged_schema\" = NULL, \"staged_changes\" = NULL";
        let rows = self.update(session, sets, &[Value::Text(Some(state))])?;
        Ok(text(&rows, 0, 0))
    }

    /// Notes the tables as they are after the package was published.
    pub fn note_tables(&self, session: &mut Session, options: &Options, tables: &[KnownTable]) -> Result<()> {
        let mut stored = session.columns(&options.dataset)?;
        let mut tables = emptied(tables);
        for table in &mut tables {
            let columns = stored.remove(&table.table).unwrap_or_default();
            table.columns = columns.into_iter().map(|column| (column.name, column.declared)).collect();
        }
        self.update(session, "\"tables\" = $1", &[Value::Text(Some(&json(&tables)?))]).map(drop)
    }

    /// Proves the fence, drops the staging tables, and notes that nothing is staged. State and schema stay as they were published.
    pub fn discard(&self, session: &mut Session, staging: Tables<'_>, tables: &[KnownTable]) -> Result<()> {
        let emptied = json(&emptied(tables))?;
        let sets = "\"status\" = 'done', \"staged_state\" = NULL, \"staged_schema\" = NULL, \"staged_changes\" = NULL, \
                    \"tables\" = $1";
        self.update(session, sets, &[Value::Text(Some(&emptied))])?;
        for table in tables {
            session.run(&drop_table(session, staging, &table.table), &[])?;
        }
        Ok(())
    }

    /// Changes the pipeline's row, if this run still holds it. `sets` has the parameters of `values`, from `$1`. Gives the published schema.
    fn update(&self, session: &mut Session, sets: &str, values: &[Value<'_>]) -> Result<RecordBatch> {
        let (pipeline, run) = (values.len() + 1, values.len() + 2);
        let sql = format!(
            "UPDATE {} SET {sets}, \"updated_at\" = {} \
             WHERE \"pipeline_name\" = ${pipeline} AND \"run\" = ${run} RETURNING \"schema\"",
            self.state_table,
            session.dialect().now(),
        );
        let ours = [Value::Text(Some(&self.pipeline)), Value::Bigint(self.run)];
        let values: Vec<_> = values.iter().copied().chain(ours).collect();
        let rows = session.query(&sql, &values).map_err(|error| {
            // It began while our transaction was open, so we do not see its number.
            if session.dialect().is_conflict(&error.message) { overtaken(&self.pipeline, self.run) } else { error }
        })?;
        rows.into_iter().find(|rows| rows.num_rows() == 1).ok_or_else(|| overtaken(&self.pipeline, self.run))
    }

    /// Pipelines that share a dataset may share tables, but not staged rows: each would publish the other's.
    fn refuse_foreign_rows(&self, session: &mut Session, options: &Options) -> Result<()> {
        let sql = format!(
            "SELECT \"pipeline_name\", \"tables\" FROM {} WHERE \"status\" = 'open' AND \"pipeline_name\" <> $1",
            self.state_table
        );
        for rows in session.query(&sql, &[Value::Text(Some(&self.pipeline))])? {
            for row in 0..rows.num_rows() {
                let theirs = text(&rows, 1, row).and_then(|tables| parse(&tables)).unwrap_or_default();
                let shared = theirs
                    .iter()
                    .find(|theirs| theirs.staged > 0 && options.resources.iter().any(|plan| plan.table == theirs.root));
                if let Some(shared) = shared {
                    let other = text(&rows, 0, row).unwrap_or_default();
                    return Err(Error::new(
                        Class::Destination,
                        "another pipeline's interrupted run holds a staging table",
                    )
                    .fact("table", &shared.table)
                    .fact("pipeline", &other)
                    .advice(format!("let the pipeline `{other}` finish its run first, or use another dataset")));
                }
            }
        }
        Ok(())
    }
}

/// Why a run that no longer holds the fence ends.
pub(super) fn overtaken(pipeline: &str, run: i64) -> Error {
    Error::new(Class::Destination, "another run took over the pipeline; this one wrote nothing more")
        .fact("pipeline", pipeline)
        .fact("run", run)
        .advice("let the other run finish: a pipeline has one run at a time")
}

/// The tables without staged rows.
fn emptied(tables: &[KnownTable]) -> Vec<KnownTable> {
    tables.iter().map(|table| KnownTable { staged: 0, ..table.clone() }).collect()
}

/// `DROP TABLE` for a table that may not be there.
pub(super) fn drop_table(session: &Session, tables: Tables<'_>, table: &str) -> String {
    format!("DROP TABLE IF EXISTS {}", session.qualified(tables, table))
}

/// The columns of a [`Row`].
const COLUMNS: &str = "\"run\", \"status\", \"digest\", \"load_id\", \"state\", \"schema\", \"staged_state\", \"staged_schema\", \
                       \"tables\", \"staged_changes\"";

/// Takes the next run number of a pipeline: from then on, no earlier run can write. Gives its row as it was, with that number.
pub(super) fn next_run(session: &mut Session, options: &Options) -> Result<Row> {
    let state_table = session.qualified(&options.dataset, STATE_TABLE);
    let pipeline = Value::Text(Some(&options.pipeline));
    let now = session.dialect().now();
    let insert = format!(
        "INSERT INTO {state_table} (\"pipeline_name\", \"run\", \"status\", \"tables\", \"updated_at\") \
         VALUES ($1, 0, 'done', '[]', {now}) ON CONFLICT DO NOTHING"
    );
    session.run(&insert, &[pipeline])?;
    let increment = format!(
        "UPDATE {state_table} SET \"run\" = \"run\" + 1, \"updated_at\" = {now} WHERE \"pipeline_name\" = $1 RETURNING {COLUMNS}"
    );
    let rows = session.query(&increment, &[pipeline])?;
    rows.first().and_then(Row::read).ok_or_else(|| unreadable(&options.pipeline))
}

/// A pipeline's row, where it has one. The state table must be there.
pub(super) fn find(session: &mut Session, dataset: &str, pipeline: &str) -> Result<Option<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM {} WHERE \"pipeline_name\" = $1", session.qualified(dataset, STATE_TABLE));
    let rows = session.query(&sql, &[Value::Text(Some(pipeline))])?;
    match rows.iter().find(|rows| rows.num_rows() > 0) {
        None => Ok(None),
        Some(rows) => Row::read(rows).map(Some).ok_or_else(|| unreadable(pipeline)),
    }
}

/// Puts a state into a pipeline's row, with nothing staged.
pub(super) fn put(
    session: &mut Session,
    options: &Options,
    state: Option<&str>,
    schema: Option<&str>,
    tables: &[KnownTable],
) -> Result<()> {
    let sql = format!(
        "UPDATE {} SET \"status\" = 'done', \"state\" = $1, \"schema\" = $2, \"staged_state\" = NULL, \"staged_schema\" = NULL, \
         \"staged_changes\" = NULL, \"tables\" = $3, \"updated_at\" = {} WHERE \"pipeline_name\" = $4",
        session.qualified(&options.dataset, STATE_TABLE),
        session.dialect().now(),
    );
    let tables = json(&emptied(tables))?;
    let values =
        [Value::Text(state), Value::Text(schema), Value::Text(Some(&tables)), Value::Text(Some(&options.pipeline))];
    session.run(&sql, &values).map(drop)
}

fn unreadable(pipeline: &str) -> Error {
    Error::new(Class::Destination, format!("the row of the pipeline in `{STATE_TABLE}` cannot be read"))
        .fact("pipeline", pipeline)
}

/// Creates the schemas and the state table where they are missing. Gives what was there before.
pub(super) fn create(session: &mut Session, options: &Options) -> Result<Catalog> {
    for tables in [Tables::Final(&options.dataset), options.staging()] {
        session.create_schema(tables)?;
    }
    let catalog = session.catalog(&options.dataset)?;
    let column_type = |data_type| session.dialect().column_type(data_type);
    let (text, bigint) = (column_type(DataType::Text), column_type(DataType::Bigint));
    let timestamp = column_type(DataType::Timestamp);
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {} (\"pipeline_name\" {text} NOT NULL PRIMARY KEY, \"run\" {bigint} NOT NULL, \
         \"status\" {text} NOT NULL, \"digest\" {text}, \"load_id\" {text}, \"state\" {text}, \"schema\" {text}, \
         \"staged_state\" {text}, \"staged_schema\" {text}, \"staged_changes\" {text}, \"tables\" {text} NOT NULL, \"updated_at\" {timestamp} NOT NULL)",
        session.qualified(&options.dataset, STATE_TABLE)
    );
    session.run(&sql, &[])?;
    let columns = catalog.last.get(STATE_TABLE);
    if columns.is_some_and(|columns| columns.iter().all(|column| column.name != "staged_changes")) {
        // It was created before there was a report of changes.
        let name = session.qualified(&options.dataset, STATE_TABLE);
        session.run(&format!("ALTER TABLE {name} ADD COLUMN \"staged_changes\" {text}"), &[])?;
    }
    Ok(catalog)
}

/// The pipeline's row.
pub(super) struct Row {
    pub run: i64,
    pub open: bool,
    pub digest: Option<String>,
    pub load_id: Option<String>,
    pub state: Option<String>,
    pub schema: Option<String>,
    pub staged_state: Option<String>,
    pub staged_schema: Option<String>,
    pub tables: Vec<KnownTable>,
    pub staged_changes: Option<Changes>,
}

impl Row {
    fn read(rows: &RecordBatch) -> Option<Self> {
        Some(Self {
            run: bigint(rows, 0, 0)?,
            open: text(rows, 1, 0)? == "open",
            digest: text(rows, 2, 0),
            load_id: text(rows, 3, 0),
            state: text(rows, 4, 0),
            schema: text(rows, 5, 0),
            staged_state: text(rows, 6, 0),
            staged_schema: text(rows, 7, 0),
            tables: parse(&text(rows, 8, 0)?)?,
            staged_changes: match text(rows, 9, 0) {
                None => None,
                Some(changes) => Some(serde_json::from_str(&changes).ok()?),
            },
        })
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(Class::Internal, format!("what is noted of a package: {error}")))
}

fn parse(tables: &str) -> Option<Vec<KnownTable>> {
    serde_json::from_str(tables).ok()
}
