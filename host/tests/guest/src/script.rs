//! Scripts: what a connector describes, and what it hands over, call by call.
//!
//! The configuration's key `script` is an object: `describe` (resources, origins, slots, warnings), `steps` (one for each call),
//! and `last`, what comes after them: `done`, or `again` for all of them once more, without end. A step is an object with one
//! key: `batch`, `wait`, `done`, `fail`, `ask` (a request; what came of it is the reason of a wait), or `do` (a command).
//!
//! A text is a JSON text, in which `{call}` is the number of the call, or `{"times": n, "of": text}`.

use crate::bindings::exports::spile::connector::source::*;
use crate::{ask, error, obey};
use serde_json::Value;

pub fn describe(config: &str) -> Description {
    let script = script(config);
    let described = &script["describe"];
    let resources = list(&described["resources"]).flat_map(|resource| {
        let made = |number: u64| {
            let name = text(&resource["name"], number);
            ResourceDescription {
                table: optional(&resource["table"], number).unwrap_or_else(|| name.clone()),
                name,
                parent: optional(&resource["parent"], number),
                primary_key: list(&resource["key"]).map(|key| text(key, 0)).collect(),
                write_disposition: match resource["disposition"].as_str() {
                    Some("replace") => WriteDisposition::Replace,
                    Some("merge") => WriteDisposition::Merge(Merge {
                        strategy: MergeStrategy::Upsert,
                        duplicates: Duplicates::KeepLast,
                        hard_delete: None,
                    }),
                    _ => WriteDisposition::Append,
                },
                method: "GET".to_owned(),
                url: optional(&resource["url"], number).unwrap_or_else(|| "http://example.com/".to_owned()),
                selected: true,
                unbound: Vec::new(),
                cursor: optional(&resource["cursor"], number),
            }
        };
        (0..resource["many"].as_u64().unwrap_or(1)).map(made)
    });
    let slots = list(&described["slots"]).map(|slot| Slot {
        name: text(&slot["name"], 0),
        origins: list(&slot["origins"]).map(|origin| text(origin, 0)).collect(),
    });
    let origins = list(&described["origins"]).flat_map(|origin| match origin {
        Value::Object(many) if many.contains_key("many") => {
            (0..many["many"].as_u64().unwrap()).map(|number| text(&many["origin"], number)).collect()
        }
        one => vec![text(one, 0)],
    });
    Description {
        resources: resources.collect(),
        origins: origins.collect(),
        slots: slots.collect(),
        warnings: list(&described["warnings"]).map(|told| failure(told, 0)).collect(),
    }
}

pub fn step(config: &str, call: u64, state: &Option<String>) -> Result<Step, Error> {
    let script = script(config);
    let steps: Vec<&Value> = list(&script["steps"]).collect();
    let index = if script["last"] == "again" { call as usize % steps.len() } else { call as usize };
    let Some(step) = steps.get(index) else { return crate::done(state.clone().unwrap_or_default()) };
    let (verb, told) = step.as_object().unwrap().iter().next().unwrap();
    match verb.as_str() {
        "batch" => Ok(Step::Batch(batch(told, call))),
        "wait" => Ok(Step::Wait(Wait {
            until: told["until"].as_u64().unwrap_or(1),
            resource: optional(&told["resource"], call).unwrap_or_else(|| "r".to_owned()),
            reason: text(&told["reason"], call),
            state: text(&told["state"], call),
            counts: counts(&told["counts"], call),
        })),
        "done" => Ok(Step::Done(Summary {
            state: text(&told["state"], call),
            counts: counts(&told["counts"], call),
            warnings: list(&told["warnings"]).map(|told| failure(told, call)).collect(),
        })),
        "fail" => Err(failure(told, call)),
        "ask" => crate::say(ask::outcome(told)),
        _ => obey(&text(told, call), state),
    }
}

fn script(config: &str) -> Value {
    let mut config: Value = serde_json::from_str(config).unwrap();
    config["script"].take()
}

fn batch(told: &Value, call: u64) -> Batch {
    let tables = list(&told["tables"]).flat_map(|told| {
        // Of many tables each has its own name.
        let many = told["many"].as_u64();
        (0..many.unwrap_or(1)).map(move |number| {
            let mut rows = rows(told, call);
            if many.is_some() {
                rows.table.push_str(&number.to_string());
            }
            rows
        })
    });
    Batch {
        tables: tables.collect(),
        state: optional(&told["state"], call).unwrap_or_else(|| "{}".to_owned()),
        schema: optional(&told["schema"], call),
        changes: list(&told["changes"]).map(|told| change(told, call)).collect(),
        counts: counts(&told["counts"], call),
    }
}

fn rows(told: &Value, call: u64) -> TableRows {
    let columns = |told: &Value| {
        let columns = list(told).flat_map(|told| {
            (0..told["many"].as_u64().unwrap_or(1)).map(move |number| Column {
                name: text(&told["name"], call).replace("{number}", &number.to_string()),
                data_type: match told["type"].as_str() {
                    Some("text") => DataType::Text,
                    Some("boolean") => DataType::Boolean,
                    Some("double") => DataType::Double,
                    Some("json") => DataType::Json,
                    Some("timestamp") => DataType::Timestamp,
                    Some("decimal") => DataType::Decimal((
                        told["precision"].as_u64().unwrap_or(38) as u8,
                        told["scale"].as_u64().unwrap_or(9) as u8,
                    )),
                    _ => DataType::Bigint,
                },
                nullable: told["nullable"].as_bool().unwrap_or(true),
            })
        });
        columns.collect()
    };
    TableRows {
        table: optional(&told["table"], call).unwrap_or_else(|| "r".to_owned()),
        resource: optional(&told["resource"], call).unwrap_or_else(|| "r".to_owned()),
        parent: optional(&told["parent"], call),
        rows: told["rows"].as_u64().unwrap_or(0) as u32,
        payload: match told["size"].as_u64() {
            Some(size) => Payload::Arrow(vec![0; size as usize]),
            None => Payload::Arrow(bytes(told["arrow"].as_str().unwrap_or_default())),
        },
        roots: list(&told["roots"]).map(|root| root.as_u64().unwrap() as u32).collect(),
        new_columns: columns(&told["new_columns"]),
        widened_columns: columns(&told["widened_columns"]),
    }
}

fn change(told: &Value, call: u64) -> Change {
    Change {
        resource: optional(&told["resource"], call).unwrap_or_else(|| "r".to_owned()),
        table: text(&told["table"], call),
        column: optional(&told["column"], call),
        kind: ChangeKind::Coerced,
        count: told["count"].as_u64().unwrap_or(1),
        sample: text(&told["sample"], call),
    }
}

fn counts(told: &Value, call: u64) -> Vec<ResourceCounts> {
    let counts = list(told).flat_map(|told| {
        (0..told["many"].as_u64().unwrap_or(1)).map(move |_| ResourceCounts {
            resource: text(&told["resource"], call),
            requests: told["requests"].as_u64().unwrap_or(1),
            retries: 0,
            pages: 1,
            rows: told["rows"].as_u64().unwrap_or(0),
            filtered: 0,
        })
    });
    counts.collect()
}

fn failure(told: &Value, call: u64) -> Error {
    let kind = match told["kind"].as_str() {
        Some("limit") => ErrorKind::Limit,
        Some("config") => ErrorKind::Config,
        _ => ErrorKind::Upstream,
    };
    Error {
        resource: optional(&told["resource"], call),
        pointer: optional(&told["pointer"], call),
        advice: optional(&told["advice"], call),
        url: optional(&told["url"], call),
        ..error(kind, &text(&told["message"], call))
    }
}

pub fn list(told: &Value) -> impl Iterator<Item = &Value> {
    told.as_array().into_iter().flatten()
}

pub fn optional(told: &Value, call: u64) -> Option<String> {
    (!told.is_null()).then(|| text(told, call))
}

pub fn text(told: &Value, call: u64) -> String {
    match told {
        Value::Object(repeated) => text(&repeated["of"], call).repeat(repeated["times"].as_u64().unwrap() as usize),
        told => told.as_str().unwrap_or_default().replace("{call}", &call.to_string()),
    }
}

fn bytes(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect()
}
