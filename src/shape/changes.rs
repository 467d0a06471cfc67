//! What became of values that did not simply go into their columns: counted by column, with the first of them.

use std::collections::BTreeMap;

/// How many characters of a value a report shows.
const SHOWN: usize = 120;

/// What became of a value, or of a row. See `change-kind` in the WIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "documented in wit/connector.wit")]
pub enum ChangeKind {
    Coerced,
    Variant,
    DiscardedValue,
    DiscardedRow,
}

/// Values of one column, or rows of one table, that the same became of. See `change` in the WIT.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "documented in wit/connector.wit")]
pub struct Change {
    pub resource: String,
    pub table: String,
    pub column: Option<String>,
    pub kind: ChangeKind,
    pub count: u64,
    pub sample: String,
}

/// A place in the report.
pub type Entry = u32;

/// The report of a batch.
#[derive(Default)]
pub struct Changes {
    entries: Vec<Change>,
    index: BTreeMap<(String, Option<String>, ChangeKind), Entry>,
    /// The entries that the record under construction was counted in, so that it can be taken out again.
    journal: Vec<Entry>,
}

impl Changes {
    /// The entry of a column's values, or of a table's rows.
    pub fn entry(&mut self, resource: &str, table: &str, column: Option<&str>, kind: ChangeKind) -> Entry {
        let key = (table.to_owned(), column.map(str::to_owned), kind);
        if let Some(entry) = self.index.get(&key) {
            return *entry;
        }
        let entry = Entry::try_from(self.entries.len()).unwrap_or(Entry::MAX);
        let (table, column) = (table.to_owned(), column.map(str::to_owned));
        self.entries.push(Change {
            resource: resource.to_owned(),
            table,
            column,
            kind,
            count: 0,
            sample: String::new(),
        });
        self.index.insert(key, entry);
        entry
    }

    /// Counts a value. `text` gives its JSON.
    pub fn count(&mut self, entry: Entry, text: impl FnOnce() -> String) {
        if let Some(change) = self.entries.get_mut(entry as usize) {
            if change.count == 0 {
                change.sample = shown(&text());
            }
            change.count += 1;
            self.journal.push(entry);
        }
    }

    /// How far the record under construction has come.
    pub fn mark(&self) -> usize {
        self.journal.len()
    }

    /// Takes out what was counted since.
    pub fn rewind(&mut self, mark: usize) {
        for entry in self.journal.drain(mark.min(self.journal.len())..) {
            if let Some(change) = self.entries.get_mut(entry as usize) {
                change.count = change.count.saturating_sub(1);
            }
        }
    }

    /// The record is at its end.
    pub fn settle(&mut self) {
        self.journal.clear();
    }

    /// Takes the report. The entries are no longer good after it.
    pub fn take(&mut self) -> Vec<Change> {
        self.index.clear();
        let mut changes = std::mem::take(&mut self.entries);
        changes.retain(|change| change.count > 0);
        changes
    }
}

/// A value as a report shows it: cut where it is long.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
