//! The tables of a database, as a file of expected ones has them: without what differs between any two loads of the same rows.

use arrow_array::cast::AsArray;
use serde_json::{Map, Value, json};
use spile_host::destination::{Target, query};
use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    path::Path,
};

/// Columns and rows of all tables of a dataset but the loader's own. Nulls, load ids and row ids are left out; in the place of the
/// id of its parent a row has the number of that row in the table above; `$api` stands for the API's base URL.
pub fn tables(target: &Target, dataset: &str, base_url: &str) -> BTreeMap<String, Value> {
    let rows = |sql: &str| rows(target, sql, base_url);
    let columns = rows(&format!(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE schema_name = '{dataset}' \
             AND NOT starts_with(table_name, '_') ORDER BY length(table_name), table_name, column_index"
    ));
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for column in columns {
        let [table, name, kind] = ["table_name", "column_name", "data_type"].map(|key| column[key].as_str().unwrap());
        if tables.last().is_none_or(|(last, _)| last != table) {
            tables.push((table.to_owned(), Vec::new()));
        }
        if !name.starts_with("_dlt") {
            tables.last_mut().unwrap().1.push(format!("{name} {kind}"));
        }
    }
    // The number of each row by its id. Parents have shorter names than their children.
    let mut known: HashMap<String, HashMap<String, usize>> = HashMap::new();
    let mut made = BTreeMap::new();
    for (table, columns) in tables {
        let parents = table.rmatch_indices("__").find_map(|(at, _)| known.get(&table[..at]));
        let mut rows: Vec<_> = rows(&format!("SELECT * FROM \"{dataset}\".\"{table}\""))
            .into_iter()
            .map(|mut row| {
                let mut own = |name: &str| row.remove(name).filter(|value| !value.is_null());
                let (id, parent, place) = (own("_dlt_id"), own("_dlt_parent_id"), own("_dlt_list_idx"));
                let is_root = own("_dlt_load_id").is_some();
                own("_dlt_root_id");
                assert_eq!(is_root, parent.is_none(), "{table}: a root row has a load id, and a child has none");
                row.retain(|_, value| !value.is_null());
                let above = parent.map(|parent| {
                    let number = parents.and_then(|parents| parents.get(parent.as_str().unwrap()));
                    (*number.unwrap_or_else(|| panic!("{table}: no parent {parent}")), place.unwrap().as_u64().unwrap())
                });
                (above, row, id.unwrap().as_str().unwrap().to_owned())
            })
            .collect();
        rows.sort_by_cached_key(|(above, row, _)| (*above, json!(row).to_string()));
        let numbers: HashMap<_, _> = rows.iter().enumerate().map(|(number, (_, _, id))| (id.clone(), number)).collect();
        assert_eq!(numbers.len(), rows.len(), "{table}: a _dlt_id occurs twice");
        known.insert(table.clone(), numbers);
        let rows = rows.into_iter().map(|(above, row, _)| {
            let above = above.map(|(parent, place)| json!({"_parent": parent, "_list_idx": place}));
            let mut whole = above.and_then(|above| above.as_object().cloned()).unwrap_or_default();
            whole.extend(row);
            Value::Object(whole)
        });
        let rows: Vec<Value> = rows.collect();
        made.insert(table, json!({"columns": columns, "rows": rows}));
    }
    made
}

/// Compares with a file; `BLESS=1` in the environment writes it anew. Tells what differs.
pub fn compare(tables: &BTreeMap<String, Value>, file: &Path) -> Result<(), String> {
    if env::var_os("BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, written(tables)).unwrap();
        return Ok(());
    }
    let expected = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let expected: BTreeMap<String, Value> = serde_json::from_str(&expected).unwrap();
    for name in expected.keys().chain(tables.keys()) {
        let (expected, found) = (expected.get(name), tables.get(name));
        if expected != found {
            let lines =
                |table: Option<&Value>| table.map_or_else(|| "none\n".to_owned(), |table| lines(table).join("\n"));
            return Err(format!("table {name} differs\nexpected: {}\nfound: {}", lines(expected), lines(found)));
        }
    }
    Ok(())
}

/// One row a line.
fn written(tables: &BTreeMap<String, Value>) -> String {
    let tables = tables.iter().map(|(name, table)| format!("\"{name}\": {}", lines(table).join("\n")));
    format!("{{\n{}\n}}\n", tables.collect::<Vec<_>>().join(",\n"))
}

fn lines(table: &Value) -> Vec<String> {
    let rows: Vec<_> = table["rows"].as_array().unwrap().iter().map(|row| format!("  {row}")).collect();
    let head = format!("{{\"columns\": {}, \"rows\": [", table["columns"]);
    if rows.is_empty() { vec![head + "]}"] } else { vec![head, rows.join(",\n"), "]}".to_owned()] }
}

/// Each row of a result as an object.
fn rows(target: &Target, sql: &str, base_url: &str) -> Vec<Map<String, Value>> {
    let batches = query(target, &format!("SELECT to_json(found)::VARCHAR FROM ({sql}) AS found")).unwrap();
    let texts = batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter());
    texts.map(|text| serde_json::from_str(&text.unwrap().replace(base_url, "$api")).unwrap()).collect()
}
