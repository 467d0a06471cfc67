//! Rows as a connector would deliver them, and questions to the database.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, cast::AsArray,
};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use spile_host::{
    destination::{self, Access, DataType, Resources, Session, Tables, Target, query},
    load::{Batch, Column, Loader, Merge, Options, Published, ResourcePlan, Resumed, TableRows, WriteDisposition},
};
use tempfile::TempDir;

use crate::server;

/// The databases that the loader writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    DuckDb,
    Postgres,
    Sqlite,
}

impl Kind {
    /// An expression: the instant in a column, in microseconds since 1970.
    pub fn micros(self, column: &str) -> String {
        match self {
            Self::DuckDb => format!("epoch_us({column})"),
            Self::Postgres => format!("(extract(epoch FROM {column}) * 1000000)::bigint"),
            Self::Sqlite => format!(
                "CAST(strftime('%s', substr({column}, 1, 19)) AS INTEGER) * 1000000 + CAST(substr({column}, 21, 6) AS INTEGER)"
            ),
        }
    }
}

/// Makes a test of each function: once for each database.
#[macro_export]
macro_rules! on_every_database {
    ($($test:ident),+ $(,)?) => {
        $(mod $test {
            use $crate::rows::Kind;

            #[test]
            fn duckdb() {
                super::$test(Kind::DuckDb);
            }

            #[test]
            fn postgres() {
                super::$test(Kind::Postgres);
            }

            #[test]
            fn sqlite() {
                super::$test(Kind::Sqlite);
            }
        })+
    };
}

/// A database of its own.
pub struct Database {
    pub kind: Kind,
    /// A directory for files.
    pub directory: TempDir,
    /// The file, of a database that is one.
    pub path: PathBuf,
    /// The address, of a database that a server has.
    address: Option<String>,
}

impl Database {
    pub fn new(kind: Kind) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = (kind == Kind::Postgres).then(server::new_database);
        Self { kind, path: directory.path().join("database"), directory, address }
    }

    pub fn target(&self) -> Target {
        let path = self.path.clone();
        match &self.address {
            Some(address) => Target::parse(address).unwrap(),
            None if self.kind == Kind::Sqlite => Target::Sqlite { path },
            None => Target::DuckDb { path },
        }
    }

    fn session(&self, access: Access) -> Session {
        destination::open(&self.target(), access, &Resources::default()).unwrap()
    }

    /// Holds the database open, so that what it keeps in memory stays from run to run.
    pub fn hold_open(&self) -> Session {
        self.session(Access::Write)
    }

    /// Runs a statement beside the loader. Tables are named `data.x`, as in [`Self::rows`].
    pub fn execute(&self, sql: &str) {
        self.session(Access::Write).run(&self.in_its_words(sql), &[]).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Tables of a dataset, by name.
    pub fn tables<'d>(&self, of: impl Into<Tables<'d>>) -> Vec<String> {
        let mut session = self.session(Access::Read);
        let tables = match of.into() {
            Tables::Final(dataset) => session.catalog(dataset).unwrap().last,
            Tables::Staged(dataset) => session.catalog(dataset).unwrap().staged,
        };
        let mut tables: Vec<_> = tables.into_keys().collect();
        tables.sort();
        tables
    }

    /// The columns of a table of the dataset `data`: name, type, and whether it may be null.
    pub fn types(&self, table: &str) -> Vec<(String, Option<DataType>, bool)> {
        let mut session = self.session(Access::Read);
        let columns = session.columns("data").unwrap().remove(table).unwrap_or_default();
        let typed = columns
            .into_iter()
            .map(|column| (column.name, session.dialect().data_type(&column.declared), column.nullable));
        typed.collect()
    }

    /// The full name of a table, quoted.
    pub fn qualified(&self, dataset: &str, table: &str) -> String {
        self.session(Access::Read).qualified(dataset, table)
    }

    /// SQLite has no schemas, and in DuckDB staging tables stand beside the final ones.
    fn in_its_words(&self, sql: &str) -> String {
        match self.kind {
            Kind::DuckDb => sql.replace(" data_staging.", " data._spile_staged_"),
            Kind::Postgres => sql.to_owned(),
            Kind::Sqlite => sql.replace(" data.", " data__").replace(" data_staging.", " data_staging__"),
        }
    }

    /// Makes the table of tags refuse all rows.
    pub fn refuse_tags(&self) {
        match self.kind {
            Kind::Sqlite => self.execute(
                "CREATE TRIGGER refusal BEFORE INSERT ON data.users__tags BEGIN SELECT RAISE(ABORT, 'refused'); END",
            ),
            Kind::DuckDb | Kind::Postgres => {
                self.execute("ALTER TABLE data.users__tags ADD COLUMN extra INTEGER DEFAULT 1");
                self.execute("ALTER TABLE data.users__tags ALTER COLUMN extra DROP DEFAULT");
                self.execute("ALTER TABLE data.users__tags ALTER COLUMN extra SET NOT NULL");
            }
        }
    }

    /// And takes that back.
    pub fn accept_tags(&self) {
        match self.kind {
            Kind::Sqlite => self.execute("DROP TRIGGER refusal"),
            Kind::DuckDb | Kind::Postgres => {
                self.execute("ALTER TABLE data.users__tags ALTER COLUMN extra DROP NOT NULL");
            }
        }
    }

    pub fn begin(&self, options: Options) -> (Loader, Resumed) {
        Loader::begin(&self.target(), options).unwrap_or_else(|error| panic!("{error} ({:?})", error.advice))
    }

    /// A whole run.
    pub fn run(&self, options: Options, batches: Vec<Batch>) -> Published {
        let (mut loader, _) = self.begin(options);
        for batch in batches {
            loader.stage(batch).unwrap();
        }
        loader.publish("done").unwrap()
    }

    /// A result as lines of text, values separated by `|`, null as `-`.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        lines(&query(&self.target(), &self.in_its_words(sql)).unwrap_or_else(|error| panic!("{sql}: {error}")))
    }
}

/// Rows as lines of text, values separated by `|`, null as `-`.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    let format = FormatOptions::new().with_null("-");
    for rows in batches {
        let columns: Vec<_> =
            rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &format).unwrap()).collect();
        for row in 0..rows.num_rows() {
            let values: Vec<_> = columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(values.join("|"));
        }
    }
    lines
}

/// Options that commit only when asked to.
pub fn options(resources: Vec<ResourcePlan>) -> Options {
    let mut options = Options::new("people", "data", "digest-1", resources);
    options.commit_rows = Some(usize::MAX);
    options.commit_bytes = Some(usize::MAX);
    options.commit_interval = Duration::MAX;
    options
}

pub fn plan(table: &str, write_disposition: WriteDisposition, key: &[&str]) -> ResourcePlan {
    ResourcePlan {
        resource: table.to_owned(),
        table: table.to_owned(),
        write_disposition,
        primary_key: key.iter().map(|&column| column.to_owned()).collect(),
    }
}

/// Delete and insert.
pub fn merge() -> WriteDisposition {
    WriteDisposition::Merge(Merge::default())
}

pub fn merge_users() -> Options {
    options(vec![plan("users", merge(), &["id"])])
}

pub fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

pub fn texts(values: impl IntoIterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub fn bigint(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

pub fn table(name: &str, parent: Option<&str>, columns: Vec<(&str, ArrayRef)>) -> TableRows {
    let resource = name.split("__").next().unwrap().to_owned();
    let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true)));
    TableRows {
        table: name.to_owned(),
        resource,
        parent: parent.map(str::to_owned),
        rows: rows.unwrap(),
        roots: Vec::new(),
        new_columns: Vec::new(),
        widened_columns: Vec::new(),
    }
}

pub fn column(name: &str, data_type: DataType, nullable: bool) -> Column {
    Column { name: name.to_owned(), data_type, nullable }
}

/// A batch in which child rows say which root rows they stem from, as far as their parents' ids tell it.
pub fn batch(state: &str, mut tables: Vec<TableRows>) -> Batch {
    let column =
        |table: &TableRows, name: &str| table.rows.column_by_name(name).map(|column| column.as_string::<i32>().clone());
    let mut known: HashMap<(String, String), u32> = HashMap::new();
    for table in &mut tables {
        let (ids, parents) = (column(table, "_dlt_id"), column(table, "_dlt_parent_id"));
        table.roots.clear();
        for row in 0..table.rows.num_rows() {
            let root = match (&table.parent, &parents) {
                (None, _) => row.try_into().ok(),
                (Some(parent), Some(ids)) => known.get(&(parent.clone(), ids.value(row).to_owned())).copied(),
                (Some(_), None) => None,
            };
            let Some(root) = root else { continue };
            if table.parent.is_some() {
                table.roots.push(root);
            }
            if let Some(ids) = &ids {
                known.insert((table.table.clone(), ids.value(row).to_owned()), root);
            }
        }
    }
    Batch { tables, state: state.to_owned(), schema: None, changes: Vec::new() }
}

/// Users with two tags each; `name` tells deliveries apart, and makes the row ids.
pub fn users(state: &str, ids: &[i64], name: &str) -> Batch {
    let root = |id: &i64| format!("{name}-{id}");
    let twice = || ids.iter().flat_map(|id| [(id, 0), (id, 1)]);
    let users = table(
        "users",
        None,
        vec![
            ("id", bigint(ids)),
            ("name", texts(ids.iter().map(|_| name.to_owned()))),
            ("_dlt_id", texts(ids.iter().map(root))),
        ],
    );
    let tags = table(
        "users__tags",
        Some("users"),
        vec![
            ("value", texts(twice().map(|(id, index)| format!("{name}-{id}-{index}")))),
            ("_dlt_id", texts(twice().map(|(id, index)| format!("{}_{index}", root(id))))),
            ("_dlt_parent_id", texts(twice().map(|(id, _)| root(id)))),
            ("_dlt_list_idx", Arc::new(Int64Array::from_iter_values(twice().map(|(_, index)| index)))),
            ("_dlt_root_id", texts(twice().map(|(id, _)| root(id)))),
        ],
    );
    batch(state, vec![users, tags])
}

/// A column of each type, with a value and a null, and its declaration.
pub fn every_type() -> (Vec<(&'static str, ArrayRef)>, Vec<Column>) {
    let column = |name, data_type| column(name, data_type, true);
    let values: Vec<(&str, ArrayRef)> = vec![
        ("text", text(&[Some("naïve 'quoted' \"日本\""), None])),
        ("bigint", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
        ("double", Arc::new(Float64Array::from(vec![Some(-0.5), None]))),
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        (
            "timestamp",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1_700_000_000_123_456), None]).with_timezone("UTC")),
        ),
        (
            "decimal",
            Arc::new(Decimal128Array::from(vec![Some(1_500_000_001), None]).with_precision_and_scale(38, 9).unwrap()),
        ),
        ("json", text(&[Some(r#"{"a": [1, null]}"#), None])),
        ("local", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_700_000_000_123_456), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(-1), None]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![Some(86_399_999_999), None]))),
        ("binary", Arc::new(BinaryArray::from(vec![Some(&[0, 255, 39][..]), None]))),
    ];
    let columns = vec![
        column("text", DataType::Text),
        column("bigint", DataType::Bigint),
        column("double", DataType::Double),
        column("boolean", DataType::Boolean),
        column("timestamp", DataType::Timestamp),
        column("decimal", DataType::Decimal(38, 9)),
        column("json", DataType::Json),
        column("local", DataType::LocalTimestamp),
        column("date", DataType::Date),
        column("time", DataType::Time),
        column("binary", DataType::Binary),
    ];
    (values, columns)
}

/// Two rows of a table `things` with a column of each type, and their ids.
pub fn things_of_every_type() -> TableRows {
    let (mut values, columns) = every_type();
    values.insert(0, ("_dlt_id", text(&[Some("a"), Some("b")])));
    let mut rows = table("things", None, values);
    rows.new_columns = columns;
    rows.new_columns.push(column("_dlt_id", DataType::Text, false));
    rows
}
