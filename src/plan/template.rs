//! Texts with placeholders: `{name}` for a variable, `{resources.parent.field}` for a field of a parent's record,
//! `{incremental.start_value}` and its like for the range that is read, `{{` and `}}` for braces.

use crate::error::Error;
use crate::incremental::Bound;
use std::fmt;

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// A bare name, bound by what the run gives.
    Variable(String),
    /// A field of a parent's record.
    Field(Field),
    /// A value of the range that is read.
    Incremental(Bound),
    /// A secret that no host took out of the configuration.
    Secret(String),
}

/// A field of the records of a resource that another resource depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// The resource.
    pub resource: String,
    /// The field's path in a record: keys joined by dots.
    pub path: String,
}

impl Field {
    /// Reads `resource.path`; the resource's name has no dot.
    pub fn parse(text: &str) -> Option<Self> {
        let (resource, path) = text.split_once('.')?;
        let whole = !resource.is_empty() && path.split('.').all(|key| !key.is_empty());
        whole.then(|| Self { resource: resource.to_owned(), path: path.to_owned() })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.resource, self.path)
    }
}

/// Splits a text into its parts. `pointer` is its place in the configuration.
pub fn parse(text: &str, pointer: &str) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        if let Some(after) = from.strip_prefix("{{") {
            plain.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            plain.push('}');
            rest = after;
        } else if let Some((name, after)) = from.strip_prefix('{').and_then(|from| from.split_once('}')) {
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(placeholder(name, pointer)?);
            rest = after;
        } else {
            let message = format!("a brace without its partner in \"{text}\"");
            return Err(
                Error::config(pointer, message).advice("write `{{` and `}}` for braces that stand for themselves")
            );
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() || parts.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// The parts as a person writes them.
pub fn shown(parts: &[Part]) -> String {
    let texts = parts.iter().map(|part| match part {
        Part::Text(text) => text.clone(),
        Part::Variable(name) => format!("{{{name}}}"),
        Part::Field(field) => format!("{{resources.{field}}}"),
        Part::Incremental(bound) => format!("{{incremental.{}}}", bound.name()),
        Part::Secret(name) => format!("{{secret: {name}}}"),
    });
    texts.collect()
}

fn placeholder(name: &str, pointer: &str) -> Result<Part, Error> {
    if let Some(field) = name.strip_prefix("resources.") {
        if let Some((field, spec)) = format_spec(field) {
            let message = format!("`{{{name}}}` has a format, `{spec}`, and formats are not carried out");
            return Err(Error::config(pointer, message)
                .advice(format!("write `{{resources.{field}}}`: the value is sent as the record has it")));
        }
        return Field::parse(field).map(Part::Field).ok_or_else(|| {
            Error::config(pointer, format!("`{{{name}}}` names no field"))
                .advice("write `{resources.parent.field}`, such as `{resources.applications.id}`")
        });
    }
    if let Some(value) = name.strip_prefix("incremental.") {
        let known = ["start_value", "last_value", "initial_value", "end_value"];
        return Bound::named(value).map(Part::Incremental).ok_or_else(|| {
            let advice = match crate::config::nearest(value, known.into_iter()) {
                Some(near) => format!("did you mean `{{incremental.{near}}}`?"),
                None => "write `start_value`, `last_value`, `initial_value` or `end_value` after the dot".to_owned(),
            };
            Error::config(pointer, format!("`{{{name}}}` names no value of `incremental`")).advice(advice)
        });
    }
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if !is_name {
        return Err(Error::config(pointer, format!("`{{{name}}}` is not a placeholder"))
            .advice("placeholders are `{name}` and `{resources.parent.field}`; write `{{` and `}}` for braces"));
    }
    Ok(Part::Variable(name.to_owned()))
}

/// The field and the format of a placeholder in the way of Python, `id:05d` or `id!r`. A `:` within brackets belongs to the path.
fn format_spec(text: &str) -> Option<(&str, &str)> {
    let after_brackets = text.rfind(']').map_or(0, |at| at + 1);
    let at = after_brackets + text.get(after_brackets..)?.find([':', '!'])?;
    text.split_at_checked(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_into_text_variables_and_fields() {
        let field = Field { resource: "apps".into(), path: "a.id".into() };
        assert_eq!(
            parse("/u/{user}/x{{y}}/{resources.apps.a.id}", "/p").unwrap(),
            [Part::Text("/u/".into()), Part::Variable("user".into()), Part::Text("/x{y}/".into()), Part::Field(field)]
        );
        assert_eq!(parse("", "/p").unwrap(), [Part::Text(String::new())]);
        assert_eq!(parse("{incremental.end_value}", "/p").unwrap(), [Part::Incremental(Bound::End)]);
    }

    #[test]
    fn refuses_what_is_no_placeholder() {
        for text in
            ["{", "a}b", "{}", "{a b}", "{resources.x}", "{resources..y}", "{incremental.start}", "{resources.x.}"]
        {
            assert!(parse(text, "/p").is_err(), "{text}");
        }
        for text in ["{resources.x.id:05d}", "{resources.x.a[0].id!r}"] {
            let error = parse(text, "/p").unwrap_err();
            assert!(error.message.ends_with("formats are not carried out"), "{error}");
        }
        assert!(parse("{resources.x.a[0:2]}", "/p").is_ok());
    }
}
