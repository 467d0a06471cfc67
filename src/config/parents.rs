//! What a resource says of the records that its requests depend on, and records that stand in the configuration.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What becomes of the requests for a parent's record that lacks a field which they use, or has null there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// The run fails.
    #[default]
    Fail,
    /// There is no request for that record.
    Skip,
    /// What uses the field is left out of the request.
    Null,
}

/// Records that stand in the configuration.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SeedValues {
    /// Each item is a record, or the field `value` of one.
    List(Vec<Value>),
    /// Lists by name. Each combination of their items is a record; the last list changes fastest.
    Product(#[schemars(with = "std::collections::BTreeMap<String, Vec<Value>>")] Map<String, Value>),
}

/// The most records that may stand in the configuration.
pub const MOST_SEEDS: usize = 100_000;

impl SeedValues {
    /// How many records there are; none where that is beyond counting.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::List(items) => Some(items.len()),
            Self::Product(lists) => lists.values().try_fold(1usize, |count, list| count.checked_mul(items(list).len())),
        }
    }

    /// The record at a place, counted from 0.
    pub fn record(&self, place: usize) -> Option<Value> {
        match self {
            Self::List(items) => items.get(place).map(|item| match item {
                Value::Object(_) => item.clone(),
                item => Value::Object(Map::from_iter([("value".to_owned(), item.clone())])),
            }),
            Self::Product(lists) => {
                // How many records pass before the next item of a list.
                let mut stride = self.count()?;
                let mut record = Map::new();
                for (name, list) in lists {
                    stride = stride.checked_div(items(list).len())?;
                    let nth = (place / stride.max(1)) % items(list).len();
                    record.insert(name.clone(), items(list).get(nth)?.clone());
                }
                (place < self.count()?).then_some(Value::Object(record))
            }
        }
    }
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn records(values: Value) -> Vec<Value> {
        let values: SeedValues = serde_json::from_value(values).unwrap();
        let records: Vec<Value> = (0..).map_while(|place| values.record(place)).collect();
        assert_eq!(values.count(), Some(records.len()));
        records
    }

    #[test]
    fn a_list_gives_its_items() {
        let list = json!(["eu", 7, null, [1], {"id": 1, "at": {"x": 2}}]);
        let expected = [
            json!({"value": "eu"}),
            json!({"value": 7}),
            json!({"value": null}),
            json!({"value": [1]}),
            json!({"id": 1, "at": {"x": 2}}),
        ];
        assert_eq!(records(list), expected);
        assert_eq!(records(json!([])), Vec::<Value>::new());
    }

    #[test]
    fn lists_give_every_combination() {
        let records_of = records(json!({"region": ["eu", "us"], "year": [2024, 2025, 2026]}));
        let year = |region: &str, year: u32| json!({"region": region, "year": year});
        let expected = ["eu", "us"].map(|region| [2024, 2025, 2026].map(|of| year(region, of)));
        assert_eq!(records_of, expected.concat());
        assert_eq!(records(json!({"a": [1, 2], "none": []})), Vec::<Value>::new());
        let many: Value = (0..50).map(|list| (format!("l{list}"), json!([1, 2, 3]))).collect::<Map<_, _>>().into();
        assert_eq!(serde_json::from_value::<SeedValues>(many).unwrap().count(), None);
    }
}
