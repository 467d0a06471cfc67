//! One connection to a database.

use std::{
    any::Any,
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use adbc_core::{
    Connection, Optionable, Statement,
    options::{IngestMode, OptionConnection, OptionStatement},
};
use adbc_driver_manager::{ManagedConnection, ManagedStatement};
use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, RecordBatchIterator, StringArray, TimestampMicrosecondArray,
    cast::AsArray,
    types::{Int64Type, TimestampMicrosecondType},
};
use arrow_schema::{DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};

use arrow_cast::cast::{CastOptions, cast_with_options};

use super::dialect::{Dialect, Place, STAGING, Tables};
use crate::error::{Class, Error, Result};

/// A value for a parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Text, or null.
    Text(Option<&'a str>),
    /// An integer.
    Bigint(i64),
    /// An instant, in microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
}

/// A column as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredColumn {
    /// Its name.
    pub name: String,
    /// Its type, in the database's words.
    pub declared: String,
    /// Whether it may be null.
    pub nullable: bool,
}

/// The columns of tables, in each table's order.
pub type Columns = HashMap<String, Vec<StoredColumn>>;

/// What a database has of a dataset.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The final tables.
    pub last: Columns,
    /// The staging tables, by the names of the final ones.
    pub staged: Columns,
}

/// One connection to a database. Synchronous: it is used from a thread of its own.
pub struct Session {
    connection: ManagedConnection,
    dialect: &'static dyn Dialect,
    catalog: String,
    /// Whether a transaction is open.
    is_open: bool,
    /// For how many columns the database has room.
    room: Arc<AtomicUsize>,
    // What the connection needs as long as it lives: dropped after it.
    kept: Vec<Box<dyn Any + Send>>,
}

impl Session {
    pub(super) fn new(
        connection: ManagedConnection,
        dialect: &'static dyn Dialect,
        lease: Option<Box<dyn Any + Send>>,
        catalog_query: Option<&str>,
    ) -> Result<Self> {
        let (catalog, room, kept) = (String::new(), Arc::default(), lease.into_iter().collect());
        let mut session = Self { connection, dialect, catalog, is_open: false, room, kept };
        if let Some(query) = catalog_query {
            let rows = session.query(query, &[])?;
            session.catalog = rows.first().and_then(|rows| text(rows, 0, 0)).unwrap_or_default();
        }
        Ok(session)
    }

    /// Counts the database's room together with the other sessions of this process that have it open.
    pub(super) fn share_room(&mut self, room: Arc<AtomicUsize>) {
        self.room = room;
    }

    /// Lets the database's own buffers hold what writing so many columns needs, where it has to be told ([`Dialect::make_room`]). It is
    /// told only of more than before: that takes DuckDB milliseconds.
    pub fn make_room(&mut self, columns: usize) -> Result<()> {
        match self.dialect.make_room(columns) {
            Some(statement) if self.room.fetch_max(columns, Ordering::Relaxed) < columns => {
                self.run(&statement, &[]).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Keeps something until the connection has ended.
    pub(super) fn keep(&mut self, lease: impl Any + Send) {
        self.kept.push(Box::new(lease));
    }

    /// The database's way of saying things.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.dialect
    }

    /// A table's full name, quoted.
    pub fn qualified<'d>(&self, tables: impl Into<Tables<'d>>, table: &str) -> String {
        let place = self.place(tables.into(), table);
        let parts = place.catalog.into_iter().chain(place.schema).chain([place.table]);
        parts.map(|part| self.dialect.quote(&part)).collect::<Vec<_>>().join(".")
    }

    fn place(&self, tables: Tables<'_>, table: &str) -> Place {
        match (tables, self.dialect.staging_prefix()) {
            (Tables::Staged(_), Some(prefix)) => {
                self.dialect.place(&self.catalog, &self.schema(tables), &format!("{prefix}{table}"))
            }
            (Tables::Final(_), _) | (Tables::Staged(_), None) => {
                self.dialect.place(&self.catalog, &self.schema(tables), table)
            }
        }
    }

    /// The schema in which tables stand.
    fn schema(&self, tables: Tables<'_>) -> String {
        match tables {
            Tables::Staged(dataset) if self.dialect.staging_prefix().is_none() => format!("{dataset}{STAGING}"),
            Tables::Staged(dataset) | Tables::Final(dataset) => dataset.to_owned(),
        }
    }

    /// Creates the schema of some tables where it is missing.
    pub fn create_schema<'d>(&mut self, tables: impl Into<Tables<'d>>) -> Result<()> {
        match self.dialect.create_schema(&self.catalog, &self.schema(tables.into())) {
            Some(statement) => self.run(&statement, &[]).map(drop),
            None => Ok(()),
        }
    }

    /// Runs a statement; gives the number of rows that it changed.
    pub fn run(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        let mut statement = self.statement(sql, values)?;
        let changed = statement.execute_update().map_err(|error| self.failure(&error))?;
        // DuckDB's driver leaves the count out when it is zero.
        Ok(changed.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
    }

    /// Runs a query; gives its whole result. Instants are in UTC.
    pub fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<RecordBatch>> {
        let mut statement = self.statement(sql, values)?;
        let reader = statement.execute().map_err(|error| self.failure(&error))?;
        reader
            .map(|batch| batch.and_then(in_utc).map_err(|error| self.refusal("the result cannot be read", &error)))
            .collect()
    }

    /// Appends rows to a table that exists. The batches must have the table's columns, in its order: drivers differ in
    /// whether they look at names. Gives the number of rows.
    pub fn ingest<'d>(
        &mut self,
        tables: impl Into<Tables<'d>>,
        table: &str,
        columns: SchemaRef,
        batches: Vec<RecordBatch>,
    ) -> Result<u64> {
        // Ingest options stick to a statement, so each ingest has its own.
        let mut statement = self.connection.new_statement().map_err(|error| self.failure(&error))?;
        let place = self.place(tables.into(), table);
        let place = [
            place.catalog.map(|catalog| (OptionStatement::TargetCatalog, catalog)),
            place.schema.map(|schema| (OptionStatement::TargetDbSchema, schema)),
            Some((OptionStatement::TargetTable, place.table)),
        ];
        for (option, value) in place.into_iter().flatten() {
            statement.set_option(option, value.as_str().into()).map_err(|error| self.failure(&error))?;
        }
        statement
            .set_option(OptionStatement::IngestMode, IngestMode::Append.into())
            .map_err(|error| self.failure(&error))?;
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let batches = batches.into_iter().map(|batch| self.travelling(batch)).collect::<Result<Vec<_>, _>>();
        let batches = batches.map_err(|error| self.refusal("the rows cannot be written", &error))?;
        let columns = batches.first().map_or(columns, RecordBatch::schema);
        let reader = RecordBatchIterator::new(batches.into_iter().map(Ok), columns);
        statement.bind_stream(Box::new(reader)).map_err(|error| self.failure(&error))?;
        statement.execute_update().map_err(|error| self.failure(&error).fact("table", table))?;
        drop(statement);
        self.took(table)?;
        Ok(rows)
    }

    /// Checks that the rows which went in last are there. DuckDB's driver says nothing of rows that it refuses, such as those with a null
    /// where none may be; and of the transaction, which is void from then on, it says at the end that it was committed.
    fn took(&mut self, table: &str) -> Result<()> {
        self.query("SELECT 1", &[]).map(drop).map_err(|_| {
            Error::new(Class::Destination, format!("{} refused rows", self.dialect.database()))
                .fact("table", table)
                .fact("reason", "a value does not fit its column, such as a null in one that may have none")
        })
    }

    /// Does some work in one transaction, with what was done [ahead](Self::ahead) of it: all of it is kept, or, after an error, none.
    pub fn transaction<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let value = self.ahead(|session| {
            let value = work(session)?;
            session.connection.commit().map_err(|error| session.failure(&error))?;
            Ok(value)
        })?;
        self.end()?;
        Ok(value)
    }

    /// Does some work in the transaction that comes next. After an error that one is gone, with all that was done in it.
    pub fn ahead<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if !self.is_open {
            let began = self.connection.set_option(OptionConnection::AutoCommit, "false".into());
            began.map_err(|error| self.failure(&error))?;
            self.is_open = true;
        }
        let outcome = work(self);
        if outcome.is_err() {
            // The first error is the one to tell. If even this fails the connection is broken, and nothing was committed.
            let _ = self.roll_back();
        }
        outcome
    }

    /// Undoes what was done ahead.
    pub fn roll_back(&mut self) -> Result<()> {
        if !self.is_open {
            return Ok(());
        }
        let rolled_back = self.connection.rollback().map_err(|error| self.failure(&error));
        self.end()?;
        rolled_back
    }

    /// Goes back to statements of which each is a transaction.
    fn end(&mut self) -> Result<()> {
        self.is_open = false;
        self.connection.set_option(OptionConnection::AutoCommit, "true".into()).map_err(|error| self.failure(&error))
    }

    /// The columns of the final tables of a dataset.
    pub fn columns(&mut self, dataset: &str) -> Result<Columns> {
        Ok(self.of_schema(Tables::Final(dataset))?.last)
    }

    /// The columns of all tables of a dataset. To look once is worth it: databases take longer to tell than to fill a small table.
    pub fn catalog(&mut self, dataset: &str) -> Result<Catalog> {
        let mut catalog = self.of_schema(Tables::Final(dataset))?;
        if self.dialect.staging_prefix().is_none() {
            catalog.staged = self.of_schema(Tables::Staged(dataset))?.last;
        }
        Ok(catalog)
    }

    /// The tables that stand in the schema of some tables. Those without a prefix of staging tables are all given as final ones.
    fn of_schema(&mut self, tables: Tables<'_>) -> Result<Catalog> {
        let schema = self.schema(tables);
        let prefix = self.dialect.staging_prefix();
        let mut catalog = Catalog::default();
        for rows in self.query(self.dialect.columns_query(), &[Value::Text(Some(&schema))])? {
            for row in 0..rows.num_rows() {
                let (Some(table), Some(name), Some(declared)) =
                    (text(&rows, 0, row), text(&rows, 1, row), text(&rows, 2, row))
                else {
                    continue;
                };
                let columns = match prefix.and_then(|prefix| table.strip_prefix(prefix)) {
                    Some(name) => catalog.staged.entry(name.to_owned()),
                    None => catalog.last.entry(table),
                };
                let nullable = boolean(&rows, 3, row).unwrap_or(true);
                columns.or_default().push(StoredColumn { name, declared, nullable });
            }
        }
        Ok(catalog)
    }

    /// The columns of the final tables of a dataset that have nothing else but rows ([`Dialect::plain_tables_query`]).
    pub fn plain_tables(&mut self, dataset: &str) -> Result<Columns> {
        let Some(query) = self.dialect.plain_tables_query() else { return Ok(HashMap::new()) };
        let rows = self.query(query, &[Value::Text(Some(dataset))])?;
        let plain = rows.iter().flat_map(|rows| (0..rows.num_rows()).filter_map(|row| text(rows, 0, row)));
        let plain: HashSet<String> = plain.collect();
        let mut tables = self.columns(dataset)?;
        tables.retain(|table, _| plain.contains(table));
        Ok(tables)
    }

    fn statement(&mut self, sql: &str, values: &[Value<'_>]) -> Result<ManagedStatement> {
        let mut statement = self.connection.new_statement().map_err(|error| self.failure(&error))?;
        statement.set_sql_query(sql).map_err(|error| self.failure(&error))?;
        if !values.is_empty() {
            let parameters = parameters(values).map_err(|error| self.refusal("the values cannot be bound", &error))?;
            statement.bind(parameters).map_err(|error| self.failure(&error))?;
        }
        Ok(statement)
    }

    /// Rows of the Arrow types in which the driver takes them.
    fn travelling(&self, batch: RecordBatch) -> Result<RecordBatch, arrow_schema::ArrowError> {
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        let types: Vec<_> = batch.columns().iter().map(|column| self.dialect.travels_as(column.data_type())).collect();
        if batch.columns().iter().zip(&types).all(|(column, arrow)| column.data_type() == arrow) {
            return Ok(batch);
        }
        let fields = batch
            .schema()
            .fields()
            .iter()
            .zip(&types)
            .map(|(field, arrow)| field.as_ref().clone().with_data_type(arrow.clone()))
            .collect::<Vec<_>>();
        let columns =
            batch.columns().iter().zip(&types).map(|(column, arrow)| cast_with_options(column, arrow, &exact));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.collect::<Result<_, _>>()?)
    }

    fn failure(&self, error: &adbc_core::error::Error) -> Error {
        let failure =
            Error::new(Class::Destination, format!("{} refused: {}", self.dialect.database(), reason(&error.message)));
        // DuckDB's words.
        if error.message.contains("Out of Memory Error") {
            return failure.advice("give it more: --memory-limit 512MB");
        }
        failure
    }

    fn refusal(&self, what: &str, error: &arrow_schema::ArrowError) -> Error {
        Error::new(Class::Destination, format!("{what}: {error}")).fact("database", self.dialect.database())
    }
}

/// What a driver says, without what it did and the SQL, which is our own: the first line says what is wrong.
pub(super) fn reason(message: &str) -> &str {
    let line = message.trim().lines().next().unwrap_or_default();
    // PostgreSQL's driver: `[libpq] Failed to execute query …: ERROR:  …`.
    let line = line.split_once("ERROR:").or_else(|| line.split_once("FATAL:")).map_or(line, |(_, reason)| reason);
    line.trim()
}

/// A record batch of one row: the parameters `$1`, `$2`, …
fn parameters(values: &[Value<'_>]) -> Result<RecordBatch, arrow_schema::ArrowError> {
    RecordBatch::try_from_iter_with_nullable(values.iter().enumerate().map(|(index, value)| {
        let value: ArrayRef = match value {
            Value::Text(text) => Arc::new(StringArray::from(vec![*text])),
            Value::Bigint(number) => Arc::new(Int64Array::from(vec![*number])),
            Value::Timestamp(micros) => Arc::new(TimestampMicrosecondArray::from(vec![*micros]).with_timezone("UTC")),
        };
        ((index + 1).to_string(), value, true)
    }))
}

/// Instants with the zone as an offset. DuckDB gives the name of the session's zone, which Arrow cannot print without a
/// database of zones; the values are in UTC either way.
fn in_utc(batch: RecordBatch) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let (fields, columns): (Vec<Arc<Field>>, Vec<ArrayRef>) = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| match field.data_type() {
            ArrowType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
                let column = column.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("+00:00");
                let field = Field::clone(field).with_data_type(column.data_type().clone());
                (Arc::new(field), Arc::new(column) as ArrayRef)
            }
            _ => (Arc::clone(field), Arc::clone(column)),
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The text at a place of a result. `None` for null, or where there is no text column.
pub(crate) fn text(rows: &RecordBatch, column: usize, row: usize) -> Option<String> {
    let column = rows.columns().get(column)?.as_string_opt::<i32>()?;
    (row < column.len() && column.is_valid(row)).then(|| column.value(row).to_owned())
}

/// The integer at a place of a result. `None` for null, or where there is no integer column.
pub(crate) fn bigint(rows: &RecordBatch, column: usize, row: usize) -> Option<i64> {
    let column = rows.columns().get(column)?.as_primitive_opt::<Int64Type>()?;
    (row < column.len() && column.is_valid(row)).then(|| column.value(row))
}

/// The boolean at a place of a result, or whether the number there is not 0. `None` for null, or where there is neither.
pub(crate) fn boolean(rows: &RecordBatch, column: usize, row: usize) -> Option<bool> {
    let Some(values) = rows.columns().get(column)?.as_boolean_opt() else {
        return bigint(rows, column, row).map(|number| number != 0);
    };
    (row < values.len() && values.is_valid(row)).then(|| values.value(row))
}
