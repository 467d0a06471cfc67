//! Rows as a database holds them, and as the API would have them: the same, where all went well.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Float64Type, Int64Type, TimestampMicrosecondType},
};
use arrow_schema::{DataType, TimeUnit};
use mock_api::{Collection, MockApi};
use serde_json::{Map, Value};
use spile_host::destination::{self, Access, DataType as Stored, Resources, Target, query};

/// The `id` of the root row, then the place in each list on the way down.
type Key = (String, Vec<i64>);

/// Values by column, nulls left out. The columns of the loader are left out, too: they name rows anew in each load.
type Row = BTreeMap<String, String>;

/// All rows of all tables.
#[derive(Clone, PartialEq)]
pub struct Tables(BTreeMap<String, BTreeMap<Key, Row>>);

impl Tables {
    /// All rows of a dataset. Child rows are found through `_dlt_parent_id`.
    ///
    /// Panics where the loader's own columns are not sound: ids that occur twice, rows without a parent or with a wrong root,
    /// rows of a load that is not noted.
    pub fn of_database(target: &Target, dataset: &str) -> Self {
        let mut session = destination::open(target, Access::Read, &Resources::default()).unwrap();
        let mut names: Vec<_> = session.columns(dataset).unwrap().into_iter().collect();
        names.retain(|(name, _)| !name.starts_with('_'));
        names.sort_by_key(|(name, _)| name.len());
        if names.is_empty() {
            return Self(BTreeMap::new());
        }
        let loads = format!("SELECT load_id FROM {} WHERE status = 0", session.qualified(dataset, "_dlt_loads"));
        let loads = rows(&session.query(&loads, &[]).unwrap());
        let loads: HashSet<_> = loads.into_iter().map(|mut row| row.remove("load_id").unwrap()).collect();

        let mut tables = BTreeMap::new();
        // The key of each row, and the id of its root row, by table and `_dlt_id`.
        let mut known: HashMap<String, HashMap<String, (Key, String)>> = HashMap::new();
        // Parents have shorter names than their children.
        for (name, columns) in names {
            let all = format!("SELECT * FROM {}", session.qualified(dataset, &name));
            let mut stored = rows(&session.query(&all, &[]).unwrap());
            for column in columns {
                let data_type = session.dialect().data_type(&column.declared);
                let cells = stored.iter_mut().filter_map(|row| row.get_mut(&column.name));
                cells.for_each(|cell| *cell = of_sqlite(data_type, cell));
            }
            let parents =
                (0..name.len()).rev().find_map(|end| name[end..].starts_with("__").then(|| known.get(&name[..end]))?);
            let mut keyed = BTreeMap::new();
            let mut ids = HashMap::new();
            for mut row in stored {
                let id = row.remove("_dlt_id").expect("a _dlt_id");
                let (key, root) = match parents {
                    None => {
                        let load = row.remove("_dlt_load_id").expect("a _dlt_load_id");
                        assert!(loads.contains(&load), "{name}: the load {load} is not noted");
                        ((row["id"].clone(), Vec::new()), id.clone())
                    }
                    Some(parents) => {
                        let parent = row.remove("_dlt_parent_id").expect("a _dlt_parent_id");
                        let (key, root) = parents.get(&parent).unwrap_or_else(|| panic!("{name}: no parent {parent}"));
                        if let Some(of_row) = row.remove("_dlt_root_id") {
                            assert_eq!(&of_row, root, "{name}");
                        }
                        let mut key = key.clone();
                        key.1.push(row.remove("_dlt_list_idx").expect("a _dlt_list_idx").parse().unwrap());
                        (key, root.clone())
                    }
                };
                assert!(!row.keys().any(|column| column.starts_with("_dlt")), "{name}: {row:?}");
                assert!(ids.insert(id, (key.clone(), root)).is_none(), "{name}: a _dlt_id occurs twice");
                assert!(keyed.insert(key.clone(), row).is_none(), "{name}: {key:?} occurs twice");
            }
            known.insert(name.clone(), ids);
            tables.insert(name, keyed);
        }
        Self(tables)
    }

    /// All rows that a run must have loaded, worked out from the records alone.
    pub fn of_api(api: &MockApi) -> Self {
        let mut tables = Self(BTreeMap::new());
        for collection in Collection::ALL {
            for record in api.records(collection) {
                let id = record["id"].as_str().unwrap().to_owned();
                tables.add(collection.resource(), (id, Vec::new()), &record);
            }
        }
        tables
    }

    /// Adds a row, and the rows of the tables below it.
    fn add(&mut self, table: &str, key: Key, value: &Value) {
        let mut row = Row::new();
        match value {
            Value::Object(fields) => self.add_fields(table, "", &key, fields, &mut row),
            Value::Array(items) => self.add_list(&format!("{table}__list"), &key, items),
            scalar => row.extend(text(scalar).map(|text| ("value".to_owned(), text))),
        }
        self.0.entry(table.to_owned()).or_default().insert(key, row);
    }

    fn add_fields(&mut self, table: &str, prefix: &str, key: &Key, fields: &Map<String, Value>, row: &mut Row) {
        for (name, value) in fields {
            let column = format!("{prefix}{}", snake_case(name));
            match value {
                Value::Object(inner) => self.add_fields(table, &format!("{column}__"), key, inner, row),
                Value::Array(items) => self.add_list(&format!("{table}__{column}"), key, items),
                scalar => row.extend(text(scalar).map(|text| (column, text))),
            }
        }
    }

    fn add_list(&mut self, table: &str, key: &Key, items: &[Value]) {
        for (place, item) in (0..).zip(items) {
            let mut key = key.clone();
            key.1.push(place);
            self.add(table, key, item);
        }
    }

    /// Rows by table.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0
            .iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(name, rows)| (name.clone(), rows.len() as u64))
            .collect()
    }

    /// The rows of a root table and of the tables below it.
    pub fn of_resource(&self, name: &str) -> Self {
        let below = format!("{name}__");
        let own = self.0.iter().filter(|(table, _)| *table == name || table.starts_with(&below));
        Self(own.map(|(table, rows)| (table.clone(), rows.clone())).collect())
    }

    /// Panics with the first row that differs. A table without rows is as good as none.
    #[track_caller]
    pub fn assert_equal(&self, expected: &Self) {
        assert_eq!(self.counts(), expected.counts());
        for (name, rows) in &expected.0 {
            for (key, row) in rows {
                assert_eq!(self.0[name].get(key), Some(row), "{name} {key:?}");
            }
        }
    }
}

/// Each row of a result, as text by column; nulls are left out.
fn rows(batches: &[RecordBatch]) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        rows.extend((0..batch.num_rows()).map(|row| {
            let cell = |(field, values): (&std::sync::Arc<arrow_schema::Field>, &std::sync::Arc<dyn Array>)| {
                values.is_valid(row).then(|| (field.name().clone(), cell(values, row)))
            };
            schema.fields().iter().zip(batch.columns()).filter_map(cell).collect()
        }));
    }
    rows
}

fn cell(values: &dyn Array, row: usize) -> String {
    match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value(row).to_owned(),
        DataType::Int64 => values.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => values.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Boolean => values.as_boolean().value(row).to_string(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            instant(values.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        other => panic!("no column has the type {other}"),
    }
}

/// SQLite has neither booleans nor instants: it keeps numbers and texts in their place.
fn of_sqlite(data_type: Option<Stored>, cell: &str) -> String {
    match (data_type, cell) {
        (Some(Stored::Boolean), "0") => false.to_string(),
        (Some(Stored::Boolean), "1") => true.to_string(),
        (Some(Stored::Timestamp), text) if text.contains('T') => {
            instant(format!("{text}Z").parse::<jiff::Timestamp>().unwrap().as_microsecond())
        }
        _ => cell.to_owned(),
    }
}

/// A scalar as [`cell`] gives it; `None` for null.
fn text(scalar: &Value) -> Option<String> {
    match scalar {
        Value::Null => None,
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::Number(number) => {
            Some(number.as_i64().map_or_else(|| number.as_f64().unwrap().to_string(), |n| n.to_string()))
        }
        Value::String(text) => {
            let moment: Option<jiff::Timestamp> = text.parse().ok();
            Some(moment.map_or_else(|| text.clone(), |moment| instant(moment.as_microsecond())))
        }
        other => panic!("not a scalar: {other}"),
    }
}

fn instant(microseconds: i64) -> String {
    format!("{microseconds} µs")
}

/// Enough of dlt's naming for the API's keys, which are plain camelCase.
fn snake_case(key: &str) -> String {
    let word = |c: char| if c.is_ascii_uppercase() { format!("_{}", c.to_ascii_lowercase()) } else { c.to_string() };
    key.chars().map(word).collect()
}

/// The rows that a query gives, each as the text of a JSON object; the database is `out.duckdb` in a folder.
pub fn json_rows(folder: &Path, sql: &str) -> Vec<String> {
    let target = Target::DuckDb { path: folder.join("out.duckdb") };
    let batches = query(&target, &format!("SELECT to_json(r)::VARCHAR AS r FROM ({sql}) AS r")).unwrap();
    let texts = batches.iter().flat_map(|batch| {
        let column = batch.column(0).as_string::<i32>();
        (0..column.len()).map(|row| column.value(row).to_owned()).collect::<Vec<_>>()
    });
    texts.collect()
}
