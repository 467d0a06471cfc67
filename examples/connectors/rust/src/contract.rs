//! What every connector needs, whatever it reads: change `lib.rs`, and leave this file as it is.

use crate::bindings::exports::spile::connector::source::{Error, ErrorKind, Slot};
use http::Uri;
use serde_json::Value;

/// A failure as the contract has it. Other fields of it are set by `Error { url: …, ..failure(…) }`.
pub fn failure(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error {
        kind,
        message: message.into(),
        resource: None,
        pointer: None,
        advice: None,
        status: None,
        url: None,
        attempts: None,
        retry_after: None,
    }
}

/// A defect of the configuration, with the JSON pointer to its place.
pub fn defect(pointer: &str, message: impl Into<String>) -> Error {
    Error { pointer: Some(pointer.to_owned()), ..failure(ErrorKind::Config, message) }
}

/// What of a value does not fit its JSON Schema: a defect for each place. Of the keywords of schemas it knows those that stand
/// here; what `pattern` says is to be checked by hand.
pub fn defects(schema: &Value, value: &Value, pointer: &str) -> Vec<Error> {
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let is_beyond = |number: f64| {
        schema["minimum"].as_f64().is_some_and(|least| number < least)
            || schema["maximum"].as_f64().is_some_and(|most| number > most)
    };
    if !(types.is_empty() || types.iter().any(|of| is(of, value))) || value.as_f64().is_some_and(is_beyond) {
        let wanted = schema["description"].as_str().map_or_else(|| types.join(" or "), str::to_owned);
        return vec![defect(pointer, format!("this is no {wanted}"))];
    }
    let Value::Object(fields) = value else { return Vec::new() };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = required.filter(|key| !fields.contains_key(*key));
    let missing = missing.map(|key| defect(pointer, format!("the key `{key}` is missing")));
    let inside = fields.iter().flat_map(|(key, inner)| {
        let at = pointer_to(pointer, key);
        match schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]) {
            Value::Bool(false) => vec![defect(&at, format!("unknown key `{key}`"))],
            own => defects(own, inner, &at),
        }
    });
    missing.chain(inside).collect()
}

/// The JSON pointer to a key.
pub fn pointer_to(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn is(of: &str, value: &Value) -> bool {
    match of {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    }
}

/// Where requests go, and what they carry.
pub struct Connection {
    /// Without a slash at its end.
    pub base_url: String,
    /// As `scheme://host:port`.
    pub origin: String,
    pub headers: Vec<(String, String)>,
    pub slots: Vec<Slot>,
}

/// Of `client` in the configuration. Spile takes credentials out of `client.auth` and `client.headers`, and puts them on
/// requests that have left the connector.
pub fn connection(client: &Value) -> Result<Connection, Error> {
    let (base_url, origin) = client["base_url"]
        .as_str()
        .and_then(origin)
        .ok_or_else(|| defect("/client/base_url", "this is no URL that begins with http"))?;
    let (mut headers, mut secrets) = (Vec::new(), Vec::new());
    for (name, value) in client["headers"].as_object().into_iter().flatten() {
        let Some(value) = value.as_str() else {
            return Err(defect(&pointer_to("/client/headers", name), "this secret was given no value"));
        };
        secrets.extend(stand_ins(value));
        headers.push((name.clone(), value.to_owned()));
    }
    match (&client["auth"], client.pointer("/auth/credential").and_then(Value::as_str)) {
        (Value::Null, _) => {}
        // In the place of what signs requests stands the name of a credential. This header asks for it.
        (_, Some(credential)) => {
            secrets.push(credential.to_owned());
            headers.push(("spile-credential".to_owned(), credential.to_owned()));
        }
        (_, None) => return Err(defect("/client/auth", "these credentials were given no value")),
    }
    let slots = secrets.into_iter().map(|name| Slot { name, origins: vec![origin.clone()] }).collect();
    Ok(Connection { base_url, origin, headers, slots })
}

/// A base URL, and its origin.
fn origin(text: &str) -> Option<(String, String)> {
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let port = authority.port_u16().or(match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => return None,
    })?;
    // A user and a password would be sent to nobody, and shown to everybody.
    let is_plain = !authority.as_str().contains('@') && uri.query().is_none();
    let base_url = format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/'));
    is_plain.then(|| (base_url, format!("{scheme}://{}:{port}", authority.host().to_lowercase())))
}

/// The names of the secrets in a text. In the place of each stands a text with its name, in hexadecimal digits.
fn stand_ins(text: &str) -> Vec<String> {
    let name = |after: &str| {
        let (digits, _) = after.split_once('-')?;
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
        String::from_utf8(digits.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?).ok()
    };
    text.split("spile-slot-").skip(1).filter_map(name).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_origin_has_its_port() {
        for (base_url, found) in [
            ("https://api.example.com", Some("https://api.example.com:443")),
            ("http://API.example.com/v1/", Some("http://api.example.com:80")),
            ("http://[::1]:8305", Some("http://[::1]:8305")),
            ("ftp://api.example.com", None),
            ("api.example.com", None),
            ("http://", None),
            ("http://me@api.example.com", None),
            ("http://api.example.com?page=1", None),
            ("", None),
        ] {
            assert_eq!(origin(base_url).map(|(_, origin)| origin).as_deref(), found, "{base_url}");
        }
    }

    #[test]
    fn secrets_are_found_where_they_stand() {
        let client = json!({
            "base_url": "http://api.example.com/v1/",
            "headers": { "x-key": "key spile-slot-6b6579- and spile-slot-c3a9-", "x-team": "spile-slot-zz- spile-slot--" },
            "auth": { "credential": "/client/auth" },
        });
        let connection = connection(&client).unwrap();
        assert_eq!(connection.base_url, "http://api.example.com/v1");
        let names: Vec<_> = connection.slots.iter().map(|slot| slot.name.as_str()).collect();
        assert_eq!(names, ["key", "é", "/client/auth"]);
        assert_eq!(connection.headers.last().unwrap().0, "spile-credential");
    }
}
