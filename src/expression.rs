//! Expressions in configurations: Jinja's expression language, over values that the rule which has them names.

mod json;
mod language;
pub mod times;

use crate::error::{Error, Kind, Result};
pub use json::value;
use language::environment;
use minijinja::ErrorKind;
pub use minijinja::Value;
use minijinja::value::ValueKind;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The longest text of an expression, in bytes.
const LONGEST: usize = 4096;

/// A compiled expression.
pub struct Expression {
    compiled: minijinja::Expression<'static, 'static>,
    /// The variables that it uses.
    variables: BTreeSet<String>,
    /// The fields that it uses of each, as keys; none where it uses the whole.
    fields: BTreeMap<String, Option<Vec<Vec<String>>>>,
    /// The keys, the variable first, where it is nothing but a path.
    bare: Option<Vec<String>>,
    /// What has it, such as `stop_when`.
    what: &'static str,
}

impl Expression {
    /// Compiles an expression over these variables. `what` names the rule that has it, `pointer` its place in the configuration.
    pub fn parse(text: &str, variables: &[&str], what: &'static str, pointer: &str) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(Error::config(pointer, format!("the expression has more than {LONGEST} bytes")));
        }
        // A template is what many expect.
        let trimmed = text.trim();
        let inner = trimmed.strip_prefix("{{").and_then(|text| text.strip_suffix("}}")).unwrap_or(trimmed);
        let compiled = environment().compile_expression_owned(inner.to_owned()).map_err(|error| {
            let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            Error::config(pointer, format!("\"{text}\" is not an expression: {why}"))
                .advice(format!("expressions are Jinja's, over {}", listed(variables)))
        })?;
        let used: BTreeSet<String> = compiled.undeclared_variables(false).into_iter().collect();
        if let Some(unknown) = used.iter().find(|name| !variables.contains(&name.as_str())) {
            let advice = match crate::config::nearest(unknown, variables.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the variables here are {}", listed(variables)),
            };
            return Err(Error::config(pointer, format!("there is no variable `{unknown}` here")).advice(advice));
        }
        let keys: Vec<String> = inner.trim().split('.').map(str::to_owned).collect();
        let is_bare = keys.iter().all(|key| {
            let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
            key.starts_with(is_letter) && key.chars().all(|c| is_letter(c) || c.is_ascii_digit())
        });
        // `true` is a path by its form.
        let bare = keys.first().filter(|first| is_bare && used.contains(*first)).map(|_| keys.clone());
        let mut fields: BTreeMap<String, Option<Vec<Vec<String>>>> = BTreeMap::new();
        for path in compiled.undeclared_variables(true).into_iter().collect::<BTreeSet<_>>() {
            let mut keys = path.split('.').map(str::to_owned);
            let of_variable = fields.entry(keys.next().unwrap_or_default()).or_insert_with(|| Some(Vec::new()));
            let keys: Vec<String> = keys.collect();
            match of_variable {
                Some(paths) if !keys.is_empty() => paths.push(keys),
                _ => *of_variable = None,
            }
        }
        Ok(Self { compiled, variables: used, fields, bare, what })
    }

    /// Whether it uses a variable.
    pub fn uses(&self, variable: &str) -> bool {
        self.variables.contains(variable)
    }

    /// The fields of a variable that it uses, as keys, sorted; none where it uses the variable as a whole.
    pub fn fields_of(&self, variable: &str) -> Option<&[Vec<String>]> {
        self.fields.get(variable).map_or(Some(&[][..]), Option::as_deref)
    }

    /// The keys of the value, the variable first, where the expression is nothing but a path such as `record.a.b`.
    pub fn path(&self) -> Option<&[String]> {
        self.bare.as_deref()
    }

    /// Whether it holds, where `value_of` gives the values of its variables.
    pub fn holds(&self, value_of: impl Fn(&str) -> Value) -> Result<bool> {
        self.eval(value_of).map(|value| value.is_true())
    }

    /// Its value as JSON.
    pub fn json(&self, value_of: impl Fn(&str) -> Value) -> Result<Json> {
        let value = self.eval(value_of)?;
        json::of(&value).map_err(|why| self.failed(&why))
    }

    fn eval(&self, value_of: impl Fn(&str) -> Value) -> Result<Value> {
        let context = self.variables.iter().map(|name| (name.as_str(), value_of(name)));
        match self.compiled.eval(Value::from_pairs(context)) {
            // An error that was put off, such as a comparison that cannot be made.
            Ok(value) if value.kind() == ValueKind::Invalid => Err(self.failed("it has no value")),
            Ok(value) => Ok(value),
            Err(error) if error.kind() == ErrorKind::OutOfFuel => {
                let message = format!("`{}` takes more than {} steps", self.what, language::FUEL);
                Err(Error::new(Kind::Limit, message).advice("make the expression simpler"))
            }
            Err(error) => Err(self.failed(&error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))),
        }
    }

    fn failed(&self, why: &str) -> Error {
        Error::new(Kind::Upstream, format!("`{}` failed: {why}", self.what))
            .advice("the expression does not fit what the API answered")
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod checks {
    use super::*;
    use serde_json::json;

    fn holds(text: &str, response: Json) -> Result<bool> {
        Expression::parse(text, &["response", "page"], "stop_when", "/p")?.holds(|name| match name {
            "response" => value(&response),
            _ => value(&json!({"index": 3})),
        })
    }

    #[test]
    fn conditions_hold_or_not() {
        let response =
            json!({"meta": {"done": true, "left": 0}, "list": [1, 2.5], "big": 18_446_744_073_709_551_615u64});
        for text in [
            "response.meta.done",
            "{{ response.meta.left == 0 }}",
            "response.list|length == 2 and response.list[1] == 2.5",
            "response.nope.deeper is undefined",
            "page.index >= 3",
            "response.big > 9223372036854775807",
            "'done' in response.meta",
            "response.list|max > 2",
        ] {
            assert_eq!(holds(text, response.clone()), Ok(true), "{text}");
        }
        for text in ["response.nope", "response.meta.left", "response.list is string", "page.number"] {
            assert_eq!(holds(text, response.clone()), Ok(false), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_told_with_its_place() {
        let error = |text: &str| {
            let error = holds(text, json!({})).unwrap_err();
            (error.pointer.unwrap(), error.message, error.advice.unwrap())
        };
        let (pointer, message, advice) = error("response.");
        assert_eq!(pointer, "/p");
        assert!(message.starts_with("\"response.\" is not an expression: "), "{message}");
        assert_eq!(advice, "expressions are Jinja's, over `response`, `page`");
        let (_, message, advice) = error("respons.done");
        assert_eq!((&*message, &*advice), ("there is no variable `respons` here", "did you mean `response`?"));
        assert!(holds(&"(".repeat(5000), json!({})).is_err());
        assert!(holds(&"(".repeat(2000), json!({})).is_err());
        assert!(holds(&"[".repeat(2000), json!({})).is_err());
        assert!(holds("", json!({})).is_err());
    }

    #[test]
    fn cost_is_bounded() {
        let long = json!(vec!["a"; 100_000]);
        assert_eq!(holds("response|join|length == 100000 and response|last == 'a'", long), Ok(true));
        for text in ["response|nofilter", "response + 1", "'a' * 100000000000"] {
            assert!(holds(text, json!({})).is_err(), "{text}");
        }
    }
}
