//! What a configuration says of columns beforehand (reference, section 1.2).

use super::schema::DataType;
use super::{Contract, Target, naming};
use crate::config::model::{ColumnHints, ColumnType, Resource, Strategy};
use serde::Deserialize;
use serde_json::Value;

/// The digits of a decimal that gives none, and how many of them stand behind the point (reference, section 10.1).
const DECIMAL: (u8, u8) = (38, 9);

/// How deep records are unfolded where nothing is said (reference, section 9.3).
const NESTING: u32 = 1000;

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

impl Target {
    /// How the records of a resource become rows. `pointer` is its place in the configuration.
    pub fn new(resource: &Resource, pointer: &str) -> Self {
        let table = resource.table_name.as_deref().unwrap_or(&resource.name);
        Self {
            resource: resource.name.clone(),
            pointer: pointer.to_owned(),
            table: naming::identifier(table),
            max_nesting: resource.max_table_nesting.unwrap_or(NESTING),
            write_disposition: resource.write_disposition,
            // Such rows keep their ids (reference, section 9.4).
            row_key: if resource.merge_strategy == Some(Strategy::Upsert) { resource.key() } else { Vec::new() },
            hints: resource.hints(),
            contract: Contract::new(resource.schema_contract.as_ref()),
            on_collision: resource.on_collision,
            widen: resource.widen,
        }
    }
}

impl Resource {
    /// What is known of its columns.
    fn hints(&self) -> Vec<Hint> {
        self.column_hints()
            .map(|(name, hints)| Hint {
                column: naming::path(name),
                data_type: hints.data_type.map(|kind| data_type(kind, &hints)),
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

fn data_type(kind: ColumnType, hints: &ColumnHints) -> DataType {
    match kind {
        ColumnType::Text => DataType::Text,
        ColumnType::Bigint => DataType::Bigint,
        ColumnType::Double => DataType::Double,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Timestamp if hints.timezone == Some(false) => DataType::LocalTimestamp,
        ColumnType::Timestamp => DataType::Timestamp,
        ColumnType::Json => DataType::Json,
        ColumnType::Decimal => {
            let precision = hints.precision.and_then(|digits| u8::try_from(digits).ok()).unwrap_or(DECIMAL.0);
            let scale = hints.scale.and_then(|digits| u8::try_from(digits).ok()).unwrap_or(DECIMAL.1.min(precision));
            DataType::Decimal { precision, scale }
        }
        ColumnType::Date => DataType::Date,
        ColumnType::Time => DataType::Time,
        ColumnType::Binary => DataType::Binary,
        ColumnType::Wei => DataType::LARGE_INTEGER,
    }
}
