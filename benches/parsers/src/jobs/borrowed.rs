//! serde_json_borrow: a tree whose texts stay in the page where they have no escapes.

use crate::Columns;
use serde_json_borrow::Value;

pub(super) fn tree(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    let page: Value<'_> = serde_json::from_slice(page).ok()?;
    let records = page.as_object()?.get("data")?.as_array()?;
    for record in records {
        walk(record, columns);
    }
    Some(records.len() as u64)
}

fn walk(value: &Value<'_>, columns: &mut Columns) {
    match value {
        Value::Null => columns.null(),
        Value::Bool(boolean) => columns.boolean(*boolean),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => columns.integer(integer),
            None => columns.double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::Str(text) => columns.text(text),
        Value::Array(items) => {
            columns.begin_list();
            for item in items {
                walk(item, columns);
            }
            columns.end();
        }
        Value::Object(fields) => {
            columns.begin_object();
            for (key, field) in fields.iter() {
                columns.key(key);
                walk(field, columns);
            }
            columns.end();
        }
    }
}
