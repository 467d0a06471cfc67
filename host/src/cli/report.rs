//! What the program prints at its end: tables for a person, JSON for a program.

use super::args::Form;
use crate::changes::{ChangeKind, Changes, plural, shown};
use crate::component::{Artifact, Digest, Reference};
use crate::destination::Target;
use crate::pipeline::Pipeline;
use crate::run::{Bill, Report, Run};
use crate::sandbox::{Duplicates, MergeStrategy, WriteDisposition};
use crate::{Class, Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The widest cell of a preview, in characters.
const WIDEST: usize = 40;

/// How many lines tell of changes.
const MOST_CHANGES: usize = 20;

/// With more columns than this a preview stands on its side: a row of it is a column of the table.
const MOST_COLUMNS: usize = 8;

/// The summary of a run.
pub fn run(report: &Report, pipeline: &Pipeline, elapsed: Duration) -> String {
    let mut resources = table(&["resource", "requests", "retries", "pages", "rows", "waits"], 1);
    for counts in &report.counts {
        let waits = report.waits.get(&counts.resource);
        resources.add_row(vec![
            counts.resource.clone(),
            counts.requests.to_string(),
            counts.retries.to_string(),
            counts.pages.to_string(),
            counts.rows.to_string(),
            waits.map_or_else(String::new, |(times, length)| format!("{times} ({:.1} s)", length.as_secs_f64())),
        ]);
    }
    let has_duplicates = report.published.tables.iter().any(|table| table.duplicates > 0);
    let mut heads = vec!["table", "inserted", "deleted", "rows now"];
    heads.extend(has_duplicates.then_some("duplicates left out"));
    let mut tables = table(&heads, 1);
    for table in &report.published.tables {
        let mut cells =
            vec![table.table.clone(), table.inserted.to_string(), table.deleted.to_string(), table.total.to_string()];
        if table.duplicates > 0 {
            cells.push(table.duplicates.to_string());
        }
        tables.add_row(cells);
    }
    let rows: u64 = report.published.tables.iter().map(|table| table.inserted).sum();
    let seconds = elapsed.as_secs_f64();
    let warnings: String = report.published.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    let changes = changes(&report.published.changes);
    format!(
        "{resources}\n\n{tables}\n\n{changes}{warnings}{rows} rows into {}, schema {}, as load {}, in {seconds:.1} s; the connector took {} MiB of memory\n",
        destination(&pipeline.destination),
        pipeline.dataset,
        report.published.load_id,
        report.bill.peak_memory.div_ceil(1 << 20),
    )
}

/// A destination as it is shown: without its password.
fn destination(text: &str) -> String {
    Target::parse(text).map_or_else(|_| "the destination".to_owned(), |target| target.to_string())
}

/// What became of values that did not simply go into their columns, a line for each column; the conversions last.
fn changes(changes: &Changes) -> String {
    let shown = changes.list().get(..MOST_CHANGES).unwrap_or(changes.list());
    let mut lines = String::new();
    for change in shown {
        let weight = if change.kind == ChangeKind::Coerced { "note" } else { "warning" };
        lines.push_str(&format!("{weight}: {change}\n"));
    }
    let rest = changes.list().iter().skip(shown.len()).map(|change| change.count).sum::<u64>() + changes.more();
    if rest > 0 {
        lines.push_str(&format!("and {} of other columns; `--summary json` lists them\n", plural(rest, "value")));
    }
    lines
}

/// The summary of a run, as one JSON object on one line.
pub fn run_json(report: &Report) -> String {
    let resources: Vec<Value> = (report.counts.iter())
        .map(|counts| {
            let (waits, waited) = report.waits.get(&counts.resource).copied().unwrap_or_default();
            json!({"resource": counts.resource, "requests": counts.requests, "retries": counts.retries,
                "pages": counts.pages, "rows": counts.rows, "filtered": counts.filtered, "waits": waits,
                "waited_ms": waited.as_millis() as u64})
        })
        .collect();
    let tables: Vec<Value> = (report.published.tables.iter())
        .map(|table| {
            json!({"table": table.table, "resource": table.resource, "parent": table.parent,
                "inserted": table.inserted, "deleted": table.deleted, "duplicates": table.duplicates,
                "total": table.total})
        })
        .collect();
    let warnings = report.warnings.iter().map(ToString::to_string);
    let warnings: Vec<String> = warnings.chain(report.published.warnings.iter().cloned()).collect();
    let whole = json!({"load_id": report.published.load_id, "resumed": report.resumed, "resources": resources,
        "tables": tables, "changes": report.published.changes.list(), "warnings": warnings, "peak_memory": report.bill.peak_memory});
    format!("{whole}\n")
}

/// What a run took.
pub fn bill(bill: &Bill, form: Form) -> String {
    let whole = json!(bill);
    if form == Form::Json {
        return format!("{}\n", json!({"bill": whole}));
    }
    let mut shown = table(&["bill", ""], 1);
    for (name, value) in whole.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        shown.add_row(vec![name.replace('_', " "), value.to_string()]);
    }
    format!("\n{shown}\n")
}

/// A component that was fetched, and how a pipeline and a policy name it from now on.
pub fn pulled(pinned: &Reference, component: &Artifact) -> String {
    format!(
        "{}, {} bytes\nimports: {}\n\nin a pipeline: `component: {pinned}`\nin a policy:   `component: {}`\n",
        component.title(),
        component.wasm.len(),
        component.imports().join(", "),
        Digest::of(&component.wasm),
    )
}

/// What a file asks for.
pub fn description(run: &Run) -> String {
    let description = &run.description;
    let mut resources =
        table(&["resource", "table", "parent", "rows are", "key", "cursor", "first request", "unbound"], 99);
    for resource in &description.resources {
        resources.add_row(vec![
            resource.name.clone(),
            resource.table.clone(),
            resource.parent.clone().unwrap_or_default(),
            disposition(&resource.write_disposition),
            resource.primary_key.join(", "),
            resource.cursor.clone().unwrap_or_default(),
            match resource.url.as_str() {
                "" => "none: values of the file".to_owned(),
                url => format!("{} {url}", resource.method),
            },
            resource.unbound.join(", "),
        ]);
    }
    let list = |texts: &[String]| if texts.is_empty() { "none".to_owned() } else { texts.join(", ") };
    let tokens: Vec<String> = (run.token_origins().into_iter())
        .map(|(pointer, origin)| format!("{} for {pointer}", origin.as_deref().unwrap_or("what a secret names")))
        .collect();
    let tokens = if tokens.is_empty() { String::new() } else { format!("tokens from: {}\n", tokens.join(", ")) };
    format!("{resources}\n\norigins: {}\n{tokens}secrets: {}\n", list(&description.origins), list(&run.secrets()))
}

/// What a file asks for, as JSON.
pub fn description_json(run: &Run) -> String {
    let description = &run.description;
    let resources: Vec<Value> = (description.resources.iter())
        .map(|resource| {
            json!({"name": resource.name, "table": resource.table, "parent": resource.parent,
                "primary_key": resource.primary_key, "write_disposition": disposition_json(&resource.write_disposition),
                "method": resource.method, "url": resource.url, "selected": resource.selected,
                "unbound": resource.unbound, "cursor": resource.cursor})
        })
        .collect();
    let tokens: Vec<Value> = (run.token_origins().into_iter())
        .map(|(pointer, origin)| json!({"credential": pointer, "origin": origin}))
        .collect();
    let whole = json!({"resources": resources, "origins": description.origins, "tokens": tokens,
        "secrets": run.secrets()});
    format!("{whole:#}\n")
}

/// In a few words, as a person would say it.
fn disposition(disposition: &WriteDisposition) -> String {
    let merge = match disposition {
        WriteDisposition::Append => return "append".to_owned(),
        WriteDisposition::Replace => return "replace".to_owned(),
        WriteDisposition::Merge(merge) => merge,
    };
    match &merge.strategy {
        MergeStrategy::DeleteInsert(merge_key) if merge_key.is_empty() => "merge".to_owned(),
        MergeStrategy::DeleteInsert(merge_key) => format!("merge by {}", merge_key.join(", ")),
        MergeStrategy::Upsert => "merge, upsert".to_owned(),
        MergeStrategy::InsertOnly => "merge, insert-only".to_owned(),
        MergeStrategy::Scd2(_) => "merge, scd2".to_owned(),
    }
}

/// In the words of the configuration.
fn disposition_json(disposition: &WriteDisposition) -> Value {
    let merge = match disposition {
        WriteDisposition::Append => return json!({"disposition": "append"}),
        WriteDisposition::Replace => return json!({"disposition": "replace"}),
        WriteDisposition::Merge(merge) => merge,
    };
    let (strategy, merge_key) = match &merge.strategy {
        MergeStrategy::DeleteInsert(merge_key) => ("delete-insert", merge_key.as_slice()),
        MergeStrategy::Upsert => ("upsert", &[][..]),
        MergeStrategy::InsertOnly => ("insert-only", &[][..]),
        MergeStrategy::Scd2(scd2) => ("scd2", scd2.merge_key.as_slice()),
    };
    let sort = match &merge.duplicates {
        Duplicates::KeepSmallest(column) => json!({"column": column, "order": "asc"}),
        Duplicates::KeepLargest(column) => json!({"column": column, "order": "desc"}),
        Duplicates::KeepLast | Duplicates::KeepAll => Value::Null,
    };
    json!({"disposition": "merge", "strategy": strategy, "merge_key": merge_key, "dedup_sort": sort,
        "hard_delete": merge.hard_delete})
}

/// The rows of a preview.
pub fn rows(batches: &[RecordBatch]) -> Result<String> {
    let mut names: Vec<String> = Vec::new();
    for field in batches.iter().flat_map(|batch| batch.schema().fields().to_vec()) {
        if !field.name().starts_with("_dlt_") && !names.contains(field.name()) {
            names.push(field.name().clone());
        }
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for batch in batches {
        let first = rows.len();
        rows.resize_with(first + batch.num_rows(), || vec![String::new(); names.len()]);
        for (column, name) in names.iter().enumerate() {
            let Some(array) = batch.column_by_name(name) else { continue };
            let array = printable(array);
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(&array, &options)
                .map_err(|error| Error::new(Class::Internal, format!("failed to show `{name}`: {error}")))?;
            for (row, cells) in rows.iter_mut().skip(first).enumerate() {
                if let Some(cell) = cells.get_mut(column) {
                    *cell = cut(&formatter.value(row).to_string());
                }
            }
        }
    }
    if rows.is_empty() {
        return Ok("no rows\n".to_owned());
    }
    let count = rows.len();
    let shown = if names.len() <= MOST_COLUMNS {
        let mut shown = table(&names, 99);
        rows.into_iter().for_each(|row| {
            shown.add_row(row);
        });
        shown
    } else {
        let heads: Vec<String> = (1..=count).map(|row| format!("row {row}")).collect();
        let mut shown = table(&std::iter::once("column".to_owned()).chain(heads).collect::<Vec<_>>(), 99);
        for (column, name) in names.iter().enumerate() {
            let cells = rows.iter().map(|row| row.get(column).cloned().unwrap_or_default());
            shown.add_row(std::iter::once(name.clone()).chain(cells).collect::<Vec<_>>());
        }
        shown
    };
    Ok(format!("{shown}\n"))
}

/// Instants with the zone written as an offset, the only form that Arrow's printer knows.
fn printable(array: &ArrayRef) -> ArrayRef {
    match array.as_primitive_opt::<TimestampMicrosecondType>().filter(|instants| instants.timezone().is_some()) {
        Some(instants) => Arc::new(instants.clone().with_timezone("+00:00")),
        None => array.clone(),
    }
}

/// One line of at most [`WIDEST`] characters. Control characters do not reach the terminal.
fn cut(text: &str) -> String {
    shown(text, WIDEST)
}

/// A table whose columns from the given one on are numbers.
pub fn table<S: AsRef<str>>(heads: &[S], numbers_from: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heads.iter().map(|head| head.as_ref().to_owned()));
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= numbers_from {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
