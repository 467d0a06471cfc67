//! One record for each item of a list.

use super::change::{self, keys, set};
use crate::error::Result;
use serde_json::Value;

/// Makes a record for each item of a list.
pub struct Explode {
    /// The keys that lead to the list.
    path: Vec<String>,
    /// The keys that lead to the item, where it does not take the list's place.
    name: Option<Vec<String>>,
    /// Whether a record without an item is kept.
    outer: bool,
}

impl Explode {
    /// `at_path` and `at_name` are the places of the two paths.
    pub fn new(path: &str, name: Option<&str>, outer: bool, at_path: &str, at_name: &str) -> Result<Self> {
        let name = name.map(|name| keys(name, at_name)).transpose()?;
        Ok(Self { path: keys(path, at_path)?, name, outer })
    }

    /// Takes the items out of a record: those of the list; of null or nothing, none; and any other value is one item.
    pub fn items(&self, record: &mut Value) -> Vec<Value> {
        let list = self.path.iter().try_fold(record, |value, key| value.get_mut(key)).map(Value::take);
        match list {
            Some(Value::Array(items)) => items,
            None | Some(Value::Null) => Vec::new(),
            Some(one) => vec![one],
        }
    }

    /// Adds the records of these items. The error has the record.
    pub fn run(&self, mut record: Value, mut items: Vec<Value>, after: &mut Vec<Value>) -> Result<(), (String, Value)> {
        if items.is_empty() {
            if !self.outer {
                return Ok(());
            }
            items.push(Value::Null);
        }
        if self.name.is_some() {
            change::take(&mut record, &self.path);
        }
        let place = self.name.as_ref().unwrap_or(&self.path);
        // The last record need not be copied.
        let last = items.pop();
        for item in items {
            let mut one = record.clone();
            set(&mut one, place, item).map_err(|why| (why, record.clone()))?;
            after.push(one);
        }
        if let Some(item) = last {
            match set(&mut record, place, item) {
                Ok(()) => after.push(record),
                Err(why) => return Err((why, record)),
            }
        }
        Ok(())
    }
}
