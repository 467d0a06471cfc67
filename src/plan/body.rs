//! The JSON body of a request: a document whose texts and keys may hold placeholders.

use super::template::Part;
use crate::error::Result;
use serde_json::{Map, Value};

/// A JSON document with placeholders.
pub enum Body {
    /// A value without placeholders.
    Plain(Value),
    /// A text.
    Text(Vec<Part>),
    /// A list.
    List(Vec<Body>),
    /// An object; keys are texts too.
    Object(Vec<(Vec<Part>, Body)>),
}

impl Body {
    /// Reads a document. `bind` makes the parts of a text.
    pub fn parse(value: &Value, bind: &mut dyn FnMut(&str) -> Result<Vec<Part>>) -> Result<Self> {
        Ok(match value {
            Value::String(text) => Self::Text(bind(text)?),
            Value::Array(items) => Self::List(items.iter().map(|item| Self::parse(item, bind)).collect::<Result<_>>()?),
            Value::Object(fields) => Self::object(fields, bind)?,
            plain => Self::Plain(plain.clone()),
        })
    }

    /// Reads an object.
    pub fn object(fields: &Map<String, Value>, bind: &mut dyn FnMut(&str) -> Result<Vec<Part>>) -> Result<Self> {
        let field = |(key, value): (&String, &Value)| Ok((bind(key)?, Self::parse(value, bind)?));
        Ok(Self::Object(fields.iter().map(field).collect::<Result<_>>()?))
    }

    /// All parts of its texts.
    pub fn parts(&self) -> Vec<&Part> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Text(parts) => parts.iter().collect(),
            Self::List(items) => items.iter().flat_map(Self::parts).collect(),
            Self::Object(fields) => fields.iter().flat_map(|(key, value)| key.iter().chain(value.parts())).collect(),
        }
    }

    /// The document with its placeholders filled. A text that is one placeholder becomes what `value` gives for it; other
    /// texts and keys become what `text` gives.
    pub fn render(
        &self,
        text: &dyn Fn(&[Part]) -> Result<String>,
        value: &dyn Fn(&Part) -> Result<Value>,
    ) -> Result<Value> {
        Ok(match self {
            Self::Plain(plain) => plain.clone(),
            Self::Text(parts) => match parts.as_slice() {
                [one @ Part::Field(_)] => value(one)?,
                parts => Value::String(text(parts)?),
            },
            Self::List(items) => {
                Value::Array(items.iter().map(|item| item.render(text, value)).collect::<Result<_>>()?)
            }
            Self::Object(fields) => {
                let field = |(key, item): &(Vec<Part>, Body)| Ok((text(key)?, item.render(text, value)?));
                Value::Object(fields.iter().map(field).collect::<Result<_>>()?)
            }
        })
    }
}
