//! Tables as Arrow builders.

use arrow_array::RecordBatch;
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};

/// Rows of a table.
pub struct Rows {
    pub table: &'static str,
    pub batch: RecordBatch,
}

/// The tables of one kind of records.
pub trait Tables: Default {
    /// Adds the records of a page: how many there are.
    fn add(&mut self, page: &[u8]) -> Result<usize, sonic_rs::Error>;

    /// The rows since the last time, the root table first.
    fn take(&mut self) -> Vec<Rows>;
}

/// A kind of column.
pub trait Column: ArrayBuilder {
    fn column() -> Self;
}

macro_rules! columns {
    ($($builder:ident),*) => {
        $(impl Column for $builder {
            fn column() -> Self {
                Self::new()
            }
        })*
    };
}

columns!(BooleanBuilder, Float64Builder, Int64Builder, StringBuilder);

impl Column for TimestampMicrosecondBuilder {
    fn column() -> Self {
        Self::new().with_timezone("UTC")
    }
}

/// A table: a builder for each column.
macro_rules! table {
    ($name:ident, $table:literal, $($column:ident: $builder:ident),* $(,)?) => {
        struct $name {
            $($column: arrow_array::builder::$builder,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($column: $crate::columns::Column::column(),)* }
            }
        }

        impl $name {
            /// The rows since the last time.
            fn take(&mut self) -> $crate::columns::Rows {
                let columns = [$((
                    stringify!($column),
                    arrow_array::builder::ArrayBuilder::finish(&mut self.$column),
                    true,
                ),)*];
                $crate::columns::Rows {
                    table: $table,
                    batch: arrow_array::RecordBatch::try_from_iter_with_nullable(columns).unwrap(),
                }
            }
        }
    };
}
pub(crate) use table;
