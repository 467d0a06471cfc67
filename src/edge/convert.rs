//! From the engine's types to those of the contract.

use super::wit;
use crate::disposition::{Duplicates, Merge, Strategy, WriteDisposition};
use crate::engine::{Counts, Step};
use crate::error::{Error, Kind, Result};
use crate::plan::{Description, ResourceDescription};
use crate::shape::schema::{Column, DataType};
use crate::shape::table::TableRows;
use crate::shape::{Change, ChangeKind, encode};

pub fn error(error: Error) -> wit::Error {
    wit::Error {
        kind: match error.kind {
            Kind::Config => wit::ErrorKind::Config,
            Kind::Auth => wit::ErrorKind::Auth,
            Kind::Permission => wit::ErrorKind::Permission,
            Kind::RateLimited => wit::ErrorKind::RateLimited,
            Kind::Transient => wit::ErrorKind::Transient,
            Kind::Schema => wit::ErrorKind::Schema,
            Kind::Limit => wit::ErrorKind::Limit,
            Kind::Upstream => wit::ErrorKind::Upstream,
            Kind::Internal => wit::ErrorKind::Internal,
        },
        message: error.message,
        resource: error.resource,
        pointer: error.pointer,
        advice: error.advice,
        status: error.status,
        url: error.url,
        attempts: error.attempts,
        retry_after: error.retry_after,
    }
}

pub fn description(description: Description) -> wit::Description {
    wit::Description {
        resources: description.resources.into_iter().map(resource).collect(),
        origins: description.origins,
        slots: description.slots.into_iter().map(|slot| wit::Slot { name: slot.name, origins: slot.origins }).collect(),
        warnings: description.warnings.into_iter().map(error).collect(),
    }
}

fn resource(resource: ResourceDescription) -> wit::ResourceDescription {
    wit::ResourceDescription {
        name: resource.name,
        table: resource.table,
        parent: resource.parent,
        primary_key: resource.primary_key,
        write_disposition: match resource.write_disposition {
            WriteDisposition::Append => wit::WriteDisposition::Append,
            WriteDisposition::Replace => wit::WriteDisposition::Replace,
            WriteDisposition::Merge(of) => wit::WriteDisposition::Merge(merge(of)),
        },
        method: resource.method,
        url: resource.url,
        selected: resource.selected,
        unbound: resource.unbound,
        cursor: resource.cursor,
    }
}

fn merge(merge: Merge) -> wit::Merge {
    wit::Merge {
        strategy: match merge.strategy {
            Strategy::DeleteInsert { merge_key } => wit::MergeStrategy::DeleteInsert(merge_key),
            Strategy::Upsert => wit::MergeStrategy::Upsert,
            Strategy::InsertOnly => wit::MergeStrategy::InsertOnly,
            Strategy::Scd2(scd2) => wit::MergeStrategy::Scd2(wit::Scd2 {
                valid_from: scd2.valid_from,
                valid_to: scd2.valid_to,
                row_version: scd2.row_version,
                merge_key: scd2.merge_key,
                active: scd2.active,
                boundary: scd2.boundary,
            }),
        },
        duplicates: match merge.duplicates {
            Duplicates::KeepLast => wit::Duplicates::KeepLast,
            Duplicates::KeepSmallest(column) => wit::Duplicates::KeepSmallest(column),
            Duplicates::KeepLargest(column) => wit::Duplicates::KeepLargest(column),
            Duplicates::KeepAll => wit::Duplicates::KeepAll,
        },
        hard_delete: merge.hard_delete,
    }
}

pub fn step(step: Step, encoding: wit::Encoding) -> Result<wit::Step> {
    Ok(match step {
        Step::Batch { tables, state, schema, changes, counts: so_far } => {
            let tables = tables.into_iter().map(|rows| table_rows(rows, encoding)).collect::<Result<_>>()?;
            let changes = changes.into_iter().map(change).collect();
            wit::Step::Batch(wit::Batch { tables, state, schema, changes, counts: counts(so_far) })
        }
        Step::Wait { until, resource, reason, state, counts: so_far } => {
            wit::Step::Wait(wit::Wait { until, resource, reason, state, counts: counts(so_far) })
        }
        Step::Done { state, counts: all, warnings } => {
            let warnings = warnings.into_iter().map(error).collect();
            wit::Step::Done(wit::Summary { state, counts: counts(all), warnings })
        }
    })
}

fn counts(counts: Vec<Counts>) -> Vec<wit::ResourceCounts> {
    let convert = |counts: Counts| wit::ResourceCounts {
        resource: counts.resource,
        requests: counts.requests,
        retries: counts.retries,
        pages: counts.pages,
        rows: counts.rows,
        filtered: counts.filtered,
    };
    counts.into_iter().map(convert).collect()
}

fn table_rows(table: TableRows, encoding: wit::Encoding) -> Result<wit::TableRows> {
    Ok(wit::TableRows {
        rows: u32::try_from(table.rows.num_rows()).unwrap_or(u32::MAX),
        payload: match encoding {
            wit::Encoding::Arrow => wit::Payload::Arrow(encode::arrow(&table.rows)?),
            wit::Encoding::Ndjson => wit::Payload::Ndjson(encode::ndjson(&table.rows)?),
        },
        table: table.table,
        resource: table.resource,
        parent: table.parent,
        roots: table.roots,
        new_columns: table.new_columns.into_iter().map(column).collect(),
        widened_columns: table.widened_columns.into_iter().map(column).collect(),
    })
}

fn change(change: Change) -> wit::Change {
    wit::Change {
        resource: change.resource,
        table: change.table,
        column: change.column,
        kind: match change.kind {
            ChangeKind::Coerced => wit::ChangeKind::Coerced,
            ChangeKind::Variant => wit::ChangeKind::Variant,
            ChangeKind::DiscardedValue => wit::ChangeKind::DiscardedValue,
            ChangeKind::DiscardedRow => wit::ChangeKind::DiscardedRow,
        },
        count: change.count,
        sample: change.sample,
    }
}

fn column(column: Column) -> wit::Column {
    wit::Column {
        name: column.name,
        data_type: match column.data_type {
            DataType::Text => wit::DataType::Text,
            DataType::Bigint => wit::DataType::Bigint,
            DataType::Double => wit::DataType::Double,
            DataType::Boolean => wit::DataType::Boolean,
            DataType::Timestamp => wit::DataType::Timestamp,
            DataType::LocalTimestamp => wit::DataType::LocalTimestamp,
            DataType::Date => wit::DataType::Date,
            DataType::Time => wit::DataType::Time,
            DataType::Binary => wit::DataType::Binary,
            DataType::Decimal { precision, scale } => wit::DataType::Decimal((precision, scale)),
            DataType::Json => wit::DataType::Json,
        },
        nullable: column.nullable,
    }
}
