//! What differs between databases.

use arrow_schema::TimeUnit;

/// The type of a column, as the contract names it (`data-type` in `wit/connector.wit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// One database's way of saying things. Statements that all of them understand (`CREATE TABLE`, `INSERT … SELECT`,
/// `DELETE … WHERE EXISTS`, `UPDATE … RETURNING`, parameters as `$1`) are written once, in [`crate::load`].
pub trait Dialect: Send + Sync {
    /// The database's name, for messages.
    fn database(&self) -> &'static str;

    /// The type of a column in `CREATE TABLE`.
    fn column_type(&self, data_type: DataType) -> String;

    /// The reverse of [`Self::column_type`], for a type as the database's catalog writes it. `None` for every other type.
    fn data_type(&self, declared: &str) -> Option<DataType>;

    /// Gives a column of a table another type, and converts its values. Names come quoted.
    fn change_type(&self, table: &str, column: &str, data_type: DataType) -> String {
        format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {}", self.column_type(data_type))
    }

    /// A query for the columns of all tables of a schema: text parameters `$1` (catalog) and `$2` (schema); text columns
    /// table name, column name, declared type, and a boolean, whether the column may be null; in the tables' column order.
    fn columns_query(&self) -> &'static str;

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
        for data_type in [
            DataType::Text,
            DataType::Bigint,
            DataType::Double,
            DataType::Boolean,
            DataType::Timestamp,
            DataType::LocalTimestamp,
            DataType::Date,
            DataType::Time,
            DataType::Binary,
            DataType::Decimal(38, 9),
        ] {
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
