//! A table under construction: rows go in cell by cell, an Arrow record batch comes out.

use super::cell::Cell;
use super::cell::Scalar;
use super::hints::Hint;
use super::schema::{Column, DataType, Table};
use crate::error::{Error, Kind, Result};
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Builds the rows of one table.
pub struct TableBuilder {
    /// Its name.
    pub name: String,
    /// What is known of it, the columns of this batch included.
    pub table: Table,
    builders: Vec<Builder>,
    index: BTreeMap<String, usize>,
    /// The key that last wrote each column, to name both where two keys meet in one column.
    keys: Vec<String>,
    /// Finished rows.
    rows: usize,
    /// How many columns the host has been told of.
    announced: usize,
    /// Resources whose hints it has.
    declared: Vec<String>,
    /// Columns that every row must have.
    required: Vec<String>,
}

/// Rows of one table, ready to be handed over.
pub struct TableRows {
    /// The table.
    pub table: String,
    /// The resource that the rows belong to.
    pub resource: String,
    /// The table that it is a child of.
    pub parent: Option<String>,
    /// The rows; columns without a value in them are absent.
    pub rows: RecordBatch,
    /// Columns that the table did not have before.
    pub new_columns: Vec<Column>,
}

impl TableBuilder {
    /// Begins with what is known of the table.
    pub fn new(name: String, table: Table) -> Self {
        let builders = table.columns.iter().map(|column| Builder::new(column.data_type)).collect();
        let index = table.columns.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect();
        let keys = vec![String::new(); table.columns.len()];
        let announced = table.columns.len();
        Self { name, table, builders, index, keys, rows: 0, announced, declared: Vec::new(), required: Vec::new() }
    }

    /// How many rows are finished.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether it has columns that the host was not told of.
    pub fn has_news(&self) -> bool {
        self.announced < self.table.columns.len()
    }

    /// Takes what a resource says of the columns. A type that is not the one that a column has fails.
    pub fn declare(&mut self, resource: &str, hints: &[Hint]) -> Result<()> {
        if self.declared.iter().any(|declared| declared == resource) {
            return Ok(());
        }
        self.declared.push(resource.to_owned());
        for hint in hints {
            if !hint.nullable && !self.required.contains(&hint.column) {
                self.required.push(hint.column.clone());
            }
            let Some(hinted) = hint.data_type else { continue };
            match self.index.get(&hint.column).and_then(|at| self.data_type(*at)) {
                None => drop(self.add(hint.column.clone(), hinted, hint.nullable)),
                Some(found) if found == hinted => {}
                Some(found) => {
                    let (column, table) = (&hint.column, &self.name);
                    let message = format!("the column `{column}` of `{table}` is {found}, and `columns` says {hinted}");
                    return Err(Error::new(Kind::Schema, message)
                        .advice("the type of a column does not change: give the table another name, or load it anew"));
                }
            }
        }
        Ok(())
    }

    /// Whether it has a JSON column of this name.
    pub fn keeps_json(&self, column: &str) -> bool {
        self.index.get(column).and_then(|at| self.data_type(*at)) == Some(DataType::Json)
    }

    /// Ends the row.
    pub fn end_row(&mut self) -> Result<()> {
        let has = |column: &String| {
            let builder = self.index.get(column).and_then(|at| self.builders.get(*at));
            builder.is_some_and(|builder| builder.len() > self.rows)
        };
        if let Some(column) = self.required.iter().find(|column| !has(column)) {
            let message = format!("a record has no value for `{column}` of `{}`, which is not nullable", self.name);
            return Err(Error::new(Kind::Schema, message)
                .advice("take `nullable: false` out of `columns`, or look at what the API gives"));
        }
        self.rows += 1;
        Ok(())
    }

    /// Sets a cell of the row under construction, in the column or, where its type does not fit, in its variant. `key` is the
    /// name that the value had in the record. Returns about how many bytes it takes.
    pub fn set(&mut self, column: &str, key: &str, value: Scalar<'_>, nullable: bool) -> Result<usize> {
        if let Some(at) = self.index.get(column).copied() {
            if let Some(cell) = self.data_type(at).and_then(|data_type| value.coerce(data_type)) {
                return self.append(at, key, cell);
            }
            let inferred = value.infer();
            let variant = format!("{column}__v_{}", inferred.name());
            let at = match self.index.get(&variant) {
                Some(at) => *at,
                None => self.add(variant, inferred, true),
            };
            let cell = self.data_type(at).and_then(|data_type| value.coerce(data_type));
            let cell = cell.ok_or_else(|| {
                Error::new(
                    Kind::Schema,
                    format!("a value fits neither the column `{column}` nor its variant in `{}`", self.name),
                )
            })?;
            return self.append(at, key, cell);
        }
        let inferred = value.infer();
        let nullable = nullable && !self.required.iter().any(|required| required == column);
        let at = self.add(column.to_owned(), inferred, nullable);
        match value.coerce(inferred) {
            Some(cell) => self.append(at, key, cell),
            None => Err(Error::new(Kind::Internal, format!("a value of `{column}` does not fit its own type"))),
        }
    }

    fn data_type(&self, at: usize) -> Option<DataType> {
        self.table.columns.get(at).map(|column| column.data_type)
    }

    fn add(&mut self, name: String, data_type: DataType, nullable: bool) -> usize {
        let at = self.builders.len();
        self.builders.push(Builder::new(data_type));
        self.keys.push(String::new());
        self.index.insert(name.clone(), at);
        self.table.columns.push(Column { name, data_type, nullable });
        at
    }

    fn append(&mut self, at: usize, key: &str, cell: Cell<'_>) -> Result<usize> {
        let (Some(builder), Some(last)) = (self.builders.get_mut(at), self.keys.get_mut(at)) else {
            return Err(Error::new(Kind::Internal, "a column has no builder"));
        };
        if builder.len() > self.rows {
            let column = self.table.columns.get(at).map_or("", |column| column.name.as_str());
            let message = format!(
                "the keys `{last}` and `{key}` of one record both become the column `{column}` of `{}`",
                self.name
            );
            return Err(Error::new(Kind::Schema, message));
        }
        builder.pad(self.rows);
        if last != key {
            key.clone_into(last);
        }
        Ok(builder.append(cell))
    }

    /// Takes the finished rows.
    pub fn take(&mut self) -> Result<TableRows> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (builder, column) in self.builders.iter_mut().zip(&self.table.columns) {
            if builder.len() == 0 {
                continue;
            }
            builder.pad(self.rows);
            let array = builder.finish(column.data_type);
            fields.push(Field::new(&column.name, array.data_type().clone(), column.nullable));
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|error| Error::new(Kind::Internal, format!("failed to build rows of `{}`: {error}", self.name)))?;
        self.rows = 0;
        let new_columns = self.table.columns.get(self.announced..).unwrap_or_default().to_vec();
        self.announced = self.table.columns.len();
        Ok(TableRows {
            table: self.name.clone(),
            resource: self.table.resource.clone(),
            parent: self.table.parent.clone(),
            rows,
            new_columns,
        })
    }
}

enum Builder {
    Text(StringBuilder),
    Bigint(Int64Builder),
    Double(Float64Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder),
}

/// The same call on the builder, whatever its type.
macro_rules! each {
    ($builder:expr, $inner:ident => $call:expr) => {
        match $builder {
            Builder::Text($inner) => $call,
            Builder::Bigint($inner) => $call,
            Builder::Double($inner) => $call,
            Builder::Boolean($inner) => $call,
            Builder::Timestamp($inner) => $call,
            Builder::Decimal($inner) => $call,
        }
    };
}

impl Builder {
    fn new(data_type: DataType) -> Self {
        match data_type {
            DataType::Text | DataType::Json => Self::Text(StringBuilder::new()),
            DataType::Bigint => Self::Bigint(Int64Builder::new()),
            DataType::Double => Self::Double(Float64Builder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            DataType::Decimal { .. } => Self::Decimal(Decimal128Builder::new()),
        }
    }

    fn len(&self) -> usize {
        each!(self, builder => builder.len())
    }

    /// Fills with nulls up to a length.
    fn pad(&mut self, rows: usize) {
        while self.len() < rows {
            each!(self, builder => builder.append_null());
        }
    }

    /// Appends a cell of the column's type. Returns about how many bytes it takes.
    fn append(&mut self, cell: Cell<'_>) -> usize {
        match (self, cell) {
            (Self::Text(builder), Cell::Text(text) | Cell::Json(text)) => {
                builder.append_value(&text);
                text.len() + 4
            }
            (Self::Bigint(builder), Cell::Bigint(value)) => {
                builder.append_value(value);
                8
            }
            (Self::Double(builder), Cell::Double(value)) => {
                builder.append_value(value);
                8
            }
            (Self::Boolean(builder), Cell::Boolean(value)) => {
                builder.append_value(value);
                1
            }
            (Self::Timestamp(builder), Cell::Timestamp(value)) => {
                builder.append_value(value);
                8
            }
            (Self::Decimal(builder), Cell::Decimal(value)) => {
                builder.append_value(value);
                16
            }
            // A cell is coerced to the type that the builder was made for.
            (builder, _) => {
                each!(builder, builder => builder.append_null());
                0
            }
        }
    }

    fn finish(&mut self, data_type: DataType) -> ArrayRef {
        match self {
            Self::Timestamp(builder) => Arc::new(builder.finish().with_timezone("UTC")),
            Self::Decimal(builder) => {
                let array = builder.finish();
                match data_type {
                    DataType::Decimal { precision, scale } => {
                        let typed = arrow_schema::DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(0));
                        Arc::new(array.with_data_type(typed))
                    }
                    _ => Arc::new(array),
                }
            }
            other => each!(other, builder => Arc::new(builder.finish())),
        }
    }
}
