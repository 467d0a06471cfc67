//! What became of values that did not simply go into their columns: the change report of a run.
//!
//! A connector tells of each batch what it coerced, put into a variant column or left out. [`Changes`] sums that over a run; the
//! loader keeps the sum with the staged rows, so that a run that goes on with an interrupted one tells of its rows too.

use crate::{Class, Error};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many different changes of a run are kept. A connector that finds more is not to fill the memory and the database with them.
const MOST: usize = 1000;

/// How many an error names.
const NAMED: usize = 5;

/// How many characters of a name, and of a sample, a line shows.
const SHOWN: usize = 60;

/// What became of a value. The worse comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Left out with its whole row, and the rows of child tables under it.
    DiscardedRow,
    /// Left out; the rest of its row is there.
    DiscardedValue,
    /// Put into another column, `<column>__v_<type>`.
    Variant,
    /// Converted to the type of its column.
    Coerced,
}

/// What became of values of one column, or of rows of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The resource.
    pub resource: String,
    /// The table.
    pub table: String,
    /// The column; `None` where all of a table's rows are meant.
    pub column: Option<String>,
    /// What became of them.
    pub kind: ChangeKind,
    /// How many.
    pub count: u64,
    /// The first of them as JSON text, cut where it is long.
    pub sample: String,
}

impl Change {
    fn key(&self) -> (ChangeKind, &str, &str, Option<&str>) {
        (self.kind, &self.resource, &self.table, self.column.as_deref())
    }

    /// The values as a person calls them: `3 values of orders.amount`.
    fn subject(&self) -> String {
        let (table, many) = (shown(&self.table, SHOWN), if self.count == 1 { "" } else { "s" });
        match (self.kind, &self.column) {
            (ChangeKind::DiscardedRow, None) => format!("{} row{many} of {table}", self.count),
            (ChangeKind::DiscardedRow, Some(column)) => {
                format!("{} row{many} of {table} with an unfit {}", self.count, shown(column, SHOWN))
            }
            (_, None) => format!("{} value{many} of {table}", self.count),
            // Of a variant that is told by its own column, the values are those of the column that they did not fit.
            (kind, Some(column)) => {
                let own = column.rsplit_once("__v_").filter(|_| kind == ChangeKind::Variant);
                let column = own.map_or(column.as_str(), |(column, _)| column);
                format!("{} value{many} of {table}.{}", self.count, shown(column, SHOWN))
            }
        }
    }
}

/// One line: `3 values of orders.amount did not fit and went to orders.amount__v_text, the first: "n/a"`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject())?;
        let were = if self.count == 1 { "was" } else { "were" };
        match self.kind {
            ChangeKind::DiscardedRow | ChangeKind::DiscardedValue => write!(f, " {were} left out")?,
            ChangeKind::Coerced => write!(f, " {were} converted")?,
            ChangeKind::Variant => {
                let table = shown(&self.table, SHOWN);
                let column = shown(self.column.as_deref().unwrap_or_default(), SHOWN);
                let kind = if column.contains("__v_") { "" } else { "__v_…" };
                write!(f, " did not fit and went to {table}.{column}{kind}")?;
            }
        }
        let first = if self.count == 1 { "it is" } else { "the first" };
        write!(f, ", {first}: {}", shown(&self.sample, SHOWN))
    }
}

/// The changes of a run, summed by resource, table, column and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The worse kinds first, then by name. At most 1,000.
    list: Vec<Change>,
    /// How many values and rows there were beyond those that are listed.
    more: u64,
}

impl Changes {
    /// Adds one of a batch. The first sample stays.
    pub fn add(&mut self, change: Change) {
        match self.list.binary_search_by(|other| other.key().cmp(&change.key())) {
            Ok(at) => {
                if let Some(known) = self.list.get_mut(at) {
                    known.count = known.count.saturating_add(change.count);
                }
            }
            Err(_) if change.count == 0 => {}
            Err(at) if self.list.len() < MOST => self.list.insert(at, change),
            Err(_) => self.more = self.more.saturating_add(change.count),
        }
    }

    /// Those that are kept: the worse kinds first, then by name.
    pub fn list(&self) -> &[Change] {
        &self.list
    }

    /// How many values and rows there were beyond those that are listed.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// Whether every value simply went into its column.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many values and rows there are in all.
    fn count(&self) -> u64 {
        self.list.iter().fold(self.more, |sum, change| sum.saturating_add(change.count))
    }

    /// Why a strict run fails. `None` where every value simply went into its column.
    pub fn refusal(&self) -> Option<Error> {
        if self.is_empty() {
            return None;
        }
        let (named, others) = self.list.split_at(self.list.len().min(NAMED));
        let mut error = Error::new(
            Class::Source,
            format!(
                "the run is strict, and {} did not go into their columns as they are",
                plural(self.count(), "value")
            ),
        );
        for change in named {
            error = error.fact(label(change.kind), change);
        }
        let others = others.iter().fold(self.more, |sum, change| sum.saturating_add(change.count));
        if others > 0 {
            error = error.fact("and", format!("{others} more, of other columns or kinds"));
        }
        Some(error.advice(
            "nothing was published, and the next run reads all of it again: give the columns types that their values have \
             (`columns`), change the records (`processing_steps`), or run without `strict` to take the values as they are told here",
        ))
    }
}

fn label(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::DiscardedRow | ChangeKind::DiscardedValue => "left out",
        ChangeKind::Variant => "variant",
        ChangeKind::Coerced => "converted",
    }
}

/// `1 value`, `2 values`.
pub fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// One line of at most so many characters. Control characters do not reach the terminal.
pub fn shown(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(column: Option<&str>, kind: ChangeKind, count: u64, sample: &str) -> Change {
        Change {
            resource: "orders".to_owned(),
            table: "orders".to_owned(),
            column: column.map(str::to_owned),
            kind,
            count,
            sample: sample.to_owned(),
        }
    }

    #[test]
    fn a_change_is_one_line() {
        use ChangeKind::{Coerced, DiscardedRow, DiscardedValue, Variant};
        for (column, kind, count, sample, line) in [
            (Some("n"), Coerced, 1, "\"7\"", "1 value of orders.n was converted, it is: \"7\""),
            (Some("n"), DiscardedValue, 2, "5", "2 values of orders.n were left out, the first: 5"),
            (
                Some("n__v_text"),
                Variant,
                3,
                "\"n/a\"",
                "3 values of orders.n did not fit and went to orders.n__v_text, the first: \"n/a\"",
            ),
            (Some("n"), DiscardedRow, 1, "5", "1 row of orders with an unfit n was left out, it is: 5"),
            (None, DiscardedRow, 4, "{}", "4 rows of orders were left out, the first: {}"),
            // Nothing moves a terminal's cursor, and nothing fills its screen.
            (Some("a\u{1b}[2J"), Coerced, 1, "\"\u{7}\"", "1 value of orders.a [2J was converted, it is: \" \""),
        ] {
            assert_eq!(change(column, kind, count, sample).to_string(), line);
        }
        let long = change(Some("n"), Coerced, 1, &"x".repeat(500)).to_string();
        assert!(long.chars().count() < 110 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn changes_are_summed_and_bounded() {
        let mut changes = Changes::default();
        assert!(changes.refusal().is_none());
        for column in 0..MOST + 5 {
            for _ in 0..2 {
                changes.add(change(Some(&format!("c{column:04}")), ChangeKind::Coerced, 3, "1"));
            }
        }
        assert_eq!((changes.list().len(), changes.more()), (MOST, 30));
        assert_eq!(changes.list()[0].count, 6);
        changes.add(change(Some("z"), ChangeKind::Variant, 0, ""));
        assert_eq!(changes.more(), 30);
        let error = changes.refusal().unwrap();
        assert_eq!(error.message, "the run is strict, and 6030 values did not go into their columns as they are");
        assert_eq!(error.facts.len(), NAMED + 1);
        assert!(error.to_string().contains("6000 more, of other columns or kinds"), "{error}");
    }

    #[test]
    fn the_worse_is_told_first() {
        use ChangeKind::{Coerced, DiscardedRow, DiscardedValue, Variant};
        let mut changes = Changes::default();
        for kind in [Coerced, Variant, DiscardedRow, DiscardedValue] {
            changes.add(change(Some("n"), kind, 1, "1"));
        }
        let kinds: Vec<ChangeKind> = changes.list().iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [DiscardedRow, DiscardedValue, Variant, Coerced]);
    }
}
