//! A file of secrets: TOML, laid out as dlt's `secrets.toml`.

use crate::{Class, Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use toml_edit::{Document, Item, Value};
use zeroize::Zeroizing;

/// The largest file that secrets are read from, in bytes.
pub const MAX_FILE: u64 = 64 * 1024;

/// What a file says: texts in tables.
pub enum Node {
    Text(Zeroizing<String>),
    Table(BTreeMap<String, Node>),
    /// Something that is no secret, by its kind.
    Other(&'static str),
}

impl Node {
    /// Reads a file; none where there is no file. An error never shows what stands in it.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let refuse = |message: String| Err(Error::new(Class::Auth, message).fact("file", path.display()));
        let text = match read(path) {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(None),
            Err(message) => return refuse(message),
        };
        match Document::parse(text.as_str()) {
            Ok(document) => Ok(Some(Self::of_item(document.into_item()))),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let before = text.get(..at).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                Err(Error::new(Class::Config, "the file of secrets is not valid TOML")
                    .fact("file", format!("{}:{line}:{column}", path.display()))
                    .advice("write `name = \"value\"`, with the value in quotes"))
            }
        }
    }

    /// What stands at a path.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| match node {
            Self::Table(fields) => fields.get(*key),
            _ => None,
        })
    }

    fn of_item(item: Item) -> Self {
        match item {
            Item::Value(value) => Self::of_value(value),
            Item::Table(table) => {
                Self::Table(table.into_iter().map(|(name, item)| (name, Self::of_item(item))).collect())
            }
            Item::ArrayOfTables(_) => Self::Other("a list"),
            Item::None => Self::Other("nothing"),
        }
    }

    fn of_value(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(Zeroizing::new(text.into_value())),
            Value::Integer(integer) => Self::Text(Zeroizing::new(integer.into_value().to_string())),
            Value::InlineTable(table) => {
                Self::Table(table.into_iter().map(|(name, value)| (name.to_string(), Self::of_value(value))).collect())
            }
            Value::Array(_) => Self::Other("a list"),
            Value::Float(_) => Self::Other("a number with a point"),
            Value::Boolean(_) => Self::Other("true or false"),
            Value::Datetime(_) => Self::Other("a date"),
        }
    }
}

/// The text of a file of secrets; none where there is no file. The error is a message without anything of the text.
pub fn read(path: &Path) -> Result<Option<Zeroizing<String>>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(format!("failed to open the file of a secret: {error}")),
    };
    // With room for all, so that no part of it is left behind where the text grew out of its place.
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize + 1));
    let size = file
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("failed to read the file of a secret: {error}"))?;
    if size as u64 > MAX_FILE {
        return Err(format!("the file of a secret holds more than {MAX_FILE} bytes"));
    }
    Ok(Some(text))
}
