//! The API that answers an example which says nothing of it: at the path of each resource, a page of two plausible records.

use super::whole;
use serde_json::{Value, json};

/// Adds routes to a script that has none, and token URLs.
pub fn complete(mut script: Value, pipeline: &Value) -> Result<Value, String> {
    if script.is_null() {
        script = json!({});
    }
    if ["routes", "recorded"].iter().all(|key| script.get(key).is_none()) {
        let source = &pipeline["source"];
        let resources = source["resources"].as_array().into_iter().flatten();
        let routes =
            resources.filter(|resource| resource.get("values").is_none()).map(|resource| route(source, resource));
        script["routes"] = routes.collect::<Result<Vec<_>, _>>()?.into();
    }
    Ok(script)
}

/// The route of a resource.
fn route(source: &Value, resource: &Value) -> Result<Value, String> {
    let defaults = &source["resource_defaults"]["endpoint"];
    let own = &resource["endpoint"];
    let key = |key: &str| own.get(key).or_else(|| defaults.get(key)).filter(|value| !value.is_null());
    let path = own.as_str().or_else(|| own["path"].as_str()).unwrap_or_else(|| whole::name(resource));
    let base = source["client"]["base_url"].as_str().unwrap_or_default();
    let url = if path.starts_with("$api") { path.to_owned() } else { joined(base, path) };
    let path = url.strip_prefix("$api").ok_or_else(|| format!("\"{url}\" is no URL of an example: say `api:`"))?;
    let segments = path.split('?').next().unwrap_or_default().split('/');
    let segments = segments.map(|segment| if segment.contains('{') { "{any}" } else { segment });
    let path = segments.collect::<Vec<_>>().join("/");
    let selector = key("data_selector").and_then(Value::as_str);
    let inside = match selector.map(|selector| selector.trim_start_matches("$.").trim_end_matches("[*]")) {
        Some("$") => "",
        Some(selector) if selector.chars().all(|c| c.is_alphanumeric() || "._-".contains(c)) => selector,
        Some(selector) => return Err(format!("what has records at \"{selector}\"? Say `api:`")),
        None if path.ends_with("{any}") => "",
        None => "data",
    };
    let method = key("method").and_then(Value::as_str).unwrap_or("GET").to_uppercase();
    let paginator = key("paginator").unwrap_or(&source["client"]["paginator"]);
    let records: Vec<_> = (1..=2).map(|number| record(source, resource, number)).collect();
    Ok(
        json!({"path": if path.is_empty() { "/" } else { &path }, "method": method, "inside": inside, "records": records, "pages": pages(paginator)}),
    )
}

fn joined(base: &str, path: &str) -> String {
    match path.trim_start_matches('/') {
        "" => base.to_owned(),
        path => format!("{}/{path}", base.trim_end_matches('/')),
    }
}

/// Where a request says which page it wants, so that there is only one.
fn pages(paginator: &Value) -> Value {
    let kind = paginator.as_str().or_else(|| paginator["type"].as_str()).unwrap_or_default();
    let place = |name: &str| match paginator[format!("{name}_body_path")].as_str() {
        Some(path) => format!("body.{path}"),
        None => format!("query.{}", paginator[format!("{name}_param")].as_str().unwrap_or(name)),
    };
    match kind {
        "page_number" => {
            let first = if paginator["limit"].is_null() { 0 } else { 1 };
            json!({"size": 2, "page_at": place("page"), "base": paginator["base_page"].as_u64().unwrap_or(first)})
        }
        "offset" => json!({"size": 2, "offset_at": place("offset")}),
        _ => json!({}),
    }
}

/// A record with what the resource itself and its children look for.
fn record(source: &Value, resource: &Value, number: u64) -> Value {
    let date = format!("2025-06-0{number}T08:30:00Z");
    let mut record = json!({"id": number, "name": format!("Name {number}"), "status": "open", "amount": 12.5 * number as f64,
        "created_at": date, "updated_at": date, "tags": ["red", "green"], "owner": {"id": 7, "name": "Ann"}});
    let own = whole::name(resource);
    let text = || json!(format!("v{number}"));
    for (parent, field) in whole::parents(source) {
        if parent == own {
            set(&mut record, &field, text());
        }
    }
    let keys =
        |key: &Value| key.as_str().map(|key| vec![json!(key)]).or_else(|| key.as_array().cloned()).unwrap_or_default();
    for key in keys(&resource["primary_key"]).iter().chain(&keys(&source["resource_defaults"]["primary_key"])) {
        set(&mut record, key.as_str().unwrap_or("id"), text());
    }
    let resources = source["resources"].as_array().into_iter().flatten();
    for field in resources.flat_map(|resource| keys(&resource["include_from_parent"])) {
        set(&mut record, field.as_str().unwrap_or("id"), text());
    }
    let incremental =
        [&resource["endpoint"], &source["resource_defaults"]["endpoint"]].map(|endpoint| &endpoint["incremental"]);
    for incremental in incremental {
        if let Some(path) = incremental["cursor_path"].as_str() {
            let initial = incremental["initial_value"].as_f64();
            set(&mut record, path, initial.map_or_else(|| json!(date), |initial| json!(initial as u64 + number)));
        }
    }
    record
}

/// Sets a value by a path, where there is none.
fn set(record: &mut Value, path: &str, value: Value) {
    let mut at = record;
    for key in path.trim_start_matches("$.").split('.') {
        if at.is_null() {
            *at = json!({});
        }
        if !at.is_object() {
            return;
        }
        at = &mut at[key];
    }
    if at.is_null() {
        *at = value;
    }
}
