//! Rows as a connector would deliver them, and questions to the database.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, cast::AsArray,
};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use spile_host::{
    destination::{DataType, Target, query},
    load::{Batch, Column, Loader, Merge, Options, Published, ResourcePlan, Resumed, TableRows, WriteDisposition},
};
use tempfile::TempDir;

/// A database file in a directory of its own.
pub struct Database {
    pub directory: TempDir,
    pub path: PathBuf,
}

impl Database {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { path: directory.path().join("db.duckdb"), directory }
    }

    pub fn target(&self) -> Target {
        Target::DuckDb { path: self.path.clone() }
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
        let mut lines = Vec::new();
        let format = FormatOptions::new().with_null("-");
        for rows in query(&self.target(), sql).unwrap_or_else(|error| panic!("{sql}: {error}")) {
            let columns: Vec<_> =
                rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &format).unwrap()).collect();
            for row in 0..rows.num_rows() {
                let values: Vec<_> = columns.iter().map(|column| column.value(row).to_string()).collect();
                lines.push(values.join("|"));
            }
        }
        lines
    }
}

/// Options that commit only when asked to.
pub fn options(resources: Vec<ResourcePlan>) -> Options {
    let mut options = Options::new("people", "data", "digest-1", resources);
    options.commit_rows = usize::MAX;
    options.commit_bytes = usize::MAX;
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
