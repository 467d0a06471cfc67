//! Requests in full, with the answers that were given to them.

use super::asked::Asked;
use super::request::Received;
use super::script::Exchange;
use hyper::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A request in full and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    request: Request,
    #[serde(default)]
    pub(super) answer: Exchange,
}

/// A request. What stands nowhere in it must not be in one that is made, but for what says nothing of what is asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// GET where absent.
    #[serde(default = "super::script::get")]
    method: String,
    path: String,
    /// A list is a parameter that is sent several times.
    #[serde(default)]
    query: Map<String, Value>,
    /// All but those of the client, in lower case.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    json: Option<Value>,
    /// The fields of a form.
    form: Option<Map<String, Value>>,
}

impl Recorded {
    /// The request, to be compared with those that were made.
    pub fn asked(&self) -> Asked {
        let Request { method, path, query, headers, json, form } = &self.request;
        let mut headers = headers.clone();
        let body = match (json, form) {
            (Some(json), _) => json.to_string(),
            (None, Some(form)) => {
                headers.insert(CONTENT_TYPE.to_string(), "application/x-www-form-urlencoded".to_owned());
                let encode = |text: &str| {
                    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
                };
                let fields =
                    pairs(form).into_iter().map(|(name, value)| format!("{}={}", encode(&name), encode(&value)));
                fields.collect::<Vec<_>>().join("&")
            }
            (None, None) => String::new(),
        };
        let (method, path, query) = (method.clone(), path.clone(), pairs(query));
        Asked::new(&Received { method, path, query, headers, body: body.into_bytes() }, None)
    }
}

fn pairs(fields: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let each = |(name, value): (&String, &Value)| match value {
        Value::Array(values) => values.iter().map(|value| (name.clone(), text(value))).collect(),
        value => vec![(name.clone(), text(value))],
    };
    fields.iter().flat_map(each).collect()
}
