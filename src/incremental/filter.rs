//! Which records of a page are new (reference, sections 6.3 and 6.6).

use super::{Incremental, Range};
use crate::config::model::{Missing, Order};
use crate::error::{Error, Kind, Result};
use crate::records::Records;
use crate::response;
use crate::shape::identity;
use serde_json::Value;
use std::cmp::Ordering;

/// What is new of a page.
pub struct New {
    /// The places of the records that belong to the range.
    pub kept: Vec<usize>,
    /// Their cursors; null where one has none.
    pub cursors: Vec<Value>,
    /// Whether nothing new can follow in this chain.
    pub is_last: bool,
}

impl Incremental {
    /// Keeps the records of a page that belong to the range.
    pub fn filter(&self, range: &Range, records: &Records) -> Result<New> {
        let (mut past_end, mut past_start) = (false, false);
        let (mut kept, mut cursors) = (Vec::with_capacity(records.len()), Vec::with_capacity(records.len()));
        for (nth, record) in records.from(0).enumerate() {
            let cursor = self.cursor(record)?;
            if cursor.is_null() {
                match self.on_missing {
                    Missing::Include => {
                        kept.push(nth);
                        cursors.push(cursor);
                    }
                    Missing::Exclude => {}
                    Missing::Raise => return Err(self.missing(&response::parsed(record)?)),
                }
                continue;
            }
            let against = |bound: &Option<Value>| {
                let Some(bound) = bound else { return Ok(None) };
                self.compare(&cursor, bound).map(Some).ok_or_else(|| self.mismatch(&cursor, bound))
            };
            match against(&range.end)? {
                Some(Ordering::Greater) => {
                    past_end = true;
                    continue;
                }
                Some(Ordering::Equal) if !self.end_is_closed => {
                    past_end = true;
                    continue;
                }
                _ => {}
            }
            let is_new = match against(&range.start)? {
                Some(Ordering::Less) => false,
                Some(Ordering::Equal) if self.start_is_open => false,
                Some(Ordering::Equal) => {
                    range.seen.is_empty() || !range.seen.contains(&identity::of_record(&response::parsed(record)?))
                }
                _ => true,
            };
            if !is_new {
                past_start = true;
            } else if against(&range.edge)? != Some(Ordering::Equal) {
                kept.push(nth);
                cursors.push(cursor);
            }
        }
        let is_last = match self.row_order {
            Some(Order::Asc) => past_end,
            Some(Order::Desc) => past_start,
            None => false,
        };
        Ok(New { kept, cursors, is_last })
    }

    fn missing(&self, record: &Value) -> Error {
        let (message, advice) = match record {
            Value::Object(fields) => {
                let keys: Vec<String> = fields.keys().take(20).map(|key| format!("`{key}`")).collect();
                (
                    format!("a record has no cursor at `{}`", self.path),
                    format!("the record has the keys {}; ", keys.join(", ")),
                )
            }
            _ => (format!("a record is no object, so it has no cursor at `{}`", self.path), String::new()),
        };
        let advice =
            format!("{advice}`on_cursor_value_missing: include` keeps such records, `exclude` leaves them out");
        Error { pointer: Some(format!("{}/cursor_path", self.pointer)), ..Error::new(Kind::Upstream, message) }
            .advice(advice)
    }
}
