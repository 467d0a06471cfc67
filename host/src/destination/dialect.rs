//! What differs between databases.

use arrow_schema::TimeUnit;

use super::Session;
use crate::error::Result;

/// The type of a column, as the contract names it (`data-type` in `wit/connector.wit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// UTF-8 text.
    Text,
    /// Signed 64-bit integer.
    Bigint,
    /// IEEE 754 double.
    Double,
    /// Boolean.
    Boolean,
    /// Instant with microseconds, in UTC.
    Timestamp,
    /// Date and time of day with microseconds, without a zone.
    LocalTimestamp,
    /// Date.
    Date,
    /// Time of day with microseconds.
    Time,
    /// Bytes.
    Binary,
    /// Decimal number: precision and scale.
    Decimal(u8, u8),
    /// A JSON document as text.
    Json,
}

impl DataType {
    /// One of each, with the precision and scale that dlt gives decimals.
    #[cfg(test)]
    pub(super) const EACH: [Self; 11] = [
        Self::Text,
        Self::Bigint,
        Self::Double,
        Self::Boolean,
        Self::Timestamp,
        Self::LocalTimestamp,
        Self::Date,
        Self::Time,
        Self::Binary,
        Self::Decimal(38, 9),
        Self::Json,
    ];

    /// The Arrow type in which values of this type travel.
    pub fn arrow(self) -> arrow_schema::DataType {
        match self {
            Self::Text | Self::Json => arrow_schema::DataType::Utf8,
            Self::Bigint => arrow_schema::DataType::Int64,
            Self::Double => arrow_schema::DataType::Float64,
            Self::Boolean => arrow_schema::DataType::Boolean,
            Self::Timestamp => arrow_schema::DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::LocalTimestamp => arrow_schema::DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Date => arrow_schema::DataType::Date32,
            Self::Time => arrow_schema::DataType::Time64(TimeUnit::Microsecond),
            Self::Binary => arrow_schema::DataType::Binary,
            Self::Decimal(precision, scale) => {
                arrow_schema::DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
            }
        }
    }

    /// The type of a column that nobody declared, from its Arrow type. `None` for a type that the contract does not have.
    pub fn of_arrow(arrow: &arrow_schema::DataType) -> Option<Self> {
        let plain = [
            Self::Text,
            Self::Bigint,
            Self::Double,
            Self::Boolean,
            Self::Timestamp,
            Self::LocalTimestamp,
            Self::Date,
            Self::Time,
            Self::Binary,
        ];
        match arrow {
            arrow_schema::DataType::Decimal128(precision, scale) => {
                Some(Self::Decimal(*precision, u8::try_from(*scale).ok()?))
            }
            _ => plain.into_iter().find(|data_type| data_type.arrow() == *arrow),
        }
    }

    /// Whether a column of this type can become one of the other type, with all values that are there: numbers of a type for
    /// more numbers. Of whole numbers beyond 2^53 a double keeps the first digits, as it does of every number.
    pub fn widens_to(self, wider: Self) -> bool {
        /// What the longest bigint needs.
        const BIGINT_DIGITS: u8 = 19;
        let whole_digits = |precision: u8, scale: u8| precision.saturating_sub(scale);
        match (self, wider) {
            (Self::Bigint, Self::Double) => true,
            (Self::Bigint, Self::Decimal(precision, scale)) => whole_digits(precision, scale) >= BIGINT_DIGITS,
            (Self::Decimal(precision, scale), Self::Decimal(to_precision, to_scale)) => {
                self != wider
                    && to_scale >= scale
                    && whole_digits(to_precision, to_scale) >= whole_digits(precision, scale)
            }
            _ => false,
        }
    }
}

/// A table's name in parts, as a driver wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The catalog, where a name needs one.
    pub catalog: Option<String>,
    /// The schema, where the database has such.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
}

/// Tables of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables<'d> {
    /// Those that a run makes visible.
    Final(&'d str),
    /// Those in which its rows wait until then.
    Staged(&'d str),
}

impl<'d> From<&'d str> for Tables<'d> {
    fn from(dataset: &'d str) -> Self {
        Self::Final(dataset)
    }
}

impl<'d> From<&'d String> for Tables<'d> {
    fn from(dataset: &'d String) -> Self {
        Self::Final(dataset)
    }
}

/// What the schema of staging tables is called beyond the dataset's own name.
pub const STAGING: &str = "_staging";

/// How often ids come in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Each once, such as those of rows.
    Once,
    /// Some of them many times, such as those of parents and of loads.
    Often,
}

/// One database's way of saying things. Statements that all of them understand (`CREATE TABLE`, `INSERT … SELECT`,
/// `DELETE … WHERE … IN`, `UPDATE … RETURNING`, parameters as `$1`, numbered in the order in which they stand) are written once,
/// in [`crate::load`].
pub trait Dialect: Send + Sync {
    /// The database's name, for messages.
    fn database(&self) -> &'static str;

    /// The database's words for the types but decimals, as its catalog writes them. Of several for one type the first is the one of
    /// `CREATE TABLE`.
    fn words(&self) -> &'static [(DataType, &'static str)];

    /// What stands before the precision and the scale of a decimal.
    fn decimal_word(&self) -> &'static str;

    /// The type of a column in `CREATE TABLE`.
    fn column_type(&self, data_type: DataType) -> String {
        if let DataType::Decimal(precision, scale) = data_type {
            return format!("{}({precision},{scale})", self.decimal_word());
        }
        let word = self.words().iter().find(|(of, _)| *of == data_type).map(|(_, word)| *word);
        word.unwrap_or_default().to_owned()
    }

    /// The type of a column of a staging table, into which a driver writes.
    fn staging_type(&self, data_type: DataType) -> String {
        self.column_type(data_type)
    }

    /// The reverse of [`Self::column_type`] and [`Self::staging_type`], for a type as the database's catalog writes it. `None` for
    /// every other type.
    fn data_type(&self, declared: &str) -> Option<DataType> {
        if let Some((data_type, _)) = self.words().iter().find(|(_, word)| *word == declared) {
            return Some(*data_type);
        }
        let digits = declared.strip_prefix(self.decimal_word())?.strip_prefix('(')?.strip_suffix(')')?;
        let (precision, scale) = digits.split_once(',')?;
        Some(DataType::Decimal(precision.parse().ok()?, scale.parse().ok()?))
    }

    /// The Arrow type in which the driver takes values of an Arrow type of [`DataType::arrow`].
    fn travels_as(&self, arrow: &arrow_schema::DataType) -> arrow_schema::DataType {
        arrow.clone()
    }

    /// Statements that give a column of a table another type, as [`Self::column_type`] and [`Self::staging_type`] write it, and convert its values. Names come quoted.
    fn change_type(&self, table: &str, column: &str, column_type: &str) -> Vec<String> {
        vec![format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {column_type}")]
    }

    /// Where a table of a schema is. `catalog` is that of the session.
    fn place(&self, catalog: &str, schema: &str, table: &str) -> Place;

    /// A statement that creates a schema where it is missing. `None` where the database has none.
    fn create_schema(&self, catalog: &str, schema: &str) -> Option<String>;

    /// What the names of staging tables begin with, where they stand in the schema of the final ones. `None` where they have one of
    /// their own.
    fn staging_prefix(&self) -> Option<&'static str> {
        None
    }

    /// A query that tells of each table of a schema that has nothing but rows and columns: it is no loss when the staging table takes its
    /// place, which then stands in the same schema. Text parameter `$1` (schema); one text column, the table's name. `None` where that is never so: grants would be lost.
    fn plain_tables_query(&self) -> Option<&'static str> {
        None
    }

    /// The present instant, as a value of [`DataType::Timestamp`].
    fn now(&self) -> &'static str {
        "CURRENT_TIMESTAMP"
    }

    /// A query for the columns of all tables of a schema: text parameter `$1` (schema); text columns table name, column name,
    /// declared type, and a boolean or a number that is not 0, whether the column may be null; in the tables' column order.
    fn columns_query(&self) -> &'static str;

    /// The bytes that an identifier may have; the database cuts off what is beyond.
    fn longest_identifier(&self) -> Option<usize> {
        None
    }

    /// Whether names that differ in the case of letters alone are one name.
    fn ignores_case(&self) -> bool {
        false
    }

    /// Whether a character cannot be stored in text; a JSON document cannot have its escape either.
    fn refuses_character(&self, _character: char) -> bool {
        false
    }

    /// A statement that lets the database's own buffers hold what writing so many columns needs. `None` where it decides itself.
    fn make_room(&self, _columns: usize) -> Option<String> {
        None
    }

    /// What follows the type of a column of ids, where the database would try for long how best to keep them.
    fn storage(&self, _ids: Ids) -> &'static str {
        ""
    }

    /// Whether rows are better written as they come, in a transaction that stays open until they are committed. It must keep nobody else
    /// from reading or writing.
    fn writes_ahead(&self) -> bool {
        false
    }

    /// Whether a statement failed since another transaction changed a row that it was to change.
    fn is_conflict(&self, _message: &str) -> bool {
        false
    }

    /// Keeps other runs of a pipeline out, as long as the session lasts.
    ///
    /// # Errors
    /// [`crate::Class::Destination`] that names the one that holds it.
    fn hold(&self, _session: &mut Session, _dataset: &str, _pipeline: &str) -> Result<()> {
        Ok(())
    }

    /// Keeps other pipelines out of a dataset until the transaction ends.
    ///
    /// # Errors
    /// [`crate::Class::Destination`].
    fn hold_dataset(&self, _session: &mut Session, _dataset: &str) -> Result<()> {
        Ok(())
    }

    /// An identifier, quoted: whatever it contains, it stays one identifier.
    fn quote(&self, identifier: &str) -> String {
        format!("\"{}\"", identifier.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrow_types_lead_back_to_the_data_type() {
        for data_type in DataType::EACH.into_iter().filter(|data_type| *data_type != DataType::Json) {
            assert_eq!(DataType::of_arrow(&data_type.arrow()), Some(data_type));
        }
        // JSON travels as text: only a declaration tells them apart.
        assert_eq!(DataType::of_arrow(&DataType::Json.arrow()), Some(DataType::Text));
        assert_eq!(DataType::of_arrow(&arrow_schema::DataType::Int32), None);
        assert_eq!(DataType::of_arrow(&arrow_schema::DataType::Decimal128(5, -2)), None);
    }

    #[test]
    fn a_wider_type_holds_all_values_of_the_narrower() {
        use DataType::{Bigint, Boolean, Date, Decimal, Double, LocalTimestamp, Text};
        for (narrow, wide) in
            [(Bigint, Double), (Bigint, Decimal(38, 0)), (Bigint, Decimal(28, 9)), (Decimal(10, 2), Decimal(12, 4))]
        {
            assert!(narrow.widens_to(wide) && !wide.widens_to(narrow), "{narrow:?} {wide:?}");
            assert!(!wide.widens_to(wide), "{wide:?}");
        }
        for (from, to) in [
            (Bigint, Decimal(18, 0)),
            (Bigint, Decimal(27, 9)),
            (Decimal(10, 2), Decimal(11, 4)),
            (Decimal(10, 2), Decimal(20, 1)),
            (Boolean, Bigint),
            (Bigint, Text),
            (Double, Text),
            (Date, LocalTimestamp),
        ] {
            assert!(!from.widens_to(to), "{from:?} {to:?}");
        }
    }
}
