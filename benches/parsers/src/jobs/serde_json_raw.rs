//! serde_json: the records' places as `RawValue`, then each record with a visitor.

use super::seed::{Page, Record};
use crate::Columns;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;
use std::fmt::{Formatter, Result as Fmt};

pub(super) fn both(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    let records = raw(page)?;
    for record in &records {
        Record(columns).deserialize(&mut Deserializer::from_str(record.get())).ok()?;
    }
    Some(records.len() as u64)
}

pub(super) fn spans(page: &mut [u8], _: &mut Columns) -> Option<u64> {
    Some(raw(page)?.iter().map(|record| record.get().len() as u64).sum())
}

fn raw(page: &[u8]) -> Option<Vec<&RawValue>> {
    let mut page = Deserializer::from_slice(page);
    let records = Page(Raw).deserialize(&mut page).ok()?;
    page.end().ok()?;
    Some(records)
}

struct Raw;

impl<'de> DeserializeSeed<'de> for Raw {
    type Value = Vec<&'de RawValue>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Raw {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, to: &mut Formatter<'_>) -> Fmt {
        to.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = seq.next_element()? {
            records.push(record);
        }
        Ok(records)
    }
}
