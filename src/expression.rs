//! Expressions in configurations: Jinja's expression language, over values that the rule which has them names.

use crate::error::{Error, Kind, Result};
use minijinja::value::ValueKind;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, filters, tests};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// How many steps of its virtual machine an evaluation may take; a condition takes some tens.
const FUEL: u64 = 1_000_000;

/// The longest text of an expression, in bytes.
const LONGEST: usize = 4096;

/// A compiled expression.
pub struct Expression {
    compiled: minijinja::Expression<'static, 'static>,
    /// The variables that it uses.
    variables: BTreeSet<String>,
    /// What has it, such as `stop_when`.
    what: &'static str,
}

/// The one environment of all expressions: of the language's own filters and tests those that look at data. The others shape
/// documents, and would be a tenth of the component.
fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::empty();
        environment.add_filter("abs", filters::abs);
        environment.add_filter("count", filters::length);
        environment.add_filter("d", filters::default);
        environment.add_filter("default", filters::default);
        environment.add_filter("first", filters::first);
        environment.add_filter("float", filters::float);
        environment.add_filter("int", filters::int);
        environment.add_filter("join", filters::join);
        environment.add_filter("last", filters::last);
        environment.add_filter("length", filters::length);
        environment.add_filter("list", filters::list);
        environment.add_filter("lower", filters::lower);
        environment.add_filter("max", filters::max);
        environment.add_filter("min", filters::min);
        environment.add_filter("replace", filters::replace);
        environment.add_filter("split", filters::split);
        environment.add_filter("string", filters::string);
        environment.add_filter("sum", filters::sum);
        environment.add_filter("trim", filters::trim);
        environment.add_filter("upper", filters::upper);
        environment.add_test("boolean", tests::is_boolean);
        environment.add_test("defined", tests::is_defined);
        environment.add_test("endingwith", tests::is_endingwith);
        environment.add_test("false", tests::is_false);
        environment.add_test("float", tests::is_float);
        environment.add_test("in", tests::is_in);
        environment.add_test("integer", tests::is_integer);
        environment.add_test("iterable", tests::is_iterable);
        environment.add_test("mapping", tests::is_mapping);
        environment.add_test("none", tests::is_none);
        environment.add_test("number", tests::is_number);
        environment.add_test("sequence", tests::is_sequence);
        environment.add_test("startingwith", tests::is_startingwith);
        environment.add_test("string", tests::is_string);
        environment.add_test("true", tests::is_true);
        environment.add_test("undefined", tests::is_undefined);
        // What an API left out is nothing, however deep it is asked for.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_fuel(Some(FUEL));
        environment
    })
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
        Ok(Self { compiled, variables: used, what })
    }

    /// Whether it holds, where `value_of` gives the values of its variables.
    pub fn holds(&self, value_of: impl Fn(&str) -> Json) -> Result<bool> {
        let context = self.variables.iter().map(|name| (name.as_str(), value(&value_of(name))));
        match self.compiled.eval(Value::from_pairs(context)) {
            // An error that was put off, such as a comparison that cannot be made.
            Ok(value) if value.kind() == ValueKind::Invalid => Err(self.failed("it has no value")),
            Ok(value) => Ok(value.is_true()),
            Err(error) if error.kind() == ErrorKind::OutOfFuel => {
                let message = format!("`{}` takes more than {FUEL} steps", self.what);
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

/// A JSON value as the language has it. Numbers that no 64 bits hold become doubles.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(boolean) => Value::from(*boolean),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(whole)) => Value::from(whole),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(value).collect(),
        Json::Object(fields) => Value::from_pairs(fields.iter().map(|(key, item)| (key.as_str(), value(item)))),
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
            "response" => response.clone(),
            _ => json!({"index": 3}),
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
