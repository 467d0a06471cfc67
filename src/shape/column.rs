//! A column under construction: values go in one by one, an Arrow array comes out. What was put in last can be taken out again.

use super::cell::{Cell, Fit, Scalar};
use super::changes::Entry;
use super::schema::DataType;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use std::sync::Arc;

/// Builds one column of a batch.
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether a row may lack it.
    pub nullable: bool,
    /// The place of the key that it belongs to alone, where each spelling has its own column.
    pub key: Option<String>,
    /// Whether the configuration says its type, so that conversions to it were asked for.
    pub is_hinted: bool,
    /// Where the report counts its values that were coerced, and those that went to its variant.
    pub entries: [Option<Entry>; 2],
    values: Values,
    validity: NullBufferBuilder,
}

enum Values {
    Bytes { offsets: Vec<i32>, bytes: Vec<u8> },
    Bigint(Vec<i64>),
    Double(Vec<f64>),
    Boolean(BooleanBufferBuilder),
    Decimal(Vec<i128>),
    Date(Vec<i32>),
}

impl Values {
    fn new(data_type: DataType) -> Self {
        match data_type {
            DataType::Text | DataType::Json | DataType::Binary => Self::Bytes { offsets: vec![0], bytes: Vec::new() },
            DataType::Bigint | DataType::Timestamp | DataType::LocalTimestamp | DataType::Time => {
                Self::Bigint(Vec::new())
            }
            DataType::Double => Self::Double(Vec::new()),
            DataType::Boolean => Self::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Decimal { .. } => Self::Decimal(Vec::new()),
            DataType::Date => Self::Date(Vec::new()),
        }
    }
}

impl Column {
    /// An empty column.
    pub fn new(name: String, data_type: DataType, nullable: bool) -> Self {
        Self {
            name,
            data_type,
            nullable,
            key: None,
            is_hinted: false,
            entries: [None; 2],
            values: Values::new(data_type),
            validity: NullBufferBuilder::new(0),
        }
    }

    /// Up to which row it is filled.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.validity.len()
    }

    /// Whether this batch has no value in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a value into a row, those before it that have none being null. None, and nothing done, where it does not fit the
    /// type. Returns about how many bytes it takes too.
    #[inline(always)]
    pub fn put(&mut self, row: usize, value: Scalar<'_>) -> Option<(Fit, usize)> {
        // What comes most goes the shortest way.
        match (&value, self.data_type) {
            (Scalar::Text(text), DataType::Text) => {
                self.pad(row);
                let Values::Bytes { offsets, bytes } = &mut self.values else { return None };
                bytes.extend_from_slice(text.as_bytes());
                offsets.push(i32::try_from(bytes.len()).ok()?);
                self.validity.append_non_null();
                return Some((Fit::AsIs, text.len() + 4));
            }
            (Scalar::Number(number), DataType::Bigint) => {
                if let Ok(number) = number.parse::<i64>() {
                    self.pad(row);
                    let Values::Bigint(values) = &mut self.values else { return None };
                    values.push(number);
                    self.validity.append_non_null();
                    return Some((Fit::AsIs, 8));
                }
            }
            _ => {}
        }
        let (cell, fit) = value.coerce(self.data_type)?;
        self.pad(row);
        Some((fit, self.push(cell)))
    }

    /// Puts a text, which is UTF-8, into a row of a text column.
    pub fn put_bytes(&mut self, row: usize, text: &[u8]) {
        self.pad(row);
        if let Values::Bytes { offsets, bytes } = &mut self.values {
            append(offsets, bytes, text);
            self.validity.append_non_null();
        }
    }

    /// Puts a number into a row of a bigint column.
    pub fn put_bigint(&mut self, row: usize, value: i64) {
        self.pad(row);
        self.push(Cell::Bigint(value));
    }

    fn push(&mut self, cell: Cell<'_>) -> usize {
        self.validity.append_non_null();
        match (&mut self.values, cell) {
            (Values::Bytes { offsets, bytes }, Cell::Text(text)) => append(offsets, bytes, text.as_bytes()),
            (Values::Bytes { offsets, bytes }, Cell::Binary(value)) => append(offsets, bytes, &value),
            (Values::Bigint(values), Cell::Bigint(value)) => {
                values.push(value);
                8
            }
            (Values::Double(values), Cell::Double(value)) => {
                values.push(value);
                8
            }
            (Values::Boolean(values), Cell::Boolean(value)) => {
                values.append(value);
                1
            }
            (Values::Decimal(values), Cell::Decimal(value)) => {
                values.push(value);
                16
            }
            (Values::Date(values), Cell::Date(value)) => {
                values.push(value);
                4
            }
            // A cell is coerced to the type that the values are of.
            (values, _) => {
                values.pad(1);
                0
            }
        }
    }

    /// Fills with nulls up to a row.
    #[inline(always)]
    fn pad(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len());
        if missing > 0 {
            self.validity.append_n_nulls(missing);
            self.values.pad(missing);
        }
    }

    /// Takes out all that is beyond a row.
    pub fn truncate(&mut self, rows: usize) {
        if rows >= self.len() {
            return;
        }
        self.validity.truncate(rows);
        match &mut self.values {
            Values::Bytes { offsets, bytes } => {
                offsets.truncate(rows + 1);
                let end = offsets.last().copied().unwrap_or(0);
                bytes.truncate(usize::try_from(end).unwrap_or(0));
            }
            Values::Bigint(values) => values.truncate(rows),
            Values::Double(values) => values.truncate(rows),
            Values::Boolean(values) => values.truncate(rows),
            Values::Decimal(values) => values.truncate(rows),
            Values::Date(values) => values.truncate(rows),
        }
    }

    /// Makes doubles of whole numbers.
    pub fn widen(&mut self) {
        if let Values::Bigint(values) = &self.values {
            self.values = Values::Double(values.iter().map(|value| *value as f64).collect());
            self.data_type = DataType::Double;
        }
    }

    /// Takes the values of so many rows.
    pub fn finish(&mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        let nulls = self.validity.finish();
        let values = std::mem::replace(&mut self.values, Values::new(self.data_type));
        match (values, self.data_type) {
            (Values::Bytes { offsets, bytes }, DataType::Binary) => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(BinaryArray::new(offsets, Buffer::from_vec(bytes), nulls))
            }
            (Values::Bytes { offsets, bytes }, _) => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(StringArray::new(offsets, Buffer::from_vec(bytes), nulls))
            }
            (Values::Bigint(values), DataType::Timestamp) => {
                Arc::new(PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), nulls).with_timezone("UTC"))
            }
            (Values::Bigint(values), DataType::LocalTimestamp) => {
                Arc::new(PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), nulls))
            }
            (Values::Bigint(values), DataType::Time) => primitive::<Time64MicrosecondType>(values, nulls),
            (Values::Bigint(values), _) => primitive::<Int64Type>(values, nulls),
            (Values::Double(values), _) => primitive::<Float64Type>(values, nulls),
            (Values::Boolean(mut values), _) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            (Values::Date(values), _) => primitive::<Date32Type>(values, nulls),
            (Values::Decimal(values), data_type) => {
                let array = PrimitiveArray::<Decimal128Type>::new(values.into(), nulls);
                match data_type {
                    DataType::Decimal { precision, scale } => {
                        let typed = arrow_schema::DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(0));
                        Arc::new(array.with_data_type(typed))
                    }
                    _ => Arc::new(array),
                }
            }
        }
    }
}

/// Adds a value of any length: about how many bytes it takes.
fn append(offsets: &mut Vec<i32>, bytes: &mut Vec<u8>, value: &[u8]) -> usize {
    bytes.extend_from_slice(value);
    offsets.push(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    value.len() + size_of::<i32>()
}

fn primitive<T: arrow_array::ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
}

impl Values {
    /// Adds values that stand for nothing.
    fn pad(&mut self, count: usize) {
        match self {
            Self::Bytes { offsets, .. } => {
                let end = offsets.last().copied().unwrap_or(0);
                offsets.resize(offsets.len() + count, end);
            }
            Self::Bigint(values) => values.resize(values.len() + count, 0),
            Self::Double(values) => values.resize(values.len() + count, 0.0),
            Self::Boolean(values) => values.append_n(count, false),
            Self::Decimal(values) => values.resize(values.len() + count, 0),
            Self::Date(values) => values.resize(values.len() + count, 0),
        }
    }
}
