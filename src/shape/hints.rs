//! What a configuration says of columns beforehand (reference, section 1.2).

use super::schema::DataType;
use super::{Contract, Target, naming};
use crate::config::model::{ColumnHints, ColumnType, Resource};
use crate::disposition::{Merge, Strategy, WriteDisposition};
use crate::error::Result;

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
    ///
    /// # Errors
    /// As [`WriteDisposition::new`].
    pub fn new(resource: &Resource, pointer: &str) -> Result<Self> {
        let table = resource.table_name.as_deref().unwrap_or(&resource.name);
        let write_disposition = WriteDisposition::new(resource, pointer)?;
        Ok(Self {
            resource: resource.name.clone(),
            pointer: pointer.to_owned(),
            table: naming::identifier(table),
            max_nesting: resource.max_table_nesting.unwrap_or(NESTING),
            row_id: write_disposition.row_id(resource),
            hints: resource.hints().chain(write_disposition.hints()).collect(),
            write_disposition,
            contract: Contract::new(resource.schema_contract.as_ref()),
            on_collision: resource.on_collision,
            widen: resource.widen,
        })
    }
}

impl Resource {
    /// What is known of its columns.
    fn hints(&self) -> impl Iterator<Item = Hint> {
        self.column_hints().map(|(name, hints)| Hint {
            column: naming::path(name),
            data_type: hints.data_type.map(|kind| data_type(kind, &hints)),
            nullable: hints.nullable.unwrap_or(true),
        })
    }
}

impl WriteDisposition {
    /// The columns that it adds. Whoever writes the rows fills them.
    fn hints(&self) -> Vec<Hint> {
        let Self::Merge(Merge { strategy: Strategy::Scd2(scd2), .. }) = self else { return Vec::new() };
        let column =
            |name: &String| Hint { column: name.clone(), data_type: Some(DataType::Timestamp), nullable: true };
        [&scd2.valid_from, &scd2.valid_to].map(column).into()
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
