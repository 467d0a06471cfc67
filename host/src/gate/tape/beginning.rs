//! What decides what a connector does, apart from what it is answered.

use crate::changes::shown;
use crate::digest::sha256;
use crate::gate::redactor::Redactor;
use crate::{Class, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How many characters of a value a message shows.
const SHOWN: usize = 100;

/// What a call of a connector begins with, part by part: [`Part`].
pub struct Beginning {
    /// The load that its rows belong to; a replay has that of the tape.
    pub load_id: String,
    /// All that must be the same for a replay, each by name.
    pub parts: Vec<(Part, String)>,
}

/// Something that must be the same for a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What is done with the connector: `run`, `check` or `preview`.
    Command,
    /// The digest of the component.
    Component,
    /// The source, without its credentials.
    Config,
    /// Values of path variables.
    Params,
    /// Fields that fill path variables.
    Bindings,
    /// The resources that were asked for.
    Resources,
    /// How much of them.
    Extent,
    /// How many requests may be in flight.
    Window,
    /// How large batches are.
    Batches,
    /// The digest of the state.
    State,
    /// The digest of the schema.
    Schema,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Component => "component",
            Self::Config => "config",
            Self::Params => "params",
            Self::Bindings => "bindings",
            Self::Resources => "resources",
            Self::Extent => "extent",
            Self::Window => "window",
            Self::Batches => "batches",
            Self::State => "state",
            Self::Schema => "schema",
        }
    }

    /// What to do where it differs.
    fn advice(self) -> &'static str {
        match self {
            Self::Command => "replay it with the command that recorded it",
            Self::Component => "replay it with the component that recorded it, or record anew",
            Self::Config => "replay it with the file that it was recorded with, or record anew",
            Self::Params => "give the same values with --param, or record anew",
            Self::Bindings => "give the same fields with --bind, or record anew",
            Self::Resources => "ask for the same resources, or record anew",
            Self::Extent => "give the same --since, --until and --full-refresh, or record anew",
            Self::Window => "give the same --window, or record anew",
            Self::Batches => "give the same --commit-rows or --rows, or record anew",
            Self::State | Self::Schema => BEGIN_ANEW,
        }
    }
}

/// What to do where the destination is not as it was.
const BEGIN_ANEW: &str = "replay into a destination that is as it was before the recorded run; for a pipeline's first run that is \
     a new one, such as --to duckdb:replay.duckdb";

/// A beginning as it stands on a tape. Values are for people, digests decide.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Written {
    pub load_id: String,
    pub digests: BTreeMap<String, String>,
    values: BTreeMap<String, Value>,
}

impl Written {
    pub fn new(beginning: &Beginning, redactor: &Redactor) -> Self {
        let parts = beginning.parts.iter();
        Self {
            load_id: beginning.load_id.clone(),
            digests: parts.clone().map(|(part, text)| (part.name().to_owned(), sha256(text))).collect(),
            values: parts.map(|(part, text)| (part.name().to_owned(), value(&redactor.redact(text)))).collect(),
        }
    }

    /// The text of a part, where that is no JSON.
    pub fn text_of(&self, part: Part) -> Option<&str> {
        self.values.get(part.name())?.as_str()
    }

    /// Fails where a part differs from how it stands on the tape.
    pub fn check(&self, beginning: &Beginning) -> Result<()> {
        let mut differing = beginning
            .parts
            .iter()
            .filter(|(part, text)| self.digests.get(part.name()) != Some(&sha256(text)))
            .peekable();
        let Some((first, _)) = differing.peek() else { return Ok(()) };
        let error = Error::new(Class::Config, "the tape is of another run").advice(first.advice());
        Err(differing.fold(error, |error, (part, text)| {
            let recorded = self.values.get(part.name()).unwrap_or(&Value::Null);
            error.fact(part.name(), difference(recorded, &value(text)))
        }))
    }
}

/// JSON as such, so that a person can read it and differences have a place in it; other texts as they are.
fn value(text: &str) -> Value {
    let document = text.starts_with(['{', '[']).then(|| serde_json::from_str(text).ok());
    document.flatten().unwrap_or_else(|| text.into())
}

/// The first place at which two values differ, and how.
fn difference(recorded: &Value, now: &Value) -> String {
    let (pointer, recorded, now) = first_difference(recorded, now, String::new());
    let text = |value: Option<&Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) if pointer.is_empty() => shown(text, SHOWN),
        Some(value) => shown(&value.to_string(), SHOWN),
    };
    let place = if pointer.is_empty() { String::new() } else { format!("{pointer} is ") };
    format!("{place}{} on the tape, {} now", text(recorded), text(now))
}

fn first_difference<'v>(
    recorded: &'v Value,
    now: &'v Value,
    pointer: String,
) -> (String, Option<&'v Value>, Option<&'v Value>) {
    let below = |key: &str| format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
    let pairs: Vec<(String, Option<&Value>, Option<&Value>)> = match (recorded, now) {
        (Value::Object(recorded), Value::Object(now)) => {
            let added = now.keys().filter(|key| !recorded.contains_key(*key));
            recorded.keys().chain(added).map(|key| (below(key), recorded.get(key), now.get(key))).collect()
        }
        (Value::Array(recorded), Value::Array(now)) => (0..recorded.len().max(now.len()))
            .map(|index| (below(&index.to_string()), recorded.get(index), now.get(index)))
            .collect(),
        _ => return (pointer, Some(recorded), Some(now)),
    };
    match pairs.into_iter().find(|(_, recorded, now)| recorded != now) {
        Some((pointer, Some(recorded), Some(now))) => first_difference(recorded, now, pointer),
        Some(difference) => difference,
        // The texts differ, and not what they say.
        None => (pointer, Some(recorded), Some(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning(parts: &[(Part, &str)]) -> Beginning {
        let parts = parts.iter().map(|(part, text)| (*part, (*text).to_owned())).collect();
        Beginning { load_id: "1".to_owned(), parts }
    }

    #[test]
    fn what_differs_is_told_with_its_place() {
        let config = r#"{"client": {"base_url": "http://a"}, "resources": ["a"]}"#;
        let recorded = beginning(&[(Part::Config, config), (Part::Window, "8"), (Part::State, "abc")]);
        let written = Written::new(&recorded, &Redactor::default());
        assert!(written.check(&recorded).is_ok());
        let other = config.replace(r#"["a"]"#, r#"["a", "b"]"#);
        let error = written.check(&beginning(&[(Part::Config, &other), (Part::Window, "4")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the tape is of another run; config: /resources/1 is nothing on the tape, "b" now; window: 8 on the tape, 4 now"#
        );
        assert!(error.advice.unwrap().contains("with the file"));
    }

    #[test]
    fn a_secret_in_a_value_is_not_written_and_does_not_matter() {
        let recorded = beginning(&[(Part::Params, r#"{"user": "acme"}"#)]);
        let written = Written::new(&recorded, &Redactor::new(["acme"]));
        assert!(!serde_json::to_string(&written).unwrap().contains("acme"));
        assert!(written.check(&recorded).is_ok());
    }
}
