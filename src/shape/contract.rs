//! What becomes of tables, columns and types that are new (reference, section 10.5).

use crate::config::model::{ContractMode, SchemaContract};
use crate::error::{Error, Kind};

/// The contract of a resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contract {
    /// What becomes of a new table. The first load of a resource makes its tables, whatever it says.
    pub tables: ContractMode,
    /// What becomes of a new column in a table that an earlier load made.
    pub columns: ContractMode,
    /// What becomes of a value that does not fit its column.
    pub data_type: ContractMode,
}

impl Contract {
    /// As a configuration has it.
    pub fn new(config: Option<&SchemaContract>) -> Self {
        match config {
            None => Self::default(),
            Some(SchemaContract::Word(mode)) => Self { tables: *mode, columns: *mode, data_type: *mode },
            Some(SchemaContract::Each(each)) => Self {
                tables: each.tables.unwrap_or_default(),
                columns: each.columns.unwrap_or_default(),
                data_type: each.data_type.unwrap_or_default(),
            },
        }
    }

    /// Whether it may leave out rows that were begun.
    pub fn discards_rows(&self) -> bool {
        [self.columns, self.data_type].contains(&ContractMode::DiscardRow)
    }
}

/// The error of something new where nothing may change. `pointer` is the place of the contract.
pub fn frozen(what: String, entity: &str, sample: &str, pointer: &str) -> Error {
    let message = format!("{what}, and `schema_contract` freezes `{entity}`; the value is {sample}");
    Error { pointer: Some(format!("{pointer}/schema_contract")), ..Error::new(Kind::Schema, message) }.advice(format!(
        "write `{entity}: evolve` to take it in, or `discard_value` or `discard_row` to leave it out and be told so"
    ))
}
