//! Texts of a request, and bodies that are not JSON (reference, section 1.3).

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// A text of a request.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used: a text is read where its placeholders are")]
pub enum RequestText {
    /// The text. It may hold placeholders; `{{` and `}}` stand for braces.
    Text(String),
    /// Another form of it.
    Form(TextForm),
}

/// A secret, or a text as it is.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its schema is used: a text is read where its placeholders are")]
pub struct TextForm {
    /// The name of the secret that is sent.
    pub secret: Option<String>,
    /// The text. Braces in it stand for themselves.
    pub raw_string: Option<String>,
}

/// A body that is not JSON.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used: a body is read where its placeholders are")]
pub enum Form {
    /// The fields of a form.
    Fields(Map<String, Value>),
    /// A text.
    Text(String),
    /// The fields of a form, as pairs of name and value.
    Pairs(Vec<Vec<Value>>),
}

/// The text of `{raw_string: text}`, if the value has this form.
pub fn raw_string(value: &Value) -> Option<&str> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    fields.get("raw_string")?.as_str()
}
