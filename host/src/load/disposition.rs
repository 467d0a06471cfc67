//! How rows of a resource meet the rows that the final table has: what `write-disposition` in `wit/connector.wit` says of each
//! part.

use super::{ResourcePlan, staging_table::ROW_ID};
use crate::destination::{DataType, StoredColumn, dialect::Dialect};

/// How rows of a resource meet the rows that the final table has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteDisposition {
    /// Add the rows.
    Append,
    /// Put the rows in the place of all that was there.
    Replace,
    /// Bring the rows together with those that are there.
    Merge(Merge),
}

/// How rows are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// What becomes of rows that are there.
    pub strategy: Strategy,
    /// Which of the rows of a run with the same primary key stays.
    pub duplicates: Duplicates,
    /// The column that says that a row is to be deleted: it is true, or of another type and not null.
    pub hard_delete: Option<String>,
}

/// What becomes of rows that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Those with the primary key of a new row are deleted, and those with its merge key. All new rows are inserted.
    DeleteInsert {
        /// Columns by which rows are replaced together.
        merge_key: Vec<String>,
    },
    /// Those with the primary key of a new row become that row; the others are inserted.
    Upsert,
    /// All stay. New rows whose primary key is not there are inserted.
    InsertOnly,
    /// All stay as versions: those that are no longer delivered end, and new ones begin.
    Scd2(Scd2),
}

/// Which of several rows stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// The last one.
    KeepLast,
    /// The one with the smallest value in a column that is not null; of several the last one.
    KeepSmallest(String),
    /// The one with the largest value in a column that is not null; of several the last one.
    KeepLargest(String),
    /// All of them.
    KeepAll,
}

/// Versions of rows, each with the time in which it was valid. Instants are in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scd2 {
    /// The column with the instant from which a version is valid.
    pub valid_from: String,
    /// The column with the instant at which it ends.
    pub valid_to: String,
    /// The column that tells versions apart.
    pub row_version: String,
    /// If not empty: versions end only where the run delivers rows with the same values in these columns.
    pub merge_key: Vec<String>,
    /// What stands as the end of a version that is valid; null where absent.
    pub active: Option<i64>,
    /// When versions end and begin; the beginning of the load where absent.
    pub boundary: Option<i64>,
}

impl Default for Merge {
    /// What dlt does if nothing is said: delete and insert, of duplicates the last one.
    fn default() -> Self {
        let strategy = Strategy::DeleteInsert { merge_key: Vec::new() };
        Self { strategy, duplicates: Duplicates::KeepLast, hard_delete: None }
    }
}

impl Duplicates {
    /// What is done about rows with the same values in some columns; nothing, where none are named.
    fn step<'a>(&'a self, by: Vec<&'a str>) -> Option<Step<'a>> {
        let is_idle = by.is_empty() || *self == Self::KeepAll;
        (!is_idle).then(|| Step::Deduplicate(by, self.sorted()))
    }

    /// By what column, and in what order, the first one is found.
    fn sorted(&self) -> Option<(&str, Order)> {
        match self {
            Self::KeepLast | Self::KeepAll => None,
            Self::KeepSmallest(column) => Some((column, Order::Ascending)),
            Self::KeepLargest(column) => Some((column, Order::Descending)),
        }
    }
}

impl Strategy {
    /// Columns by which rows are replaced together; empty where it has none.
    fn merge_key(&self) -> &[String] {
        match self {
            Self::DeleteInsert { merge_key } | Self::Scd2(Scd2 { merge_key, .. }) => merge_key,
            Self::Upsert | Self::InsertOnly => &[],
        }
    }
}

impl Scd2 {
    /// Versions by the hash of the record, in dlt's columns.
    pub fn of_records() -> Self {
        Self {
            valid_from: "_dlt_valid_from".to_owned(),
            valid_to: "_dlt_valid_to".to_owned(),
            row_version: ROW_ID.to_owned(),
            merge_key: Vec::new(),
            active: None,
            boundary: None,
        }
    }
}

/// What is done in turn to bring the staged rows of a chain of tables together with the final ones. Of the root table where
/// nothing else is said; child rows follow their root rows.
pub(super) enum Step<'a> {
    /// Deletes all final rows.
    Empty,
    /// Deletes the final rows that have the values of a staged row in these columns.
    Delete(&'a [String]),
    /// Ends the versions that are valid and not staged.
    Retire(&'a Scd2),
    /// Of the staged rows with the same values in these columns keeps one: the last one, or else the first in this order.
    Deduplicate(Vec<&'a str>, Option<(&'a str, Order)>),
    /// Leaves out the staged rows in whose place a final row with the same values in these columns stays, since it comes first in
    /// this order.
    LeaveOutOlder(&'a [String], (&'a str, Order)),
    /// Leaves out the staged rows that this column says to be deleted.
    LeaveOutDeleted(&'a str),
    /// Leaves out the staged rows whose values in these columns a final row has.
    LeaveOutKnown(&'a [String]),
    /// Leaves out the staged rows that are valid versions already, and the child rows that are there.
    LeaveOutValid(&'a Scd2),
    /// Inserts the staged rows, as versions where there are such.
    Insert(Option<&'a Scd2>),
}

/// An order of rows.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Ascending,
    Descending,
}

impl ResourcePlan {
    /// What its disposition comes to.
    pub(super) fn steps(&self) -> Vec<Step<'_>> {
        let merge = match &self.write_disposition {
            WriteDisposition::Append => return vec![Step::Insert(None)],
            WriteDisposition::Replace => return vec![Step::Empty, Step::Insert(None)],
            WriteDisposition::Merge(merge) => merge,
        };
        let key = self.primary_key.as_slice();
        let deleted = merge.hard_delete.as_deref().map(Step::LeaveOutDeleted);
        let older =
            merge.duplicates.sorted().filter(|_| !key.is_empty()).map(|sorted| Step::LeaveOutOlder(key, sorted));
        let in_place = (!key.is_empty()).then_some(Step::Delete(key));
        let one_of_each_key = merge.duplicates.step(key.iter().map(String::as_str).collect());
        match &merge.strategy {
            // The id of a row that is upserted is the hash of its key, so one that is deleted and inserted is the row that it was.
            Strategy::DeleteInsert { .. } | Strategy::Upsert => {
                let merge_key = merge.strategy.merge_key();
                // Rows that are replaced together are so whatever record of a key counts.
                let together = (!merge_key.is_empty()).then_some(Step::Delete(merge_key));
                together
                    .into_iter()
                    .chain(one_of_each_key)
                    .chain(older)
                    .chain(in_place)
                    .chain(deleted)
                    .chain([Step::Insert(None)])
                    .collect()
            }
            Strategy::InsertOnly => one_of_each_key
                .into_iter()
                .chain(deleted)
                .chain([Step::LeaveOutKnown(key), Step::Insert(None)])
                .collect(),
            Strategy::Scd2(scd2) => {
                let by = [scd2.row_version.as_str()].into_iter().chain(key.iter().map(String::as_str));
                let one_of_each_version = merge.duplicates.step(by.collect());
                [Step::Retire(scd2)]
                    .into_iter()
                    .chain(one_of_each_version)
                    .chain([Step::LeaveOutValid(scd2), Step::Insert(Some(scd2))])
                    .collect()
            }
        }
    }

    /// The columns in which each staged row must have a value, since rows are found by them.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        let strategy = match &self.write_disposition {
            WriteDisposition::Merge(merge) => Some(&merge.strategy),
            WriteDisposition::Append | WriteDisposition::Replace => None,
        };
        strategy.into_iter().flat_map(move |strategy| {
            let version = if let Strategy::Scd2(scd2) = strategy { Some(&scd2.row_version) } else { None };
            self.primary_key.iter().chain(strategy.merge_key()).chain(version)
        })
    }

    /// The columns that the root table must have whatever is delivered.
    pub(super) fn columns(&self, dialect: &dyn Dialect) -> Vec<StoredColumn> {
        let WriteDisposition::Merge(Merge { strategy: Strategy::Scd2(scd2), .. }) = &self.write_disposition else {
            return Vec::new();
        };
        let column = |name: &String| StoredColumn {
            name: name.clone(),
            declared: dialect.column_type(DataType::Timestamp),
            nullable: true,
        };
        [&scd2.valid_from, &scd2.valid_to].map(column).into()
    }

    /// Whether rows are merged, and nothing says which belong together.
    pub(super) fn merges_without_a_key(&self) -> bool {
        let WriteDisposition::Merge(merge) = &self.write_disposition else { return false };
        let has_no_key = match &merge.strategy {
            Strategy::DeleteInsert { merge_key } => merge_key.is_empty(),
            Strategy::Upsert | Strategy::InsertOnly => true,
            Strategy::Scd2(_) => false,
        };
        has_no_key && self.primary_key.is_empty()
    }

    /// Whether child rows have to know the root rows that they stem from.
    pub(super) fn has_root_ids(&self) -> bool {
        matches!(&self.write_disposition, WriteDisposition::Merge(merge) if !matches!(merge.strategy, Strategy::Scd2(_)))
    }
}
