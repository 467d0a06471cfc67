//! Texts that may stand in the configuration or be given by a named slot.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;

/// A text that may be given in the configuration or by a named slot.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SecretText {
    /// The text itself.
    Text(String),
    /// The slot whose value is the text.
    Slot(Slot),
}

/// Names a secret, `{secret: api_key}`, whose value never stands in the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The name of the slot.
    pub secret: String,
}

impl SecretText {
    /// The text. Of a slot that was not filled there is none.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Slot(_) => "",
        }
    }
}

/// Never shows the text.
impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(***)"),
            Self::Slot(slot) => slot.fmt(f),
        }
    }
}

/// What goes along in the body of a request for a token. A value at any depth may be `{secret: NAME}`.
#[derive(Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RequestData(pub Map<String, Value>);

/// Never shows the values.
impl fmt::Debug for RequestData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Parts of a key whose value is a credential, where it is written out.
const CREDENTIAL_KEYS: [&str; 6] = ["assertion", "key", "pass", "pwd", "secret", "token"];

impl RequestData {
    /// Shows every slot, at any depth, and puts the text in its place if there is one then.
    pub(super) fn each_slot(&mut self, see: &mut dyn FnMut(&mut SecretText)) {
        self.0.values_mut().for_each(|value| each_slot(value, see));
    }

    /// The texts that are written out at keys which name a credential.
    pub(super) fn credentials(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.0.iter().for_each(|(key, value)| credentials(key, value, &mut found));
        found
    }
}

fn each_slot(value: &mut Value, see: &mut dyn FnMut(&mut SecretText)) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(name)) = fields.get("secret").filter(|_| fields.len() == 1) {
                let mut text = SecretText::Slot(Slot { secret: name.clone() });
                see(&mut text);
                if let SecretText::Text(text) = text {
                    *value = Value::String(text);
                }
            } else {
                fields.values_mut().for_each(|value| each_slot(value, see));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|value| each_slot(value, see)),
        _ => {}
    }
}

fn credentials<'v>(key: &str, value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| credentials(key, value, found)),
        Value::Array(items) => items.iter().for_each(|value| credentials(key, value, found)),
        Value::String(text) => {
            let key = key.to_lowercase();
            if CREDENTIAL_KEYS.iter().any(|part| key.contains(part)) {
                found.push(text);
            }
        }
        _ => {}
    }
}
