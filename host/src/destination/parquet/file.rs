//! One Parquet file.

use std::{fs::File, io, path::Path, sync::Arc};

use arrow_array::RecordBatch;
use arrow_schema::{
    Field, Schema, SchemaRef,
    extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY},
};
use parquet::{
    arrow::{ArrowSchemaConverter, ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, LogicalType, Repetition, Type as PhysicalType, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
    schema::types::{SchemaDescriptor, Type},
};

use super::failed;
use crate::{
    destination::DataType,
    error::{Class, Error, Result},
};

/// The most rows of a row group: what writers and readers hold in memory at once. As DuckDB has it.
const ROW_GROUP: usize = 122_880;

/// Arrow's name for JSON documents as text.
const JSON: &str = "arrow.json";

/// The columns of a file. All may be null: a reader that brings files with different columns together fills them with nulls
/// anyway.
pub(crate) fn schema<'c>(columns: impl IntoIterator<Item = (&'c str, DataType)>) -> SchemaRef {
    let field = |(name, data_type): (&str, DataType)| {
        let field = Field::new(name, data_type.arrow(), true);
        match data_type {
            DataType::Json => field.with_metadata([(EXTENSION_TYPE_NAME_KEY, JSON), (EXTENSION_TYPE_METADATA_KEY, "")]),
            _ => field,
        }
    };
    Arc::new(Schema::new(columns.into_iter().map(field).collect::<Vec<_>>()))
}

/// The same in Parquet's words. The crate knows JSON only with a feature that turns on much else.
fn in_parquet(schema: &Schema) -> Result<SchemaDescriptor, ParquetError> {
    let plain = ArrowSchemaConverter::new().convert(schema)?;
    let fields = plain.root_schema().get_fields().iter().zip(schema.fields()).map(|(plain, field)| {
        if field.metadata().get(EXTENSION_TYPE_NAME_KEY).is_none_or(|name| name != JSON) {
            return Ok(Arc::clone(plain));
        }
        let json = Type::primitive_type_builder(field.name(), PhysicalType::BYTE_ARRAY)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::Json));
        json.build().map(Arc::new)
    });
    let fields = fields.collect::<Result<_, _>>()?;
    let root = Type::group_type_builder(plain.root_schema().name()).with_fields(fields).build()?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

/// Writes rows to a file, durably. A file that is there is overwritten.
pub(super) fn write(path: &Path, schema: &SchemaRef, rows: &[RecordBatch]) -> Result<()> {
    let refused = |error: &io::Error| failed("a file cannot be written", path, error);
    let explain = |error: ParquetError| match error {
        ParquetError::External(error) if error.is::<io::Error>() => match error.downcast::<io::Error>() {
            Ok(error) => refused(&error),
            Err(error) => Error::new(Class::Destination, error.to_string()),
        },
        error => {
            Error::new(Class::Internal, format!("the rows cannot be written: {error}")).fact("file", path.display())
        }
    };
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build();
    let options =
        ArrowWriterOptions::new().with_properties(properties).with_parquet_schema(in_parquet(schema).map_err(explain)?);
    let file = File::create(path).map_err(|error| refused(&error))?;
    let mut writer = ArrowWriter::try_new_with_options(file, Arc::clone(schema), options).map_err(explain)?;
    rows.iter().try_for_each(|rows| writer.write(rows)).map_err(explain)?;
    writer.finish().map_err(explain)?;
    writer.inner().sync_all().map_err(|error| refused(&error))
}
