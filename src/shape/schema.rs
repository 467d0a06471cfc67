//! Tables and columns as they are known so far: what the contract calls *schema*.

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The type of a column. See `data-type` in the WIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "documented in wit/connector.wit")]
pub enum DataType {
    Text,
    Bigint,
    Double,
    Boolean,
    Timestamp,
    LocalTimestamp,
    Date,
    Time,
    Binary,
    Decimal { precision: u8, scale: u8 },
    Json,
}

impl DataType {
    /// The type of whole numbers that are no `bigint`.
    pub const LARGE_INTEGER: Self = Self::Decimal { precision: 38, scale: 0 };

    /// The name in a variant column's name (reference, section 10.4).
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bigint => "bigint",
            Self::Double => "double",
            Self::Boolean => "bool",
            Self::Timestamp | Self::LocalTimestamp => "timestamp",
            Self::Date => "date",
            Self::Time => "time",
            Self::Binary => "binary",
            Self::Decimal { .. } => "decimal",
            Self::Json => "json",
        }
    }
}

/// As a configuration writes it.
impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { precision, scale } => write!(f, "decimal({precision}, {scale})"),
            Self::LocalTimestamp => f.write_str("timestamp without time zone"),
            other => f.write_str(other.name()),
        }
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
    /// The place in the row of the key that it belongs to alone, where each spelling has its own column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The resource that its rows belong to.
    pub resource: String,
    /// The table that it is a child of.
    pub parent: Option<String>,
    /// The load that made it.
    #[serde(default)]
    pub load: String,
    /// The place in its parent's row of the key that it belongs to alone, where each spelling has its own table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// In the order in which they were found.
    pub columns: Vec<Column>,
}

/// All tables, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    version: u32,
    /// By name.
    pub tables: BTreeMap<String, Table>,
}

/// The version of the text form.
const VERSION: u32 = 1;

impl Default for Schema {
    fn default() -> Self {
        Self { version: VERSION, tables: BTreeMap::new() }
    }
}

impl Schema {
    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self> {
        let broken = |why: String| Error::new(Kind::Config, format!("the schema that was given cannot be read: {why}"));
        let schema: Self = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
        match schema.version {
            VERSION => Ok(schema),
            other => Err(broken(format!("it has version {other}, and this connector reads version {VERSION}"))),
        }
    }

    /// The text form.
    pub fn to_text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::new(Kind::Internal, error.to_string()))
    }
}
