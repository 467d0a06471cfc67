//! Processing steps: what is done to records before they become rows, without code (reference, section 8).
//!
//! A record passes through the steps one after another. `filter` keeps it or leaves it out, `map` changes it or makes another
//! one of it, and `explode` makes a record for each item of a list. A value that no step names stays as it is, to the last
//! digit.

mod cast;
mod change;
mod explode;
mod scope;
mod shown;

use crate::config::model::{ExplodeStep, MapStep, ProcessingStep};
use crate::error::{Error, Kind, Result};
use crate::expression::{self, Expression, Value};
use crate::select;
use change::Change;
use explode::Explode;
pub use scope::Scope;
use serde_json::Value as Json;
use shown::shown;

/// How many records may become of one.
const MOST: usize = 10_000;

/// The variables of expressions in steps.
const VARIABLES: [&str; 4] = ["record", "parent", "params", "run"];

/// The steps of a resource, in their order.
#[derive(Default)]
pub struct Steps(Vec<Step>);

/// A step.
struct Step {
    /// Its place in the configuration.
    pointer: String,
    action: Action,
}

enum Action {
    Filter(Expression),
    /// The value of the expression is the new record.
    Become(Expression),
    Change(Change),
    Explode(Explode),
}

impl Steps {
    /// The steps of a configuration. `pointer` is the place of the list.
    pub fn new(config: &[ProcessingStep], pointer: &str) -> Result<Self> {
        let step = |(index, step): (usize, &ProcessingStep)| Step::new(step, &format!("{pointer}/{index}"));
        config.iter().enumerate().map(step).collect::<Result<_>>().map(Self)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an expression uses a variable.
    pub fn use_variable(&self, variable: &str) -> bool {
        self.0.iter().flat_map(Step::expressions).any(|expression| expression.uses(variable))
    }

    /// The fields of the parent's record that expressions name, as keys, each with its step's place; no keys where an
    /// expression uses the whole.
    pub fn fields_of_parent(&self) -> Vec<(String, Option<Vec<String>>)> {
        let mut fields = Vec::new();
        for step in &self.0 {
            for expression in step.expressions().into_iter().filter(|expression| expression.uses("parent")) {
                match expression.fields_of("parent") {
                    Some(found) => fields.extend(found.iter().map(|keys| (step.pointer.clone(), Some(keys.clone())))),
                    None => fields.push((step.pointer.clone(), None)),
                }
            }
        }
        fields
    }

    /// The records that become of these, in their order, and how many were left out by filters. An error names the step, and
    /// shows the record.
    pub fn run(&self, records: Vec<Json>, scope: &Scope) -> Result<(Vec<Json>, u64)> {
        let mut done = Vec::with_capacity(records.len());
        let mut filtered = 0;
        for record in records {
            let mut of_this = vec![record];
            for step in &self.0 {
                let mut after = Vec::with_capacity(of_this.len());
                for record in of_this {
                    filtered += step.run(record, scope, &mut after)?;
                }
                of_this = after;
            }
            done.append(&mut of_this);
        }
        Ok((done, filtered))
    }
}

impl Step {
    fn new(config: &ProcessingStep, pointer: &str) -> Result<Self> {
        let parse =
            |text: &str, what: &'static str| Expression::parse(text, &VARIABLES, what, &format!("{pointer}/{what}"));
        let (action, pointer) = match config {
            ProcessingStep { filter: Some(text), map: None, explode: None, .. } => {
                (Action::Filter(parse(text, "filter")?), format!("{pointer}/filter"))
            }
            ProcessingStep { filter: None, map: Some(MapStep::Expression(text)), explode: None, .. } => {
                (Action::Become(parse(text, "map")?), format!("{pointer}/map"))
            }
            ProcessingStep { filter: None, map: Some(MapStep::Changes(changes)), explode: None, .. } => {
                let pointer = format!("{pointer}/map");
                (Action::Change(Change::new(changes, &pointer)?), pointer)
            }
            ProcessingStep { filter: None, map: None, explode: Some(explode), .. } => {
                let pointer = format!("{pointer}/explode");
                let explode = match explode {
                    ExplodeStep::Path(path) => Explode::new(path, None, false, &pointer, &pointer)?,
                    ExplodeStep::Object(config) => Explode::new(
                        &config.path,
                        config.name.as_deref(),
                        config.outer,
                        &format!("{pointer}/path"),
                        &format!("{pointer}/as"),
                    )?,
                };
                (Action::Explode(explode), pointer)
            }
            ProcessingStep { filter: None, map: None, explode: None, .. } => {
                return Err(Error::config(pointer, "the step does nothing")
                    .advice("a step has one of the keys `filter`, `map` and `explode`"));
            }
            _ => {
                return Err(Error::config(pointer, "the step has several keys, so their order is not clear")
                    .advice("make a step of each: `- filter: …`, then `- map: …`"));
            }
        };
        Ok(Self { pointer, action })
    }

    fn expressions(&self) -> Vec<&Expression> {
        match &self.action {
            Action::Filter(expression) | Action::Become(expression) => vec![expression],
            Action::Change(change) => change.expressions().collect(),
            Action::Explode(_) => Vec::new(),
        }
    }

    /// Adds what becomes of a record to `after`. Returns how many records are left out by a filter.
    fn run(&self, mut record: Json, scope: &Scope, after: &mut Vec<Json>) -> Result<u64> {
        match &self.action {
            Action::Filter(expression) => {
                let holds = expression.holds(|name| value_of(expression, name, &record, scope));
                if !holds.map_err(|error| self.failed(error, &record))? {
                    return Ok(1);
                }
                after.push(record);
            }
            Action::Become(expression) => {
                let made = expression.json(|name| value_of(expression, name, &record, scope));
                match made.map_err(|error| self.failed(error, &record))? {
                    made @ Json::Object(_) => after.push(made),
                    other => {
                        let why = format!("`map` gives {}, and a record is an object", select::kind(&other));
                        return Err(self.failed(Error::new(Kind::Upstream, why), &record));
                    }
                }
            }
            Action::Change(change) => {
                change.run(&mut record, scope).map_err(|error| self.failed(error, &record))?;
                after.push(record);
            }
            Action::Explode(explode) => {
                let room = MOST.saturating_sub(after.len());
                let items = explode.items(&mut record);
                if items.len() > room {
                    let why = format!("more than {MOST} records become of one");
                    return Err(self.failed(Error::new(Kind::Limit, why), &record));
                }
                explode
                    .run(record, items, after)
                    .map_err(|(why, record)| self.failed(Error::new(Kind::Upstream, why), &record))?;
            }
        }
        Ok(0)
    }

    /// The error of this step, with its place and the record.
    fn failed(&self, error: Error, record: &Json) -> Error {
        let message = format!("{}; the record is {}", error.message, shown(record));
        Error { message, pointer: Some(self.pointer.clone()), ..error }
    }
}

/// The value of a variable. Of a record only those fields are made values that the expression names.
fn value_of(expression: &Expression, name: &str, record: &Json, scope: &Scope) -> Value {
    match name {
        "record" => match (expression.fields_of("record"), record) {
            (Some(paths), Json::Object(fields)) => {
                let mut keys: Vec<&String> = paths.iter().filter_map(|path| path.first()).collect();
                keys.dedup();
                let named =
                    keys.into_iter().filter_map(|key| Some((key.as_str(), expression::value(fields.get(key)?))));
                Value::from_pairs(named)
            }
            _ => expression::value(record),
        },
        "parent" => scope.parent.clone(),
        "params" => scope.params.clone(),
        _ => scope.run.clone(),
    }
}

#[cfg(test)]
mod tests;
