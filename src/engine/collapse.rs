//! Rows of different parents that have one key, though they differ: where rows are merged, one takes the place of the other.
//!
//! Of all keys only a part is remembered, chosen by their hash: so what is needed does not grow with what is read, and a key that
//! is looked at is looked at each time it comes.

use crate::disposition::{Strategy, WriteDisposition};
use crate::error::Error;
use crate::plan::{Plan, Resource};
use crate::shape::naming;
use crate::shape::table::TableRows;
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Keys that are remembered of a resource: some 100 KiB.
const REMEMBERED: usize = 2048;

/// Looks for such rows.
#[derive(Default)]
pub struct Collapse {
    /// By resource.
    watched: BTreeMap<usize, Watch>,
    /// The rows of the batch under construction in their order: the resource, the parent, how many.
    stretches: Vec<(usize, u64, usize)>,
}

/// What is remembered of a resource.
struct Watch {
    /// Of keys by their hash: the parent whose row it was last, and the row's hash.
    keys: BTreeMap<u64, (u64, u64)>,
    /// Keys with a greater hash are not looked at.
    at_most: u64,
    /// How often a key came again with another parent and another row.
    found: u64,
    /// The first such key.
    sample: String,
}

impl Collapse {
    /// Watches the resources of which rows can take the place of another parent's.
    pub fn new(plan: &Plan, is_selected: impl Fn(usize) -> bool) -> Self {
        let may_lose = |resource: &Resource| {
            let is_merged = match &resource.target.write_disposition {
                WriteDisposition::Merge(merge) => !matches!(merge.strategy, Strategy::Scd2(_)),
                WriteDisposition::Append | WriteDisposition::Replace => false,
            };
            let has_own_table =
                plan.resources.iter().filter(|other| other.target.table == resource.target.table).count() == 1;
            is_merged && has_own_table && resource.parent.is_some() && !resource.primary_key.is_empty()
        };
        let watched =
            plan.resources.iter().enumerate().filter(|(index, resource)| is_selected(*index) && may_lose(resource));
        let watch = || Watch { keys: BTreeMap::new(), at_most: u64::MAX, found: 0, sample: String::new() };
        Self { watched: watched.map(|(index, _)| (index, watch())).collect(), stretches: Vec::new() }
    }

    /// Whether a resource is watched.
    pub fn watches(&self, resource: usize) -> bool {
        self.watched.contains_key(&resource)
    }

    /// Notes that the next rows of a resource's table are of one parent.
    pub fn note(&mut self, resource: usize, parent: &str, rows: u64) {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        self.stretches.push((resource, hash(&parent), rows));
    }

    /// Looks at the rows of a batch.
    pub fn look(&mut self, plan: &Plan, tables: &[TableRows]) {
        let stretches = std::mem::take(&mut self.stretches);
        for (index, watch) in &mut self.watched {
            let Some(resource) = plan.resources.get(*index) else { continue };
            let Some(table) = tables.iter().find(|table| table.table == resource.target.table) else { continue };
            let keys: Option<Vec<_>> = resource
                .primary_key
                .iter()
                .map(|key| table.rows.schema_ref().index_of(&naming::path(key)).ok())
                .collect();
            let Some(keys) = keys else { continue };
            let mut row = 0_usize;
            for (_, parent, rows) in stretches.iter().filter(|(resource, ..)| resource == index) {
                for row in row..row.saturating_add(*rows).min(table.rows.num_rows()) {
                    watch.look(&table.rows, &keys, row, *parent);
                }
                row = row.saturating_add(*rows);
            }
        }
    }

    /// What was found.
    pub fn warnings(&self, plan: &Plan) -> Vec<Error> {
        let found = self.watched.iter().filter(|(_, watch)| watch.found > 0);
        found.filter_map(|(index, watch)| Some(watch.warning(plan, plan.resources.get(*index)?))).collect()
    }
}

impl Watch {
    fn look(&mut self, rows: &RecordBatch, keys: &[usize], row: usize, parent: u64) {
        let key = hash_of(rows, keys.iter().copied(), row);
        if key > self.at_most {
            return;
        }
        let ours = |index: &usize| rows.schema_ref().field(*index).name().starts_with("_dlt_");
        let content = hash_of(rows, (0..rows.num_columns()).filter(|index| !ours(index)), row);
        match self.keys.insert(key, (parent, content)) {
            Some((before, other)) if before != parent && other != content => {
                if self.found == 0 {
                    let parts = keys.iter().map(|index| shown(rows.column(*index), row));
                    self.sample = parts.collect::<Vec<_>>().join(", ");
                }
                self.found += 1;
            }
            _ => {}
        }
        while self.keys.len() > REMEMBERED {
            self.at_most /= 2;
            self.keys.split_off(&self.at_most.saturating_add(1));
        }
    }

    fn warning(&self, plan: &Plan, resource: &Resource) -> Error {
        let at_least = if self.at_most == u64::MAX { "" } else { "at least " };
        let key = resource.primary_key.join(", ");
        let message = format!(
            "{at_least}{} with the same key `{key}` ({}) as the record of another parent, and with other values: of such records only one stays",
            if self.found == 1 { "1 record".to_owned() } else { format!("{} records", self.found) },
            self.sample,
        );
        let parent = resource.parent.and_then(|parent| plan.resources.get(parent)).map_or("", |parent| &parent.name);
        let of_parent = resource.fields().filter(|field| field.resource == parent).map(|field| field.path.as_str());
        let mut of_parent: Vec<_> = of_parent.collect();
        of_parent.sort_unstable();
        of_parent.dedup();
        let included = of_parent.join(", ");
        let composite = of_parent.iter().map(|field| format!("_{parent}_{field}"));
        let composite = composite.chain(resource.primary_key.iter().cloned()).collect::<Vec<_>>().join(", ");
        let place = format!("{}/primary_key", resource.pointer);
        Error::config(place, message).of(&resource.name).advice(format!(
            "tell the parents apart: `include_from_parent: [{included}]` and `primary_key: [{composite}]`"
        ))
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The hash of a row's values in some columns.
fn hash_of(rows: &RecordBatch, columns: impl Iterator<Item = usize>, row: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    for index in columns {
        let column = rows.column(index);
        if column.is_null(row) {
            continue;
        }
        index.hash(&mut hasher);
        match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value(row).hash(&mut hasher),
            DataType::Binary => column.as_binary::<i32>().value(row).hash(&mut hasher),
            DataType::Boolean => column.as_boolean().value(row).hash(&mut hasher),
            fixed => {
                let data = column.to_data();
                let width = fixed.primitive_width().unwrap_or(0);
                let at = (data.offset() + row) * width;
                let bytes = data.buffers().first().and_then(|buffer| buffer.as_slice().get(at..at + width));
                bytes.unwrap_or_default().hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

/// A key as a person reads it.
fn shown(column: &dyn Array, row: usize) -> String {
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).chars().take(40).collect(),
        DataType::Int64 => column.as_primitive::<arrow_array::types::Int64Type>().value(row).to_string(),
        other => format!("a value of type {other}"),
    }
}
