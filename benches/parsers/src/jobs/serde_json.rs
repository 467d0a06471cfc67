//! serde_json: a tree that is then walked, and a visitor.

use super::seed::{Page, Records};
use crate::Columns;
use serde::de::DeserializeSeed;
use serde_json::{Deserializer, Number, Value, from_slice};

pub(super) fn tree(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    let page: Value = from_slice(page).ok()?;
    let records = page.get("data")?.as_array()?;
    for record in records {
        walk(record, columns);
    }
    Some(records.len() as u64)
}

fn walk(value: &Value, columns: &mut Columns) {
    match value {
        Value::Null => columns.null(),
        Value::Bool(boolean) => columns.boolean(*boolean),
        Value::Number(number) => walk_number(number, columns),
        Value::String(text) => columns.text(text),
        Value::Array(items) => {
            columns.begin_list();
            for item in items {
                walk(item, columns);
            }
            columns.end();
        }
        Value::Object(fields) => {
            columns.begin_object();
            for (key, field) in fields {
                columns.key(key);
                walk(field, columns);
            }
            columns.end();
        }
    }
}

#[cfg(feature = "arbitrary-precision")]
fn walk_number(number: &Number, columns: &mut Columns) {
    columns.number(number.as_str());
}

#[cfg(not(feature = "arbitrary-precision"))]
fn walk_number(number: &Number, columns: &mut Columns) {
    match number.as_i64() {
        Some(integer) => columns.integer(integer),
        None => columns.double(number.as_f64().unwrap_or(f64::NAN)),
    }
}

pub(super) fn visitor(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    let mut page = Deserializer::from_slice(page);
    let records = Page(Records(columns)).deserialize(&mut page).ok()?;
    page.end().ok()?;
    Some(records)
}
