//! sonic-rs: values that are parsed when they are asked for, and a visitor.

use super::seed::{Page, Records};
use crate::Columns;
use serde::de::DeserializeSeed;
use sonic_rs::{ArrayJsonIter, Deserializer, JsonType, JsonValueTrait, LazyValue, to_object_iter};

pub(super) fn lazy(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    let mut records = 0;
    for record in list(page)? {
        value(record.ok()?, columns)?;
        records += 1;
    }
    Some(records)
}

pub(super) fn spans(page: &mut [u8], _: &mut Columns) -> Option<u64> {
    let mut bytes = 0;
    for record in list(page)? {
        bytes += record.ok()?.as_raw_str().len() as u64;
    }
    Some(bytes)
}

/// The whole page is gone through once, so that what comes after the list is checked too.
fn list(page: &[u8]) -> Option<ArrayJsonIter<'_>> {
    let mut list = None;
    for field in to_object_iter(page) {
        let (key, field) = field.ok()?;
        if key == "data" {
            list = field.into_array_iter();
        }
    }
    list
}

fn value(value: LazyValue<'_>, columns: &mut Columns) -> Option<()> {
    match value.get_type() {
        JsonType::Null => columns.null(),
        JsonType::Boolean => columns.boolean(value.as_bool()?),
        JsonType::Number => columns.number(value.as_raw_str()),
        JsonType::String => columns.text(value.as_str()?),
        JsonType::Array => {
            columns.begin_list();
            for item in value.into_array_iter()? {
                self::value(item.ok()?, columns)?;
            }
            columns.end();
        }
        JsonType::Object => {
            columns.begin_object();
            for field in value.into_object_iter()? {
                let (key, field) = field.ok()?;
                columns.key(&key);
                self::value(field, columns)?;
            }
            columns.end();
        }
    }
    Some(())
}

pub(super) fn visitor(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    let mut page = Deserializer::from_slice(page);
    let records = Page(Records(columns)).deserialize(&mut page).ok()?;
    page.end().ok()?;
    Some(records)
}
