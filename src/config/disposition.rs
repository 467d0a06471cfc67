//! What a resource says of how its rows meet the rows that are there (reference, section 11). `crate::disposition` makes
//! something of it.
#![allow(dead_code, reason = "of some keys only the schema is used: `later` says what becomes of their values")]

use super::spelling::escape;
use crate::error::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// How rows meet the rows that are there: a word, or an object.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum WriteDispositionItem {
    /// The word.
    Word(Disposition),
    /// The word, with how it is carried out.
    Object(Box<DispositionObject>),
}

impl Default for WriteDispositionItem {
    fn default() -> Self {
        Self::Word(Disposition::Append)
    }
}

impl WriteDispositionItem {
    /// As an object.
    pub fn spelt_out(&self) -> DispositionObject {
        match self {
            Self::Word(disposition) => DispositionObject { disposition: *disposition, ..DispositionObject::default() },
            Self::Object(object) => DispositionObject::clone(object),
        }
    }
}

/// How rows of a resource meet the rows that a destination has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Add the rows.
    #[default]
    Append,
    /// Put the rows in the place of all that was there.
    Replace,
    /// Put each row in the place of the row with the same primary key.
    Merge,
    /// Load nothing.
    Skip,
}

/// A disposition, with how it is carried out.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DispositionObject {
    /// The word.
    pub disposition: Disposition,
    /// How rows are merged, or replaced.
    pub strategy: Option<Strategy>,
    /// Whether the rows of a run hold each key once, so that none is looked for; for `delete-insert`.
    pub deduplicated: Option<bool>,
    /// Whether rows that did not change are left as they are.
    pub skip_unchanged_rows: Option<bool>,
    /// The column that tells versions of a row apart, for `scd2`; a hash of the whole record if absent.
    pub row_version_column_name: Option<String>,
    /// The names of the two columns that say from when to when a row was valid, for `scd2`; `_dlt_valid_from` and
    /// `_dlt_valid_to` if absent.
    pub validity_column_names: Option<Vec<String>>,
    /// What stands as the end of a row that is valid, for `scd2`: a date or a date-time; null if absent.
    pub active_record_timestamp: Option<String>,
    /// From when the rows of a run are valid, for `scd2`: a date or a date-time; the beginning of the load if absent.
    pub boundary_timestamp: Option<String>,
    /// A condition in SQL on the rows of a run.
    pub source_filter: Option<String>,
    /// A condition in SQL on the rows that are there.
    pub destination_scope: Option<String>,
}

/// How rows are merged, or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Merge: delete what has a key of a new row, then insert.
    DeleteInsert,
    /// Merge: update what is there, insert the rest.
    Upsert,
    /// Merge: insert what is not there.
    InsertOnly,
    /// Merge: as upsert, and delete what is no longer there.
    Cdc,
    /// Merge: keep the versions of each row.
    Scd2,
    /// Replace. All is always put in place at once.
    TruncateAndInsert,
    /// Replace. All is always put in place at once.
    InsertFromStaging,
}

impl Strategy {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::DeleteInsert => "delete-insert",
            Self::Upsert => "upsert",
            Self::InsertOnly => "insert-only",
            Self::Cdc => "cdc",
            Self::Scd2 => "scd2",
            Self::TruncateAndInsert => "truncate-and-insert",
            Self::InsertFromStaging => "insert-from-staging",
        }
    }

    /// The disposition that it belongs to.
    pub fn disposition(self) -> Disposition {
        match self {
            Self::TruncateAndInsert | Self::InsertFromStaging => Disposition::Replace,
            Self::DeleteInsert | Self::Upsert | Self::InsertOnly | Self::Cdc | Self::Scd2 => Disposition::Merge,
        }
    }
}

impl Disposition {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Replace => "replace",
            Self::Merge => "merge",
            Self::Skip => "skip",
        }
    }
}

/// Keys of the resources of a document that have no effect with the disposition, or the strategy, that the resource has.
pub fn idle(document: &Value) -> Vec<Error> {
    let resources = document.get("resources").and_then(Value::as_array).into_iter().flatten();
    let defaults = document.pointer("/resource_defaults/write_disposition");
    let mut idle = Vec::new();
    for (index, resource) in resources.enumerate() {
        let own = resource.get("write_disposition");
        let item = own.or(defaults).and_then(|item| WriteDispositionItem::deserialize(item).ok()).unwrap_or_default();
        let said = item.spelt_out();
        let strategy = match said.disposition {
            Disposition::Merge => Some(said.strategy.unwrap_or(Strategy::DeleteInsert)),
            _ => None,
        };
        let why = match strategy {
            None => "no row is looked for: it is for `write_disposition: merge`".to_owned(),
            Some(strategy) => format!("it is not for `strategy: {}`", strategy.word()),
        };
        let place = format!("/resources/{index}");
        let mut note = |pointer: String, value: Option<&Value>| {
            let key = pointer.rsplit('/').next().unwrap_or_default();
            if value.is_some_and(|value| !value.is_null() && *value != false) {
                let message = format!("the key `{key}` has no effect: {why}");
                idle.push(Error::config(pointer.clone(), message).advice("it can be left out"));
            }
        };
        let has_versions = strategy == Some(Strategy::Scd2);
        for (key, is_idle) in [
            ("deduplicated", strategy != Some(Strategy::DeleteInsert)),
            ("row_version_column_name", !has_versions),
            ("validity_column_names", !has_versions),
            ("active_record_timestamp", !has_versions),
            ("boundary_timestamp", !has_versions),
        ] {
            if is_idle {
                note(format!("{place}/write_disposition/{key}"), own.and_then(|own| own.get(key)));
            }
        }
        let has_merge_key = matches!(strategy, Some(Strategy::DeleteInsert | Strategy::Scd2));
        if !has_merge_key {
            note(format!("{place}/merge_key"), resource.get("merge_key"));
        }
        let columns = resource.get("columns").and_then(Value::as_object);
        for (name, hints) in columns.into_iter().flatten() {
            for (key, is_idle) in [
                ("merge_key", !has_merge_key),
                ("hard_delete", strategy.is_none() || has_versions),
                ("dedup_sort", strategy.is_none() || has_versions),
            ] {
                if is_idle {
                    note(format!("{place}/columns/{}/{key}", escape(name)), hints.get(key));
                }
            }
        }
    }
    idle
}
