//! Rules that a schema cannot say, of a resource with its defaults merged in.

use super::model::{ColumnHints, ColumnType, MOST_SEEDS, SeedValues, raw_string};
use super::nearest;
use super::spelling::escape;
use crate::error::Error;
use crate::shape::naming;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is wrong with a resource.
pub fn resource(resource: &Value, pointer: &str) -> Vec<Error> {
    let mut defects = Vec::new();
    let endpoint = resource.get("endpoint");
    let has = |key: &str| endpoint.and_then(|endpoint| endpoint.get(key)).is_some_and(|body| !is_empty(body));
    let bodies: Vec<&str> = ["json", "data", "body"].into_iter().filter(|key| has(key)).collect();
    if let [first, second, ..] = bodies.as_slice() {
        let message = format!("`{first}` and `{second}` are given, and a request has one body");
        defects.push(Error::config(format!("{pointer}/endpoint/{second}"), message).advice("leave one of them out"));
    }
    if let Some(values) = resource.get("values") {
        defects.extend(seeds(values, &format!("{pointer}/values")));
        if endpoint.is_some_and(|endpoint| !is_empty(endpoint)) {
            let message = "`values` and `endpoint` are given, and records come from one of them";
            defects.push(Error::config(format!("{pointer}/endpoint"), message).advice(
                "leave one of them out; another resource can use the values, as `{resources.<this one>.value}`",
            ));
        }
    }
    if let Some(Value::Object(params)) = endpoint.and_then(|endpoint| endpoint.get("params")) {
        for (name, value) in params {
            defects.extend(older_form(name, value, &format!("{pointer}/endpoint/params/{}", escape(name))));
        }
    }
    if endpoint.is_none_or(|endpoint| endpoint.get("incremental").is_none()) {
        for key in ["path", "params", "json", "data", "body", "headers"] {
            let value = endpoint.and_then(|endpoint| endpoint.get(key));
            defects.extend(value.and_then(|value| without_incremental(value, &format!("{pointer}/endpoint/{key}"))));
        }
    }
    if let Some(Value::Object(columns)) = resource.get("columns") {
        defects.extend(self::columns(columns, &format!("{pointer}/columns")));
    }
    defects
}

/// A parameter in the older form of an object, whose type is misspelt. Any other object is sent as it is.
fn older_form(name: &str, value: &Value, place: &str) -> Option<Error> {
    let kind = value.get("type")?.as_str()?;
    let near = nearest(kind, ["resolve", "incremental"].into_iter())?;
    let message = format!(
        "the parameter `{name}` is an object of the type \"{kind}\"; the types are `resolve` and `incremental`"
    );
    Some(Error::config(format!("{place}/type"), message).advice(format!("did you mean `{near}`?")))
}

/// Records that stand in the configuration.
fn seeds(values: &Value, place: &str) -> Option<Error> {
    let seeds = SeedValues::deserialize(values).ok()?;
    if matches!(&seeds, SeedValues::Product(lists) if lists.is_empty()) {
        return Some(
            Error::config(place, "there is no list").advice("write `values: [a, b]`, or `values: {region: [a, b]}`"),
        );
    }
    let count = seeds.count().filter(|count| *count <= MOST_SEEDS);
    let found = seeds.count().map_or_else(|| "more than can be counted".to_owned(), |count| count.to_string());
    count.is_none().then(|| {
        Error::config(place, format!("at most {MOST_SEEDS} records may stand in a file, and these lists give {found}"))
            .advice("read them from an endpoint, or divide them among several resources")
    })
}

/// A placeholder of `incremental` where the endpoint has none.
fn without_incremental(value: &Value, place: &str) -> Option<Error> {
    match value {
        value if raw_string(value).is_some() => None,
        Value::String(text) if text.contains("{incremental.") => {
            let message = "a placeholder of `incremental` stands here, and the endpoint has no `incremental`";
            Some(Error::config(place, message).advice("write `incremental: {cursor_path: …}` into the endpoint"))
        }
        Value::Object(fields) => {
            fields.iter().find_map(|(key, value)| without_incremental(value, &format!("{place}/{}", escape(key))))
        }
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, value)| without_incremental(value, &format!("{place}/{index}")))
        }
        _ => None,
    }
}

fn columns(columns: &Map<String, Value>, pointer: &str) -> Vec<Error> {
    let mut defects = Vec::new();
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in columns {
        let place = format!("{pointer}/{}", escape(name));
        if let Some(other) = names.insert(naming::path(name), name) {
            let message = format!("`{other}` and `{name}` are one column, `{}`", naming::path(name));
            defects.push(Error::config(&place, message).advice("leave one of them out"));
        }
        let Ok(hints) = ColumnHints::deserialize(value) else { continue };
        if let Some(other) = hints.name.filter(|other| other != name) {
            let message = format!("the hints of `{name}` say that the column is called \"{other}\"");
            defects.push(Error::config(format!("{place}/name"), message).advice("leave `name` out"));
        }
        let is_decimal = hints.data_type == Some(ColumnType::Decimal);
        for (key, given) in [("precision", hints.precision), ("scale", hints.scale)] {
            if given.is_some() && !is_decimal {
                let message = format!(
                    "`{key}` belongs to the dialect, but this version carries it out for `data_type: decimal` only"
                );
                defects.push(Error::config(format!("{place}/{key}"), message));
            }
        }
        let (precision, scale) = (hints.precision.unwrap_or(38), hints.scale.unwrap_or(0));
        if is_decimal && !(1..=38).contains(&precision) {
            let message = format!("expected 1 to 38 digits, found {precision}");
            defects.push(Error::config(format!("{place}/precision"), message));
        } else if is_decimal && scale > precision {
            let message = format!("{scale} digits behind the point are more than the {precision} digits in all");
            defects.push(Error::config(format!("{place}/scale"), message));
        }
    }
    defects
}

fn is_empty(body: &Value) -> bool {
    match body {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Names that stand twice.
pub fn repeated_names<'n>(names: impl Iterator<Item = &'n str>) -> Vec<Error> {
    let mut seen = BTreeMap::new();
    let mut defects = Vec::new();
    for (index, name) in names.enumerate() {
        if let Some(earlier) = seen.insert(name, index) {
            let message = format!("the name `{name}` is taken by the resource at /resources/{earlier}");
            defects.push(
                Error::config(format!("/resources/{index}/name"), message)
                    .advice("give each resource its own name; `table_name` lets several share a table"),
            );
        }
    }
    defects
}
