//! A JSON document whose texts and keys may hold placeholders, and values set in it by path.

use super::template::Part;
use crate::config::model::raw_string;
use crate::error::Result;
use crate::slot;
use serde_json::{Map, Value};

/// A JSON document with placeholders.
pub enum Document {
    /// A value without placeholders.
    Plain(Value),
    /// A text.
    Text(Vec<Part>),
    /// A list.
    List(Vec<Document>),
    /// An object; keys are texts too.
    Object(Vec<(Vec<Part>, Document)>),
}

impl Document {
    /// Reads a document. `bind` makes the parts of a text.
    pub fn parse(value: &Value, bind: &mut dyn FnMut(&str) -> Result<Vec<Part>>) -> Result<Self> {
        if let Some(name) = slot::name_of(value) {
            return Ok(Self::Text(vec![Part::Secret(name.to_owned())]));
        }
        if let Some(text) = raw_string(value) {
            return Ok(Self::Text(vec![Part::Text(text.to_owned())]));
        }
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
    /// texts and keys become what `text` gives. What comes to nothing is left out of the list or the object that it stands in.
    pub fn render(
        &self,
        text: &dyn Fn(&[Part]) -> Result<Option<String>>,
        value: &dyn Fn(&Part) -> Result<Option<Value>>,
    ) -> Result<Option<Value>> {
        Ok(Some(match self {
            Self::Plain(plain) => plain.clone(),
            Self::Text(parts) => match parts.as_slice() {
                [one @ (Part::Field(_) | Part::Incremental(_))] => return value(one),
                parts => return Ok(text(parts)?.map(Value::String)),
            },
            Self::List(items) => {
                let items = items.iter().filter_map(|item| item.render(text, value).transpose());
                Value::Array(items.collect::<Result<_>>()?)
            }
            Self::Object(fields) => {
                let field = |(key, item): &(Vec<Part>, Document)| Ok(text(key)?.zip(item.render(text, value)?));
                Value::Object(fields.iter().filter_map(|pair| field(pair).transpose()).collect::<Result<_>>()?)
            }
        }))
    }
}

/// Sets a value in a body, by the keys that lead to it. Objects on the way are made; false where something else stands there.
pub fn set(body: &mut Value, path: &[String], value: Value) -> bool {
    let mut at = body;
    for key in path {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(fields) = at else { return false };
        at = fields.entry(key.as_str()).or_insert(Value::Null);
    }
    *at = value;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_on_the_way_are_made() {
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let mut body = json!({"q": "x", "page": {"size": 2}, "n": null});
        assert!(set(&mut body, &path("page.after"), json!("c")));
        assert!(set(&mut body, &path("n.a.b"), json!(1)));
        assert!(!set(&mut body, &path("q.a"), json!(1)));
        assert_eq!(body, json!({"q": "x", "page": {"size": 2, "after": "c"}, "n": {"a": {"b": 1}}}));
        let mut none = Value::Null;
        assert!(set(&mut none, &path("a"), json!(1)));
        assert_eq!(none, json!({"a": 1}));
    }
}
