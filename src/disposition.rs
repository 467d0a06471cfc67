//! How rows of a resource meet the rows that a destination has: what a configuration comes to (reference, section 11), and what
//! `write-disposition` in the WIT says of each part.

use crate::config::escape;
use crate::config::model::{ColumnHints, Disposition, DispositionObject, OneOrMany, Order, Resource, Strategy as Word};
use crate::error::{Error, Result};
use crate::shape::{ROW_ID, naming, timestamp};
use serde::Deserialize;

/// The columns of `scd2` where the configuration names none.
const VALIDITY: [&str; 2] = ["_dlt_valid_from", "_dlt_valid_to"];

/// How rows meet the rows that are there.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteDisposition {
    /// Add the rows.
    Append,
    /// Put the rows in the place of all that was there.
    Replace,
    /// Bring the rows together with those that are there.
    Merge(Merge),
}

/// How rows are merged. Columns are named as in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// What becomes of rows that are there.
    pub strategy: Strategy,
    /// Which of the rows of a run with the same primary key stays.
    pub duplicates: Duplicates,
    /// The column that says that a row is to be deleted.
    pub hard_delete: Option<String>,
}

/// What becomes of rows that are there.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the WIT says it")]
pub enum Strategy {
    DeleteInsert { merge_key: Vec<String> },
    Upsert,
    InsertOnly,
    Scd2(Scd2),
}

/// Which of several rows stays.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the WIT says it")]
pub enum Duplicates {
    KeepLast,
    KeepSmallest(String),
    KeepLargest(String),
    KeepAll,
}

/// Versions of rows.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the WIT says it")]
pub struct Scd2 {
    pub valid_from: String,
    pub valid_to: String,
    pub row_version: String,
    pub merge_key: Vec<String>,
    pub active: Option<i64>,
    pub boundary: Option<i64>,
}

/// What the `_dlt_id` of a root row is (reference, section 9.4).
#[derive(Clone, Debug, PartialEq)]
pub enum RowId {
    /// Random.
    Random,
    /// The hash of these fields, in the spelling of the configuration.
    Key(Vec<String>),
    /// The hash of the whole record.
    Record,
}

impl WriteDisposition {
    /// What a resource says, which stands at `pointer` in the configuration.
    ///
    /// # Errors
    /// `Kind::Config` where parts of it contradict each other.
    pub fn new(resource: &Resource, pointer: &str) -> Result<Self> {
        let said = resource.write_disposition.spelt_out();
        let place = format!("{pointer}/write_disposition/strategy");
        if let Some(strategy) = said.strategy.filter(|strategy| strategy.disposition() != said.disposition) {
            let message = format!("`{}` is no strategy of `disposition: {}`", strategy.word(), said.disposition.word());
            let advice = format!("write `disposition: {}`, or leave it out", strategy.disposition().word());
            return Err(Error::config(place, message).advice(advice));
        }
        match said.disposition {
            Disposition::Append | Disposition::Skip => Ok(Self::Append),
            Disposition::Replace => Ok(Self::Replace),
            Disposition::Merge => Merge::new(resource, &said, pointer).map(Self::Merge),
        }
    }

    /// Whether child rows carry the id of their root row, by which they are deleted with it (reference, section 9.4).
    pub fn has_root_ids(&self) -> bool {
        matches!(self, Self::Merge(merge) if !matches!(merge.strategy, Strategy::Scd2(_)))
    }

    /// What the ids of a resource's root rows are.
    pub fn row_id(&self, resource: &Resource) -> RowId {
        match self {
            Self::Merge(Merge { strategy: Strategy::Upsert | Strategy::InsertOnly, .. }) => RowId::Key(resource.key()),
            Self::Merge(Merge { strategy: Strategy::Scd2(scd2), .. }) if scd2.row_version == ROW_ID => RowId::Record,
            _ => RowId::Random,
        }
    }
}

impl Merge {
    fn new(resource: &Resource, said: &DispositionObject, pointer: &str) -> Result<Self> {
        let word = said.strategy.unwrap_or(Word::DeleteInsert);
        let key = resource.key();
        if matches!(word, Word::Upsert | Word::InsertOnly | Word::Cdc) && key.is_empty() {
            let message = format!("`strategy: {}` looks for rows by their primary key, and there is none", word.word());
            return Err(Error::config(format!("{pointer}/write_disposition/strategy"), message)
                .advice("write `primary_key: …`, with the field or fields that identify a record"));
        }
        let merge_key: Vec<String> = resource.merge_key().iter().map(|field| naming::path(field)).collect();
        let hard_delete = only_one(resource, pointer, "hard_delete", |hints| hints.hard_delete.filter(|is| *is))?;
        let sorted = only_one(resource, pointer, "dedup_sort", |hints| hints.dedup_sort)?;
        let mut duplicates = match sorted {
            Some((column, Order::Asc)) => Duplicates::KeepSmallest(column),
            Some((column, Order::Desc)) => Duplicates::KeepLargest(column),
            None => Duplicates::KeepLast,
        };
        let strategy = match word {
            Word::Upsert | Word::Cdc => Strategy::Upsert,
            Word::InsertOnly => Strategy::InsertOnly,
            Word::Scd2 => {
                let scd2 = Scd2::new(said, merge_key, pointer)?;
                // A version that the source names may be that of several rows, unless their key tells them apart.
                let is_told = scd2.row_version == ROW_ID || !key.is_empty();
                duplicates = if is_told { Duplicates::KeepLast } else { Duplicates::KeepAll };
                Strategy::Scd2(scd2)
            }
            Word::DeleteInsert | Word::TruncateAndInsert | Word::InsertFromStaging => {
                if said.deduplicated == Some(true) {
                    duplicates = Duplicates::KeepAll;
                }
                Strategy::DeleteInsert { merge_key }
            }
        };
        Ok(Self { strategy, duplicates, hard_delete: hard_delete.map(|(column, _)| column) })
    }
}

impl Scd2 {
    fn new(said: &DispositionObject, merge_key: Vec<String>, pointer: &str) -> Result<Self> {
        let place = |key: &str| format!("{pointer}/write_disposition/{key}");
        let instant = |key: &str, text: &Option<String>| {
            let Some(text) = text else { return Ok(None) };
            timestamp::instant(text).map(Some).ok_or_else(|| {
                let message = format!("expected a date or a date-time, found {text:?}");
                Error::config(place(key), message).advice("write one such as `9999-12-31` or `2025-01-01T00:00:00Z`")
            })
        };
        let names = said.validity_column_names.as_deref();
        let [valid_from, valid_to] = match names.unwrap_or_default() {
            [] if names.is_none() => VALIDITY.map(str::to_owned),
            [from, to] if naming::path(from) != naming::path(to) => [naming::path(from), naming::path(to)],
            _ => {
                let message = "expected the names of two columns";
                return Err(Error::config(place("validity_column_names"), message)
                    .advice("write `validity_column_names: [valid_from, valid_to]`"));
            }
        };
        let version = said.row_version_column_name.as_deref().filter(|name| !name.is_empty());
        Ok(Self {
            valid_from,
            valid_to,
            row_version: version.map_or_else(|| ROW_ID.to_owned(), naming::path),
            merge_key,
            active: instant("active_record_timestamp", &said.active_record_timestamp)?,
            boundary: instant("boundary_timestamp", &said.boundary_timestamp)?,
        })
    }
}

/// The column that has a hint, with what it says.
fn only_one<T>(
    resource: &Resource,
    pointer: &str,
    hint: &str,
    of: impl Fn(&ColumnHints) -> Option<T>,
) -> Result<Option<(String, T)>> {
    let mut found = resource.column_hints().filter_map(|(name, hints)| Some((name, of(&hints)?)));
    let Some((first, said)) = found.next() else { return Ok(None) };
    match found.next() {
        None => Ok(Some((naming::path(first), said))),
        Some((second, _)) => {
            let message = format!("`{first}` and `{second}` have `{hint}`, and one column of a table can have it");
            Err(Error::config(format!("{pointer}/columns/{}/{hint}", escape(second)), message)
                .advice("leave it out of one of them"))
        }
    }
}

impl Resource {
    /// The fields that identify a record: those of `primary_key`, and the columns of which a hint says so.
    pub fn key(&self) -> Vec<String> {
        self.fields(&self.primary_key, |hints| hints.primary_key)
    }

    /// The fields by which rows are replaced together, likewise.
    pub fn merge_key(&self) -> Vec<String> {
        self.fields(&self.merge_key, |hints| hints.merge_key)
    }

    fn fields(&self, named: &Option<OneOrMany>, hinted: impl Fn(&ColumnHints) -> Option<bool>) -> Vec<String> {
        let mut fields = named.as_ref().map_or_else(Vec::new, |key| key.as_slice().to_vec());
        for (name, hints) in self.column_hints() {
            let is_new = !fields.iter().any(|field| naming::path(field) == naming::path(name));
            if hinted(&hints) == Some(true) && is_new {
                fields.push(name.to_owned());
            }
        }
        fields
    }

    /// What is known of its columns, by the names that records have.
    pub fn column_hints(&self) -> impl Iterator<Item = (&str, ColumnHints)> {
        self.columns.iter().map(|(name, value)| (name.as_str(), ColumnHints::deserialize(value).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(resource: Value) -> Result<WriteDisposition> {
        WriteDisposition::new(&serde_json::from_value(resource).unwrap(), "/resources/0")
    }

    fn merge(resource: Value) -> Merge {
        match read(resource) {
            Ok(WriteDisposition::Merge(merge)) => merge,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_and_objects_say_the_same() {
        for (word, expected) in [("append", WriteDisposition::Append), ("replace", WriteDisposition::Replace)] {
            assert_eq!(read(json!({"name": "r", "write_disposition": word})).unwrap(), expected);
            assert_eq!(read(json!({"name": "r", "write_disposition": {"disposition": word}})).unwrap(), expected);
        }
        assert_eq!(read(json!({"name": "r"})).unwrap(), WriteDisposition::Append);
        let said = json!({"disposition": "merge", "strategy": "delete-insert"});
        let word = merge(json!({"name": "r", "write_disposition": "merge"}));
        assert_eq!(word, merge(json!({"name": "r", "write_disposition": said})));
        assert_eq!(word.strategy, Strategy::DeleteInsert { merge_key: Vec::new() });
    }

    #[test]
    fn keys_and_hints_are_columns() {
        let merge =
            merge(json!({"name": "r", "write_disposition": "merge", "primary_key": "Id", "merge_key": ["theDay"],
            "columns": {"Shop": {"merge_key": true}, "the_day": {"merge_key": true}, "isGone": {"hard_delete": true},
                "changedAt": {"dedup_sort": "desc"}}}));
        assert_eq!(merge.strategy, Strategy::DeleteInsert { merge_key: vec!["the_day".into(), "shop".into()] });
        assert_eq!(merge.duplicates, Duplicates::KeepLargest("changed_at".to_owned()));
        assert_eq!(merge.hard_delete.as_deref(), Some("is_gone"));
    }

    #[test]
    fn ids_are_random_hashes_of_keys_or_hashes_of_records() {
        let resource = |form: Value| -> Resource {
            serde_json::from_value(json!({"name": "r", "primary_key": ["b", "A"], "write_disposition": form})).unwrap()
        };
        let key = || RowId::Key(vec!["b".to_owned(), "A".to_owned()]);
        for (form, id, has_root_ids) in [
            (json!("append"), RowId::Random, false),
            (json!("merge"), RowId::Random, true),
            (json!({"disposition": "merge", "strategy": "upsert"}), key(), true),
            (json!({"disposition": "merge", "strategy": "insert-only"}), key(), true),
            (json!({"disposition": "merge", "strategy": "scd2"}), RowId::Record, false),
            (json!({"disposition": "merge", "strategy": "scd2", "row_version_column_name": "v"}), RowId::Random, false),
        ] {
            let resource = resource(form);
            let disposition = WriteDisposition::new(&resource, "/resources/0").unwrap();
            assert_eq!((disposition.row_id(&resource), disposition.has_root_ids()), (id, has_root_ids));
        }
    }

    #[test]
    fn versions_that_nothing_tells_apart_are_all_kept() {
        let of = |more: Value| {
            let mut form = json!({"disposition": "merge", "strategy": "scd2"});
            form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            form
        };
        let form = of(json!({"row_version_column_name": "V", "boundary_timestamp": "2025-01-01",
            "validity_column_names": ["From", "To"], "active_record_timestamp": "9999-12-31T00:00:00+00:00"}));
        let versions = merge(json!({"name": "r", "write_disposition": form, "merge_key": "k"}));
        let expected = Scd2 {
            valid_from: "from".to_owned(),
            valid_to: "to".to_owned(),
            row_version: "v".to_owned(),
            merge_key: vec!["k".to_owned()],
            active: Some(253_402_214_400_000_000),
            boundary: Some(1_735_689_600_000_000),
        };
        assert_eq!((versions.strategy, versions.duplicates), (Strategy::Scd2(expected), Duplicates::KeepAll));
        let with_key = json!({"name": "r", "write_disposition": form, "primary_key": "id"});
        assert_eq!(merge(with_key).duplicates, Duplicates::KeepLast);
        assert_eq!(merge(json!({"name": "r", "write_disposition": of(json!({}))})).duplicates, Duplicates::KeepLast);
    }
}
