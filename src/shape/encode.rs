//! The two forms in which rows leave the connector.

use super::timestamp;
use crate::error::{Error, Kind, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::DataType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

/// An Arrow IPC stream: one schema and one record batch.
pub fn arrow(rows: &RecordBatch) -> Result<Vec<u8>> {
    let stream = || {
        let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema())?;
        writer.write(rows)?;
        writer.into_inner()
    };
    stream().map_err(|error| Error::new(Kind::Internal, format!("failed to encode rows: {error}")))
}

/// One JSON object a line; nulls are left out, timestamps are RFC 3339 in UTC, dates and times ISO 8601, bytes base64, decimals
/// numbers.
pub fn ndjson(rows: &RecordBatch) -> Result<String> {
    let schema = rows.schema();
    let mut text = String::new();
    for row in 0..rows.num_rows() {
        text.push('{');
        let mut first = true;
        for (field, column) in schema.fields().iter().zip(rows.columns()) {
            if column.is_null(row) {
                continue;
            }
            if !first {
                text.push(',');
            }
            first = false;
            quote(&mut text, field.name())?;
            text.push(':');
            value(&mut text, column, row)?;
        }
        text.push_str("}\n");
    }
    Ok(text)
}

fn value(text: &mut String, column: &dyn Array, row: usize) -> Result<()> {
    let written = match column.data_type() {
        DataType::Utf8 => return quote(text, column.as_string::<i32>().value(row)),
        DataType::Int64 => write!(text, "{}", column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => write!(text, "{}", serde_json::json!(column.as_primitive::<Float64Type>().value(row))),
        DataType::Boolean => write!(text, "{}", column.as_boolean().value(row)),
        DataType::Decimal128(..) => write!(text, "{}", column.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Timestamp(_, zone) => {
            let instant = timestamp::in_utc(column.as_primitive::<TimestampMicrosecondType>().value(row));
            let zone = if zone.is_some() { "Z" } else { "" };
            write!(text, "\"{}{zone}\"", instant.ok_or_else(out_of_range)?)
        }
        DataType::Date32 => {
            let days = i64::from(column.as_primitive::<Date32Type>().value(row));
            write!(text, "\"{}\"", timestamp::in_utc(days * 86_400_000_000).ok_or_else(out_of_range)?.date())
        }
        DataType::Time64(_) => {
            let micros = column.as_primitive::<Time64MicrosecondType>().value(row);
            write!(text, "\"{}\"", timestamp::in_utc(micros).ok_or_else(out_of_range)?.time())
        }
        DataType::Binary => write!(text, "\"{}\"", STANDARD.encode(column.as_binary::<i32>().value(row))),
        other => return Err(Error::new(Kind::Internal, format!("no JSON form for {other}"))),
    };
    written.map_err(|error| Error::new(Kind::Internal, error.to_string()))
}

/// Instants are checked where they are read.
fn out_of_range() -> Error {
    Error::new(Kind::Internal, "an instant has no year of four digits")
}

fn quote(text: &mut String, value: &str) -> Result<()> {
    let quoted = serde_json::to_string(value).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    text.push_str(&quoted);
    Ok(())
}
