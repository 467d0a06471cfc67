//! What a database holds, without what differs between any two loads of the same records: load ids, and row ids that are random.

use arrow_array::{Array, RecordBatch, cast::AsArray};
use serde_json::{Map, Value};
use spile_host::destination::{self, Access, DataType, Resources, StoredColumn, Target, query};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All tables but the loader's own.
#[derive(Debug, PartialEq)]
pub struct Tables(pub BTreeMap<String, Table>);

#[derive(Debug, PartialEq)]
pub struct Table {
    /// Name, type and `NOT NULL` of each column, in their order.
    pub columns: Vec<String>,
    /// The rows, sorted.
    pub rows: Vec<Row>,
}

/// A row: values by column as text, nulls and the loader's own columns left out, but for a `_dlt_id` that is determined.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub values: BTreeMap<String, String>,
    /// Its place in the list of its parent, and its parent; empty for the rows of a root table.
    above: Vec<(String, BTreeMap<String, String>)>,
}

type Cells = BTreeMap<String, String>;

/// A table as it was read.
struct Stored {
    table: String,
    columns: Vec<String>,
    rows: Vec<Cells>,
}

impl Tables {
    /// All tables of the dataset `data`. The rows with one of these ids and all under them are to have their ids literally. Where
    /// root rows are versions, several may have one id. Says what is wrong where the ids of the rows are not sound.
    pub fn read(target: &Target, ids: &BTreeSet<String>, has_versions: bool) -> Result<Self, String> {
        let of_dataset = "SELECT table_name, column_name, data_type, is_nullable::VARCHAR AS is_nullable FROM duckdb_columns() \
             WHERE schema_name = 'data' AND NOT starts_with(table_name, '_dlt') AND NOT starts_with(table_name, '_spile') \
             ORDER BY length(table_name), table_name, column_index";
        let mut columns: Vec<(String, Vec<Cells>)> = Vec::new();
        for mut cells in rows(&query(target, of_dataset).unwrap()) {
            let table = cells.remove("table_name").unwrap();
            match columns.last_mut().filter(|(last, _)| *last == table) {
                Some((_, columns)) => columns.push(cells),
                None => columns.push((table, vec![cells])),
            }
        }
        let read = columns.into_iter().map(|(table, columns)| {
            let names: Vec<_> = columns.iter().map(as_text).collect();
            let stored = query(target, &format!("SELECT {} FROM data.\"{table}\"", names.join(", "))).unwrap();
            let columns = columns.iter().map(column).collect();
            Stored { table, columns, rows: rows(&stored) }
        });
        Self::of_stored(read, ids, has_versions)
    }

    /// Likewise in any database, in one form whatever the database is: columns are sorted, their types are those of the contract, and
    /// JSON documents have their keys in order.
    pub fn read_in_one_form(target: &Target, ids: &BTreeSet<String>, has_versions: bool) -> Result<Self, String> {
        let mut session = destination::open(target, Access::Read, &Resources::default()).unwrap();
        let mut tables: Vec<_> = session.columns("data").unwrap().into_iter().collect();
        tables.retain(|(table, _)| !table.starts_with("_dlt") && !table.starts_with("_spile"));
        tables.sort_by_key(|(table, _)| (table.len(), table.clone()));
        let read = tables.into_iter().map(|(table, columns)| {
            let dialect = session.dialect();
            let typed: Vec<_> = columns
                .iter()
                .map(|column| (column, dialect.data_type(&column.declared).expect("a type of the contract")))
                .collect();
            let select = typed.iter().map(|(column, data_type)| {
                let name = dialect.quote(&column.name);
                match data_type {
                    DataType::Binary => format!("{} AS {name}", hex_of(dialect.database(), &name)),
                    _ => format!("CAST({name} AS {}) AS {name}", dialect.column_type(DataType::Text)),
                }
            });
            let select = select.collect::<Vec<_>>().join(", ");
            let sql = format!("SELECT {select} FROM {}", session.qualified("data", &table));
            let mut rows = rows(&session.query(&sql, &[]).unwrap());
            for cells in &mut rows {
                for (column, data_type) in &typed {
                    if let Some(text) = cells.get_mut(&column.name) {
                        *text = in_one_form(text, *data_type);
                    }
                }
            }
            let column = |(column, data_type): &(&StoredColumn, DataType)| {
                format!("{} {data_type:?}{}", column.name, if column.nullable { "" } else { " NOT NULL" })
            };
            let mut columns: Vec<_> = typed.iter().map(column).collect();
            columns.sort();
            Stored { table, columns, rows }
        });
        Self::of_stored(read.collect::<Vec<_>>().into_iter(), ids, has_versions)
    }

    fn of_stored(
        stored: impl Iterator<Item = Stored>,
        ids: &BTreeSet<String>,
        has_versions: bool,
    ) -> Result<Self, String> {
        let mut tables = BTreeMap::new();
        // The rows of each table, by their ids. Parents have shorter names than their children.
        let mut known: Vec<(String, HashMap<String, Row>)> = Vec::new();
        for Stored { table, columns, rows: mut stored } in stored {
            // A key may have `__` in it, so that a row of `a__b__c` is one of `a__b` or of `a`.
            let parents: Vec<_> =
                known.iter().filter(|(name, _)| is_below(&table, name)).map(|(_, rows)| rows).collect();
            number_the_loads(&mut stored);
            let is_root = columns.iter().all(|column| !column.starts_with("_dlt_parent_id "));
            let mut rows = Vec::new();
            for cells in stored {
                rows.push(row(&table, cells, &parents, ids)?);
            }
            rows.sort_by(|(_, a), (_, b)| a.cmp(b));
            let mut by_id = HashMap::new();
            for (id, row) in &rows {
                if by_id.contains_key(id) && !(has_versions && is_root) {
                    return Err(format!("{table}: a _dlt_id occurs twice"));
                }
                // Children belong to all versions with the id: to the first one, for the comparison.
                by_id.entry(id.clone()).or_insert_with(|| row.clone());
            }
            let rows = rows.into_iter().map(|(_, row)| row).collect();
            known.push((table.clone(), by_id));
            tables.insert(table, Table { columns, rows });
        }
        Ok(Self(tables))
    }

    /// The columns of each table.
    pub fn columns(&self) -> BTreeMap<String, Vec<String>> {
        self.0.iter().map(|(name, table)| (name.clone(), table.columns.clone())).collect()
    }

    /// The rows of each table as a case writes them.
    pub fn plain(&self) -> BTreeMap<String, Vec<Cells>> {
        let sorted = |table: &Table| {
            let mut rows: Vec<_> = table.rows.iter().map(|row| row.values.clone()).collect();
            rows.sort();
            rows
        };
        self.0.iter().map(|(name, table)| (name.clone(), sorted(table))).collect()
    }
}

/// The rows that a case says, as [`Tables::plain`] gives them.
pub fn said(rows: &BTreeMap<String, Vec<Map<String, Value>>>) -> BTreeMap<String, Vec<Cells>> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let row = |row: &Map<String, Value>| row.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    let sorted = |rows: &Vec<Map<String, Value>>| {
        let mut rows: Vec<Cells> = rows.iter().map(row).collect();
        rows.sort();
        rows
    };
    rows.iter().map(|(name, rows)| (name.clone(), sorted(rows))).collect()
}

/// The instants at which versions begin and end are those of their loads: here each becomes its number among them, from 1.
fn number_the_loads(rows: &mut [Cells]) {
    const VALIDITY: [&str; 2] = ["_dlt_valid_from", "_dlt_valid_to"];
    let instants: BTreeSet<String> =
        rows.iter().flat_map(|cells| VALIDITY.iter().filter_map(|name| cells.get(*name))).cloned().collect();
    for cells in rows {
        for name in VALIDITY {
            if let Some(instant) = cells.get_mut(name) {
                *instant = (1 + instants.iter().position(|other| other == instant).unwrap()).to_string();
            }
        }
    }
}

fn column(cells: &Cells) -> String {
    let not_null = if cells["is_nullable"] == "true" { "" } else { " NOT NULL" };
    format!("{} {}{not_null}", cells["column_name"], cells["data_type"])
}

/// A column as a text; JSON without white space between its tokens.
fn as_text(cells: &Cells) -> String {
    let name = format!("\"{}\"", cells["column_name"]);
    match cells["data_type"].as_str() {
        "JSON" => format!("json({name})::VARCHAR AS {name}"),
        _ => format!("{name}::VARCHAR AS {name}"),
    }
}

/// An expression: bytes as hexadecimal digits.
fn hex_of(database: &str, name: &str) -> String {
    match database {
        "PostgreSQL" => format!("encode({name}, 'hex')"),
        // SQLite makes an empty text of null.
        _ => format!("CASE WHEN {name} IS NULL THEN NULL ELSE lower(hex({name})) END"),
    }
}

/// A value in one form, of types of which databases write values in several ways. SQLite and `jsonb` have no negative zero.
fn in_one_form(text: &str, data_type: DataType) -> String {
    match data_type {
        DataType::Double => format!("{:?}", text.parse::<f64>().unwrap() + 0.0),
        DataType::Boolean => text.replace('1', "true").replace('0', "false"),
        DataType::Json => sorted(&serde_json::from_str(text).unwrap()).to_string(),
        DataType::Timestamp | DataType::LocalTimestamp | DataType::Time => {
            let text = text.replace('T', " ").trim_end_matches("+00").to_owned();
            // SQLite has all six digits.
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        DataType::Text | DataType::Bigint | DataType::Date | DataType::Binary | DataType::Decimal(..) => {
            text.to_owned()
        }
    }
}

/// A document with its keys in order: `jsonb` keeps none, and writes numbers as decimals.
fn sorted(document: &Value) -> Value {
    match document {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            fields.into_iter().collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Number(number) if number.as_i64().is_none() => (number.as_f64().unwrap() + 0.0).into(),
        scalar => scalar.clone(),
    }
}

fn is_below(table: &str, parent: &str) -> bool {
    table.strip_prefix(parent).is_some_and(|rest| rest.starts_with("__"))
}

/// A row and its id.
fn row(
    table: &str,
    mut cells: Cells,
    parents: &[&HashMap<String, Row>],
    ids: &BTreeSet<String>,
) -> Result<(String, Row), String> {
    let mut own = |name: &str| cells.remove(name);
    let (id, parent, place) = (own("_dlt_id"), own("_dlt_parent_id"), own("_dlt_list_idx"));
    own("_dlt_root_id");
    if own("_dlt_load_id").is_some() != parent.is_none() {
        return Err(format!("{table}: a root row has a load id, and a child has none"));
    }
    let id = id.unwrap();
    let mut is_determined = ids.contains(&id);
    let above = match parent {
        None => Vec::new(),
        Some(parent) => {
            let parent = parents.iter().rev().find_map(|rows| rows.get(&parent));
            let parent = parent.ok_or_else(|| format!("{table}: no parent of {id}"))?;
            is_determined |= parent.values.contains_key("_dlt_id");
            let mut above = vec![(place.unwrap(), parent.values.clone())];
            above.extend(parent.above.iter().cloned());
            above
        }
    };
    if is_determined {
        cells.insert("_dlt_id".to_owned(), id.clone());
    }
    Ok((id, Row { values: cells, above }))
}

/// Each row of a result of texts; nulls are left out.
fn rows(batches: &[RecordBatch]) -> Vec<Cells> {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        rows.extend((0..batch.num_rows()).map(|row| {
            let fields = schema.fields().iter().zip(batch.columns());
            let there = fields.filter(|(_, values)| values.is_valid(row));
            there
                .map(|(field, values)| (field.name().clone(), values.as_string::<i32>().value(row).to_owned()))
                .collect()
        }));
    }
    rows
}
