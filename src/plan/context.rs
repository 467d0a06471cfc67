//! What the records of parents give to the requests of their children.

use super::document;
use super::template::Field;
use super::{NeededField, Resource};
use crate::config::model::OnMissing;
use crate::error::{Error, Kind, Result};
use crate::incremental::{Bound, Range};
use crate::shape::identity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The fields of parents' records that a chain of requests uses, by `resource.path`. One that a record lacks, or that is null in it,
/// is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Context {
    fields: BTreeMap<String, Value>,
    /// From where to where it reads. The state holds the cursors that it comes from.
    #[serde(skip)]
    pub range: Option<Rc<Range>>,
}

impl Context {
    /// The value of a field.
    pub fn get(&self, field: &Field) -> Option<&Value> {
        self.fields.get(&field.to_string())
    }

    /// What is kept of these fields of a record, as it stood in the record.
    pub fn object<'f>(&self, fields: impl Iterator<Item = &'f Field>) -> Value {
        let mut object = Value::Object(Map::new());
        let mut fields: Vec<&Field> = fields.collect();
        // An object before what is in it.
        fields.sort();
        for field in fields {
            if let Some(value) = self.get(field) {
                let keys: Vec<String> = field.path.split('.').map(str::to_owned).collect();
                document::set(&mut object, &keys, value.clone());
            }
        }
        object
    }

    /// The value of a bound of its range, if there is one.
    pub fn bound(&self, bound: Bound) -> Option<&Value> {
        self.range.as_ref()?.value(bound)
    }

    /// This context with a range to read.
    #[must_use]
    pub fn with_range(self, range: Rc<Range>) -> Self {
        Self { range: Some(range), ..self }
    }

    /// Tells the chains of a resource apart that belong to different parents: the fields that its requests use.
    pub fn key(&self, resource: &Resource) -> String {
        let used: BTreeMap<String, &Value> =
            resource.fields().filter_map(|field| Some((field.to_string(), self.get(field)?))).collect();
        identity::of_record(&json!(used))
    }
}

/// Requests that are for several records of the parent each.
pub struct Batch {
    /// How many.
    pub size: usize,
    /// What stands between their fields in a text.
    pub separator: String,
    /// The parent.
    pub parent: String,
}

/// The chains of requests for the records of a parent's page.
#[derive(Debug, PartialEq)]
pub struct Contexts {
    /// What each is made with, and the place of its record, or the first of several.
    pub chains: Vec<(usize, Context)>,
    /// How many records there is no request for.
    pub skipped: u64,
}

impl Resource {
    /// This context with the fields of a record of this resource. A field that the record lacks fails where a resource that is read,
    /// by its index in the plan, cannot do without.
    pub fn extend(&self, context: &Context, record: &Value, is_read: &dyn Fn(usize) -> bool) -> Result<Context> {
        let mut extended = Context { fields: context.fields.clone(), range: None };
        for needed in &self.needed {
            match needed.selector.first(record) {
                Some(value) if !value.is_null() => {
                    extended.fields.insert(needed.field.to_string(), value.clone());
                }
                found if needed.required_by.iter().any(|index| is_read(*index)) => {
                    return Err(self.lacking(needed, found.is_some(), record));
                }
                _ => {}
            }
        }
        Ok(extended)
    }

    fn lacking(&self, needed: &NeededField, is_null: bool, record: &Value) -> Error {
        let found = if is_null { "is null in" } else { "is missing from" };
        let keys: Vec<String> = match record {
            Value::Object(fields) => fields.keys().map(|key| format!("`{key}`")).collect(),
            _ => Vec::new(),
        };
        let message = format!("the field `{}`, which other requests need, {found} a record", needed.field.path);
        Error::new(Kind::Upstream, message).of(&self.name).advice(format!(
            "the record has the keys {}; `on_missing` of the endpoint that uses the field may be `skip` or `null`",
            keys.join(", ")
        ))
    }

    /// The chains of its requests for the records of a page of its parent.
    pub fn contexts(&self, parents: &[Context]) -> Contexts {
        let is_wanted = |context: &Context| self.on_missing != OnMissing::Skip || self.has_all(context);
        let wanted: Vec<(usize, &Context)> =
            parents.iter().enumerate().filter(|(_, context)| is_wanted(context)).collect();
        let skipped = (parents.len() - wanted.len()) as u64;
        let chains = match &self.batch {
            None => wanted.into_iter().map(|(record, context)| (record, context.clone())).collect(),
            Some(batch) => wanted.chunks(batch.size).filter_map(|records| self.together(batch, records)).collect(),
        };
        Contexts { chains, skipped }
    }

    /// Whether its requests are for several records of the parent each.
    pub fn is_batched(&self) -> bool {
        self.batch.is_some()
    }

    fn has_all(&self, context: &Context) -> bool {
        let of_requests = self.fields();
        of_requests.chain(self.includes.iter().map(|include| &include.field)).all(|field| context.get(field).is_some())
    }

    /// The context of one chain for several records: the parent's fields are lists, those of its own parents are the same in all.
    fn together(&self, batch: &Batch, records: &[(usize, &Context)]) -> Option<(usize, Context)> {
        let (first, context) = records.first()?;
        let mut together = (*context).clone();
        for field in self.fields().filter(|field| field.resource == batch.parent) {
            let values = records.iter().map(|(_, context)| context.get(field).cloned().unwrap_or_default());
            together.fields.insert(field.to_string(), values.collect());
        }
        Some((*first, together))
    }
}
