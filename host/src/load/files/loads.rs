//! The rows of `_dlt_loads`.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use jiff::Timestamp;

use crate::{
    destination::parquet::schema,
    error::{Class, Error, Result},
    load::{DataType, publish::version_hash},
};

/// Notes a load, as dlt does.
pub(super) fn row(load_id: &str, pipeline: &str, connector_schema: Option<&str>) -> Result<RecordBatch> {
    let text = |text: Option<&str>| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let now = TimestampMicrosecondArray::from(vec![Timestamp::now().as_microsecond()]).with_timezone("UTC");
    let columns: Vec<(&str, DataType, ArrayRef)> = vec![
        ("load_id", DataType::Text, text(Some(load_id))),
        ("schema_name", DataType::Text, text(Some(pipeline))),
        ("status", DataType::Bigint, Arc::new(Int64Array::from(vec![0]))),
        ("inserted_at", DataType::Timestamp, Arc::new(now)),
        ("schema_version_hash", DataType::Text, text(connector_schema.map(version_hash).as_deref())),
    ];
    let schema = schema(columns.iter().map(|(name, data_type, _)| (*name, *data_type)));
    let values = columns.into_iter().map(|(_, _, values)| values).collect();
    RecordBatch::try_new(schema, values)
        .map_err(|error| Error::new(Class::Internal, format!("what is noted of a load: {error}")))
}
