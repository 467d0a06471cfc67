//! A request, as a test compares it with another.

use super::request::Received;
use super::script::{Part, Place};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::fmt;

/// Headers that say nothing of what is asked for.
const OF_THE_CLIENT: [&str; 7] =
    ["host", "user-agent", "accept", "accept-encoding", "connection", "content-length", "transfer-encoding"];

/// A request: its text has all that matters of it, in one order, so that two that ask for the same have the same text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Method, path, sorted query, body and headers.
    text: String,
    /// The same without what tells the page.
    chain: String,
}

impl Asked {
    /// Notes a request; `paging` is where a request of this route says which page it wants.
    pub(super) fn new(received: &Received, paging: Option<&Place>) -> Self {
        Self { text: text(received, None), chain: text(received, paging) }
    }

    /// The text of the chain of requests that it belongs to.
    pub fn chain(&self) -> &str {
        &self.chain
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `POST /v1/x?a=1&b=2 {"q":"x"} authorization: Bearer t`; the port, which differs between servers, as `$api`.
fn text(received: &Received, without: Option<&Place>) -> String {
    let without = |part| without.filter(|place| place.part == part).map(|place| place.name.as_str());
    let other = if received.host().starts_with("localhost:") { "$other" } else { "" };
    let mut query: Vec<_> =
        received.query.iter().filter(|(name, _)| Some(name.as_str()) != without(Part::Query)).collect();
    query.sort();
    let query: Vec<_> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    let mut text = format!("{} {other}{}{mark}{}", received.method, received.path, query.join("&"));

    if let Some(form) = received.form() {
        let field = |(name, value): (String, String)| match name.as_str() {
            "assertion" => format!("{name}={}", claims(&value)),
            _ => format!("{name}={value}"),
        };
        let mut fields: Vec<_> = form.into_iter().map(field).collect();
        fields.sort();
        text.push_str(&format!(" form {}", fields.join("&")));
    } else if !received.body.is_empty() {
        let mut body = received.json();
        if let Some(path) = without(Part::Body) {
            remove(&mut body, path);
        }
        match body {
            Value::Null => text.push_str(&format!(" {}", String::from_utf8_lossy(&received.body))),
            body => text.push_str(&format!(" {}", sorted(&body))),
        }
    }
    let json = "application/json";
    for (name, value) in received.headers.iter().filter(|(name, _)| !OF_THE_CLIENT.contains(&name.as_str())) {
        // What the body shows already is not said again.
        if !(name == "content-type" && (value == json || received.form().is_some())) {
            text.push_str(&format!(" {name}: {value}"));
        }
    }
    text.replace(&format!("http://{}", received.host()), "$api")
}

/// The header and claims of a JWT, without its times and its signature, which differ from one to the next.
fn claims(assertion: &str) -> Value {
    let part = |text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        serde_json::from_slice::<Value>(&bytes).unwrap_or_default()
    };
    let mut parts = assertion.split('.').map(part);
    let (header, mut claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    for time in ["iat", "exp", "jti", "nbf"] {
        remove(&mut claims, time);
    }
    sorted(&json!([header, claims]))
}

fn remove(value: &mut Value, path: &str) {
    let (parents, last) = path.rsplit_once('.').map_or((None, path), |(parents, last)| (Some(parents), last));
    let parent = parents.into_iter().flat_map(|path| path.split('.')).try_fold(value, |value, key| value.get_mut(key));
    if let Some(Value::Object(fields)) = parent {
        fields.remove(last);
    }
}

/// The same document with the keys of all objects in their order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut pairs: Vec<_> = fields.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            Value::Object(pairs.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect::<Map<_, _>>())
        }
        scalar => scalar.clone(),
    }
}
