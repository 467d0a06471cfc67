//! From the connector's types to those of the loader.

use crate::{load, sandbox};

/// How rows meet those that are there, as the loader has it.
pub(super) fn write_disposition(of: &sandbox::WriteDisposition) -> load::WriteDisposition {
    let merge = match of {
        sandbox::WriteDisposition::Append => return load::WriteDisposition::Append,
        sandbox::WriteDisposition::Replace => return load::WriteDisposition::Replace,
        sandbox::WriteDisposition::Merge(merge) => merge,
    };
    load::WriteDisposition::Merge(load::Merge {
        strategy: match &merge.strategy {
            sandbox::MergeStrategy::DeleteInsert(merge_key) => {
                load::Strategy::DeleteInsert { merge_key: merge_key.clone() }
            }
            sandbox::MergeStrategy::Upsert => load::Strategy::Upsert,
            sandbox::MergeStrategy::InsertOnly => load::Strategy::InsertOnly,
            sandbox::MergeStrategy::Scd2(scd2) => load::Strategy::Scd2(load::Scd2 {
                valid_from: scd2.valid_from.clone(),
                valid_to: scd2.valid_to.clone(),
                row_version: scd2.row_version.clone(),
                merge_key: scd2.merge_key.clone(),
                active: scd2.active,
                boundary: scd2.boundary,
            }),
        },
        duplicates: match &merge.duplicates {
            sandbox::Duplicates::KeepLast => load::Duplicates::KeepLast,
            sandbox::Duplicates::KeepSmallest(column) => load::Duplicates::KeepSmallest(column.clone()),
            sandbox::Duplicates::KeepLargest(column) => load::Duplicates::KeepLargest(column.clone()),
            sandbox::Duplicates::KeepAll => load::Duplicates::KeepAll,
        },
        hard_delete: merge.hard_delete.clone(),
    })
}

/// A batch, as the loader takes it.
pub(super) fn load_batch(batch: sandbox::Batch) -> load::Batch {
    let column = |column: sandbox::Column| load::Column {
        name: column.name,
        data_type: match column.data_type {
            sandbox::DataType::Text => load::DataType::Text,
            sandbox::DataType::Bigint => load::DataType::Bigint,
            sandbox::DataType::Double => load::DataType::Double,
            sandbox::DataType::Boolean => load::DataType::Boolean,
            sandbox::DataType::Timestamp => load::DataType::Timestamp,
            sandbox::DataType::LocalTimestamp => load::DataType::LocalTimestamp,
            sandbox::DataType::Date => load::DataType::Date,
            sandbox::DataType::Time => load::DataType::Time,
            sandbox::DataType::Binary => load::DataType::Binary,
            sandbox::DataType::Decimal((precision, scale)) => load::DataType::Decimal(precision, scale),
            sandbox::DataType::Json => load::DataType::Json,
        },
        nullable: column.nullable,
    };
    let tables = batch.tables.into_iter().map(|table| load::TableRows {
        table: table.table,
        resource: table.resource,
        parent: table.parent,
        rows: table.rows,
        roots: table.roots,
        new_columns: table.new_columns.into_iter().map(column).collect(),
        widened_columns: table.widened_columns.into_iter().map(column).collect(),
    });
    load::Batch { tables: tables.collect(), state: batch.state, schema: batch.schema, changes: batch.changes }
}
