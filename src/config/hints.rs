//! What a resource says of its table and columns (reference, sections 1.2, 10.5 and 11).
#![allow(dead_code, reason = "of most types only the schema is used: `later` says what becomes of their values")]

use super::model::{OneOrMany, WriteDispositionItem};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// Hints of columns: by name, or as a list.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum ColumnsItem {
    /// By name.
    ByName(BTreeMap<String, ColumnHints>),
    /// Each with its `name`.
    List(Vec<ColumnHints>),
}

/// What is known of a column beforehand. Keys that begin with `x-` are yours.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, extend("patternProperties" = {"^x-": {}}))]
pub struct ColumnHints {
    /// The column's name in the record; needed in a list of hints.
    pub name: Option<String>,
    /// The column's type; found from the first value if absent.
    pub data_type: Option<ColumnType>,
    /// Whether a record may lack it; true if absent.
    pub nullable: Option<bool>,
    /// How many digits a decimal has; 38 if absent.
    pub precision: Option<u32>,
    /// How many of them stand behind the point; 9 if absent.
    pub scale: Option<u32>,
    /// Whether a timestamp knows its time zone.
    pub timezone: Option<bool>,
    /// Whether it belongs to the primary key.
    pub primary_key: Option<bool>,
    /// Whether it belongs to the merge key.
    pub merge_key: Option<bool>,
    /// Whether each value occurs once.
    #[schemars(with = "Option<bool>")]
    pub unique: Option<IgnoredAny>,
    /// Whether the table is sorted by it.
    #[schemars(with = "Option<bool>")]
    pub sort: Option<IgnoredAny>,
    /// Whether the table is divided by it.
    #[schemars(with = "Option<bool>")]
    pub partition: Option<IgnoredAny>,
    /// Whether rows that are near in it are stored together.
    #[schemars(with = "Option<bool>")]
    pub cluster: Option<IgnoredAny>,
    /// Whether it says that a row is to be deleted: by true, or in a column of another type by any value.
    pub hard_delete: Option<bool>,
    /// Which of the rows with one key stays: the first in this order.
    pub dedup_sort: Option<Order>,
    /// What it is.
    #[schemars(with = "Option<String>")]
    pub description: Option<IgnoredAny>,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the dialect's word for the type of that name")]
pub enum ColumnType {
    Text,
    Bigint,
    Double,
    Bool,
    Timestamp,
    Decimal,
    Json,
    Date,
    Time,
    Binary,
    Wei,
}

/// An order.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The smallest first.
    Asc,
    /// The largest first.
    Desc,
}

/// What becomes of what is new: a word for all, or one for each.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SchemaContract {
    /// For all.
    Word(ContractMode),
    /// For each.
    Each(Box<Contract>),
}

/// What becomes of tables, columns and types that are new.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Of a new table, once the resource was loaded.
    pub tables: Option<ContractMode>,
    /// Of a new column in a table that was loaded before.
    pub columns: Option<ContractMode>,
    /// Of a value that does not fit its column.
    pub data_type: Option<ContractMode>,
}

/// What becomes of something new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContractMode {
    /// It is taken in.
    #[default]
    Evolve,
    /// The run fails.
    Freeze,
    /// Its row is left out.
    DiscardRow,
    /// Its value is left out.
    DiscardValue,
}

/// What becomes of two keys of one record that have the same column by their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnCollision {
    /// The run fails.
    #[default]
    Error,
    /// Each spelling has a column of its own: those after the first one are numbered from 2, `user_id_2`.
    Suffix,
}

/// Hints for a child table.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NestedHints {
    /// Hints of its columns.
    pub columns: Option<ColumnsItem>,
    /// The field or fields that identify a row.
    pub primary_key: Option<OneOrMany>,
    /// The field or fields by which rows are replaced together.
    pub merge_key: Option<OneOrMany>,
    /// Columns that refer to other tables.
    pub references: Option<Vec<Reference>>,
    /// How rows meet the rows that are there.
    pub write_disposition: Option<WriteDispositionItem>,
    /// What becomes of tables, columns and types that are new.
    pub schema_contract: Option<SchemaContract>,
}

/// Columns that refer to another table.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The columns of this table.
    pub columns: Vec<String>,
    /// The other table.
    pub referenced_table: String,
    /// Its columns.
    pub referenced_columns: Vec<String>,
    /// How many rows there are on either side.
    pub cardinality: Option<String>,
    /// What the reference says.
    pub label: Option<String>,
}

/// The format of a table.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the name of a format")]
pub enum TableFormat {
    Native,
    Iceberg,
    Delta,
    Hive,
}

/// The format of the files that dlt loads rows with.
#[derive(JsonSchema)]
#[allow(missing_docs, reason = "each is the name of a format")]
pub enum FileFormat {
    #[serde(rename = "preferred")]
    Preferred,
    #[serde(rename = "jsonl")]
    Jsonl,
    #[serde(rename = "typed-jsonl")]
    TypedJsonl,
    #[serde(rename = "insert_values")]
    InsertValues,
    #[serde(rename = "parquet")]
    Parquet,
    #[serde(rename = "csv")]
    Csv,
    #[serde(rename = "model")]
    Model,
}
