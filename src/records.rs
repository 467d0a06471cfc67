//! Records of a page, as the text that the API gave. What needs a tree makes one; what does not reads the text once.

mod pass;
mod skim;

use crate::error::Result;
use crate::response;
use rustc_hash::FxHasher;
use serde_json::Value;
pub use skim::{check, find, outline, skim};
use std::hash::Hasher;
use std::ops::Range;

/// Records, each a JSON text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    text: String,
    spans: Vec<Range<usize>>,
}

impl Records {
    /// Records that stand in a text, at these bytes.
    pub fn new(text: String, spans: Vec<Range<usize>>) -> Self {
        Self { text, spans }
    }

    /// Records that were made.
    pub fn of_values<'v>(values: impl IntoIterator<Item = &'v Value>) -> Self {
        let mut records = Self::default();
        values.into_iter().for_each(|value| records.push(value));
        records
    }

    /// Adds a record.
    pub fn push(&mut self, value: &Value) {
        let start = self.text.len();
        self.text.push_str(&value.to_string());
        self.spans.push(start..self.text.len());
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// A record.
    pub fn get(&self, nth: usize) -> Option<&str> {
        self.text.get(self.spans.get(nth)?.clone())
    }

    /// The records from one on.
    pub fn from(&self, first: usize) -> impl ExactSizeIterator<Item = &str> {
        let spans = self.spans.get(first..).unwrap_or_default();
        spans.iter().map(|span| self.text.get(span.clone()).unwrap_or_default())
    }

    /// The tree of each record.
    pub fn values(&self) -> Result<Vec<Value>> {
        self.from(0).map(response::parsed).collect()
    }

    /// The tree of the last record.
    pub fn last(&self) -> Result<Option<Value>> {
        self.len().checked_sub(1).and_then(|last| self.get(last)).map(response::parsed).transpose()
    }

    /// Keeps the records at these places, which are in order.
    pub fn keep(&mut self, kept: &[usize]) {
        if kept.len() < self.len() {
            self.spans = kept.iter().filter_map(|nth| self.spans.get(*nth).cloned()).collect();
        }
    }

    /// A digest by which pages are compared; none where there are no records.
    pub fn digest(&self) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        let mut hasher = FxHasher::default();
        for record in self.from(0) {
            hasher.write(record.as_bytes());
            hasher.write_u8(0xFF);
        }
        Some(hasher.finish())
    }
}
