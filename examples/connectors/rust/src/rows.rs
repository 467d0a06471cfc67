//! Rows in the forms that the contract has. It is the same for every connector.

use crate::bindings::exports::spile::connector::source::{Column, DataType, Encoding, Payload};
use crate::contract::failure;
use crate::{Error, ErrorKind};
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Field, Schema};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The columns of every root table besides its own: the run that brought a row, and what tells it apart.
pub const SYSTEM: [(&str, DataType); 2] = [("_dlt_load_id", DataType::Text), ("_dlt_id", DataType::Text)];

/// Of these columns those that the table does not have yet. They join those that are known.
pub fn new_columns(columns: &[(&str, DataType)], known: &mut Vec<String>) -> Vec<Column> {
    let mut added = Vec::new();
    for &(name, data_type) in columns {
        if !known.iter().any(|known| known == name) {
            known.push(name.to_owned());
            added.push(Column { name: name.to_owned(), data_type, nullable: is_nullable(name) });
        }
    }
    added
}

/// Rows of cells, each in the order of the columns, as the host wants them.
pub fn payload(columns: &[(&str, DataType)], rows: &[Vec<Value>], encoding: Encoding) -> Result<Payload, Error> {
    let convert = |(place, &(name, data_type)): (usize, &(&str, DataType))| {
        let cells = rows.iter().map(|row| row.get(place).unwrap_or(&Value::Null));
        let values = cells.map(|cell| {
            converted(cell, data_type).ok_or_else(|| {
                let what = format!("{data_type:?}").replace("DataType::", "").to_lowercase();
                failure(ErrorKind::Schema, format!("`{name}` is {cell}, which is no {what}"))
            })
        });
        values.collect()
    };
    let values: Vec<Vec<Value>> = columns.iter().enumerate().map(convert).collect::<Result<_, _>>()?;
    match encoding {
        Encoding::Ndjson => Ok(Payload::Ndjson(ndjson(columns, values, rows.len()))),
        Encoding::Arrow => arrow(columns, &values)
            .map(Payload::Arrow)
            .map_err(|error| failure(ErrorKind::Internal, format!("the rows cannot be written: {error}"))),
    }
}

fn is_nullable(name: &str) -> bool {
    SYSTEM.iter().all(|(system, _)| *system != name)
}

/// A whole number of a cell: APIs write large ones as texts, for readers whose numbers are too short.
pub fn bigint(cell: &Value) -> Option<i64> {
    cell.as_i64().or_else(|| cell.as_str()?.parse().ok())
}

/// A cell as a value of a column: a text, a number (of a timestamp its microseconds since 1970), a boolean, or null. None
/// where it cannot be one.
fn converted(cell: &Value, data_type: DataType) -> Option<Value> {
    Some(match (data_type, cell) {
        (_, Value::Null) => Value::Null,
        (DataType::Text, Value::String(_)) | (DataType::Boolean, Value::Bool(_)) => cell.clone(),
        (DataType::Text | DataType::Json, _) => cell.to_string().into(),
        (DataType::Bigint, _) => bigint(cell)?.into(),
        (DataType::Double, Value::String(text)) => text.parse::<f64>().ok().filter(|number| number.is_finite())?.into(),
        (DataType::Double, _) => cell.as_f64()?.into(),
        (DataType::Timestamp, _) => cell.as_str()?.parse::<Timestamp>().ok()?.as_microsecond().into(),
        _ => return None,
    })
}

/// An Arrow IPC stream of one record batch.
fn arrow(columns: &[(&str, DataType)], values: &[Vec<Value>]) -> Result<Vec<u8>, ArrowError> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (&(name, data_type), values) in columns.iter().zip(values) {
        let values = values.iter();
        let array: ArrayRef = match data_type {
            DataType::Bigint => Arc::new(values.map(Value::as_i64).collect::<Int64Array>()),
            DataType::Double => Arc::new(values.map(Value::as_f64).collect::<Float64Array>()),
            DataType::Boolean => Arc::new(values.map(Value::as_bool).collect::<BooleanArray>()),
            DataType::Timestamp => {
                Arc::new(values.map(Value::as_i64).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
            _ => Arc::new(values.map(Value::as_str).collect::<StringArray>()),
        };
        fields.push(Field::new(name, array.data_type().clone(), is_nullable(name)));
        arrays.push(array);
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema())?;
    writer.write(&rows)?;
    writer.into_inner()
}

/// One JSON object a line, without nulls.
fn ndjson(columns: &[(&str, DataType)], values: Vec<Vec<Value>>, rows: usize) -> String {
    let mut lines = vec![Map::new(); rows];
    for (&(name, data_type), values) in columns.iter().zip(values) {
        for (line, value) in lines.iter_mut().zip(values).filter(|(_, value)| !value.is_null()) {
            let instant = value.as_i64().filter(|_| matches!(data_type, DataType::Timestamp));
            let instant = instant.and_then(|microseconds| Timestamp::from_microsecond(microseconds).ok());
            line.insert(name.to_owned(), instant.map_or(value, |instant| instant.to_string().into()));
        }
    }
    lines.into_iter().map(|line| format!("{}\n", Value::Object(line))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use arrow_ipc::reader::StreamReader;
    use serde_json::json;

    const COLUMNS: [(&str, DataType); 6] = [
        ("number", DataType::Bigint),
        ("text", DataType::Text),
        ("at", DataType::Timestamp),
        ("share", DataType::Double),
        ("is_open", DataType::Boolean),
        ("more", DataType::Json),
    ];

    #[test]
    fn rows_have_both_forms() {
        let rows = [
            vec![json!("9007199254740993"), json!("№"), json!("2026-01-01T01:00:00.5+01:00"), json!(0.1), json!(true)],
            vec![json!(-3), json!(12), Value::Null, json!("2.5"), Value::Null, json!({ "b": 1, "a": [null] })],
        ];
        let Payload::Ndjson(lines) = payload(&COLUMNS, &rows, Encoding::Ndjson).unwrap() else { panic!() };
        assert_eq!(
            lines,
            "{\"number\":9007199254740993,\"text\":\"№\",\"at\":\"2026-01-01T00:00:00.5Z\",\"share\":0.1,\"is_open\":true}\n\
             {\"number\":-3,\"text\":\"12\",\"share\":2.5,\"more\":\"{\\\"b\\\":1,\\\"a\\\":[null]}\"}\n"
        );
        let Payload::Arrow(bytes) = payload(&COLUMNS, &rows, Encoding::Arrow).unwrap() else { panic!() };
        let batches: Vec<_> = StreamReader::try_new(bytes.as_slice(), None).unwrap().map(Result::unwrap).collect();
        let [batch] = batches.as_slice() else { panic!() };
        assert_eq!(batch.num_rows(), 2);
        let nulls: Vec<_> = batch.columns().iter().map(|column| column.null_count()).collect();
        assert_eq!(nulls, [0, 0, 1, 0, 1, 1]);
    }

    #[test]
    fn what_does_not_fit_its_column_is_told() {
        for (column, cell) in [
            (("n", DataType::Bigint), json!(1.5)),
            (("n", DataType::Bigint), json!("9223372036854775808")),
            (("n", DataType::Double), json!("much")),
            (("n", DataType::Double), json!("inf")),
            (("n", DataType::Boolean), json!(1)),
            (("n", DataType::Timestamp), json!("2026-01-01T00:00:00")),
            (("n", DataType::Date), json!("2026-01-01")),
        ] {
            let error = payload(&[column], &[vec![cell.clone()]], Encoding::Arrow).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Schema);
            assert!(error.message.starts_with(&format!("`n` is {cell}, which is no ")), "{}", error.message);
        }
    }

    #[test]
    fn a_column_is_new_once() {
        let mut known = vec!["text".to_owned()];
        assert_eq!(new_columns(&COLUMNS, &mut known).len(), 5);
        assert_eq!(new_columns(&COLUMNS, &mut known).len(), 0);
        assert!(new_columns(&SYSTEM, &mut known).iter().all(|column| !column.nullable));
    }
}
