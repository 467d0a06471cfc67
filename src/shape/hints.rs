//! What a configuration says of columns beforehand (reference, section 1.2).

use super::naming;
use super::schema::DataType;
use crate::config::model::{ColumnHints, ColumnType, Resource};
use serde::Deserialize;
use serde_json::Value;

/// The digits of a decimal that gives none, and how many of them stand behind the point (reference, section 10.1).
const DECIMAL: (u8, u8) = (38, 9);

/// What is known of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// The column, named by the conventions of the destination.
    pub column: String,
    /// Its type; the column then exists with the table.
    pub data_type: Option<DataType>,
    /// Whether a record may lack it.
    pub nullable: bool,
}

impl Resource {
    /// What is known of its columns.
    pub fn hints(&self) -> Vec<Hint> {
        self.column_hints()
            .map(|(name, hints)| Hint {
                column: naming::path(name),
                data_type: hints.data_type.and_then(|kind| data_type(kind, &hints)),
                nullable: hints.nullable.unwrap_or(true),
            })
            .collect()
    }

    /// The fields that identify a record: those of `primary_key`, and the columns of which a hint says so.
    pub fn key(&self) -> Vec<String> {
        let mut key = self.primary_key.as_ref().map_or_else(Vec::new, |key| key.as_slice().to_vec());
        for (name, hints) in self.column_hints() {
            let is_new = !key.iter().any(|field| naming::path(field) == naming::path(name));
            if hints.primary_key == Some(true) && is_new {
                key.push(name.to_owned());
            }
        }
        key
    }

    fn column_hints(&self) -> impl Iterator<Item = (&str, ColumnHints)> {
        let read = |value: &Value| ColumnHints::deserialize(value).unwrap_or_default();
        self.columns.iter().map(move |(name, value)| (name.as_str(), read(value)))
    }
}

/// The types that are not carried out yet were refused before.
fn data_type(kind: ColumnType, hints: &ColumnHints) -> Option<DataType> {
    Some(match kind {
        ColumnType::Text => DataType::Text,
        ColumnType::Bigint => DataType::Bigint,
        ColumnType::Double => DataType::Double,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Timestamp => DataType::Timestamp,
        ColumnType::Json => DataType::Json,
        ColumnType::Decimal => {
            let precision = hints.precision.and_then(|digits| u8::try_from(digits).ok()).unwrap_or(DECIMAL.0);
            let scale = hints.scale.and_then(|digits| u8::try_from(digits).ok()).unwrap_or(DECIMAL.1.min(precision));
            DataType::Decimal { precision, scale }
        }
        ColumnType::Date | ColumnType::Time | ColumnType::Binary | ColumnType::Wei => return None,
    })
}
