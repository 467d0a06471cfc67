//! What is done about responses that the configuration singles out, whatever their status (reference, section 7.1;
//! `response_actions`).

use crate::config::model::{Action, ResponseAction};
use crate::error::{Error, Result};
use crate::expression::{self, Expression};
use crate::request::Response;
use crate::select::Selector;
use crate::statuses::Statuses;
use serde_json::{Map, Value};
use std::cell::OnceCell;

/// The rules of an endpoint, in their order: the first whose conditions all hold decides.
#[derive(Default)]
pub struct Actions(Vec<Rule>);

struct Rule {
    statuses: Option<Statuses>,
    content: Option<String>,
    path: Option<Selector>,
    when: Option<Expression>,
    decision: Decision,
}

/// What is done about a response.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What.
    pub action: Action,
    /// What an error of it says.
    pub message: Option<String>,
    /// The place of the rule in the configuration.
    pub pointer: String,
}

impl Actions {
    /// Compiles the rules, whose place in the configuration is `pointer`.
    pub fn new(rules: &[ResponseAction], pointer: &str) -> Result<Self> {
        let rule = |(index, rule): (usize, &ResponseAction)| Rule::new(rule, format!("{pointer}/{index}"));
        rules.iter().enumerate().map(rule).collect::<Result<_>>().map(Self)
    }

    /// What is done about a response, if a rule is for it. An expression that does not fit the response is an error.
    pub fn decide(&self, response: &Response) -> Result<Option<&Decision>> {
        let (text, body) = (OnceCell::new(), OnceCell::new());
        let text = || text.get_or_init(|| String::from_utf8_lossy(&response.body));
        // What is no JSON is null to the conditions.
        let body = || body.get_or_init(|| serde_json::from_slice(response.json()).unwrap_or(Value::Null));
        for rule in &self.0 {
            let fits = rule.statuses.as_ref().is_none_or(|statuses| statuses.contain(response.status))
                && rule.content.as_ref().is_none_or(|content| text().contains(content))
                && rule.path.as_ref().is_none_or(|path| path.all(body()).into_iter().any(says_something));
            if !fits {
                continue;
            }
            let value_of = |name: &str| match name {
                "status" => expression::value(&Value::from(response.status)),
                "headers" => expression::value(&headers(response)),
                _ => expression::value(body()),
            };
            if rule.when.as_ref().map_or(Ok(true), |when| when.holds(value_of))? {
                return Ok(Some(&rule.decision));
            }
        }
        Ok(None)
    }
}

impl Rule {
    fn new(rule: &ResponseAction, pointer: String) -> Result<Self> {
        let at = |key: &str| format!("{pointer}/{key}");
        let content = rule.content.clone().filter(|content| !content.is_empty());
        if rule.status_code.is_none() && content.is_none() && rule.path.is_none() && rule.when.is_none() {
            let message = "the action has no condition: it would be done about every response";
            return Err(
                Error::config(pointer, message).advice("write `status_code`, `content`, `path` or `when` beside it")
            );
        }
        let statuses = rule.status_code.as_ref();
        let when = rule.when.as_deref();
        let variables = ["status", "body", "headers"];
        let action = if rule.action == Action::Raise { Action::Fail } else { rule.action };
        Ok(Self {
            statuses: statuses.map(|statuses| Statuses::one_or_many(statuses, &at("status_code"))).transpose()?,
            content,
            path: rule.path.as_deref().map(|path| Selector::parse(path, &at("path"))).transpose()?,
            when: when.map(|when| Expression::parse(when, &variables, "when", &at("when"))).transpose()?,
            decision: Decision { action, message: rule.message.clone(), pointer },
        })
    }
}

/// Whether a value is neither null, false, 0 nor empty.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_true) => *is_true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// The headers by name; of several with one name the first.
fn headers(response: &Response) -> Value {
    let mut headers = Map::new();
    for (name, value) in &response.headers {
        headers.entry(name.clone()).or_insert_with(|| Value::String(value.clone()));
    }
    Value::Object(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn actions(rules: Value) -> Result<Actions> {
        let rules: Vec<ResponseAction> = serde_json::from_value(rules).unwrap();
        Actions::new(&rules, "/r")
    }

    fn response(status: u16, body: &str) -> Response {
        let headers = vec![("x-error".to_owned(), "quota".to_owned())];
        Response { status, headers, body: body.as_bytes().to_vec() }
    }

    fn decided(rules: Value, status: u16, body: &str) -> Option<Action> {
        actions(rules).unwrap().decide(&response(status, body)).unwrap().map(|decision| decision.action)
    }

    #[test]
    fn all_conditions_of_a_rule_hold_and_the_first_rule_decides() {
        let rules = json!([
            {"status_code": [404, "5xx"], "content": "gone", "action": "ignore"},
            {"status_code": "4xx", "action": "end"},
            {"path": "$.errors[*].code", "action": "retry"},
            {"when": "status == 200 and body.ok is false and headers['x-error'] == 'quota'", "action": "raise"},
        ]);
        let of = |status, body: &str| decided(rules.clone(), status, body);
        assert_eq!(of(404, "all gone"), Some(Action::Ignore));
        assert_eq!(of(503, "gone"), Some(Action::Ignore));
        assert_eq!(of(404, "lost"), Some(Action::End));
        assert_eq!(of(200, r#"{"errors": [{"code": 0}, {"code": 7}]}"#), Some(Action::Retry));
        assert_eq!(of(200, r#"{"errors": [], "ok": false}"#), Some(Action::Fail));
        assert_eq!(of(200, r#"{"errors": []}"#), None);
        assert_eq!(of(503, "not JSON"), None);
    }

    #[test]
    fn a_path_finds_what_says_something() {
        let of = |body: Value| decided(json!([{"path": "error", "action": "fail"}]), 200, &body.to_string()).is_some();
        for nothing in [json!(null), json!(false), json!(0), json!(0.0), json!(""), json!([]), json!({})] {
            assert!(!of(json!({"error": nothing})), "{nothing}");
        }
        assert!(of(json!({"error": "x"})) && of(json!({"error": [0]})) && !of(json!({})));
        assert!(decided(json!([{"path": "error", "action": "fail"}]), 200, "\u{feff}{\"error\": 1}").is_some());
    }

    #[test]
    fn what_cannot_be_a_rule_is_told_with_its_place() {
        for (rule, place) in [
            (json!({"action": "ignore"}), "/r/0"),
            (json!({"action": "ignore", "content": ""}), "/r/0"),
            (json!({"action": "ignore", "status_code": "40x"}), "/r/0/status_code"),
            (json!({"action": "ignore", "path": "a["}), "/r/0/path"),
            (json!({"action": "ignore", "when": "body."}), "/r/0/when"),
            (json!({"action": "ignore", "when": "record.id"}), "/r/0/when"),
        ] {
            let error = actions(json!([rule])).err().unwrap();
            assert_eq!(error.pointer.as_deref(), Some(place), "{rule}");
        }
    }

    #[test]
    fn an_expression_that_does_not_fit_the_response_is_an_error() {
        let rules = actions(json!([{"when": "body.n + 1 > 2", "action": "fail"}])).unwrap();
        assert!(rules.decide(&response(200, r#"{"n": 2}"#)).unwrap().is_some());
        assert!(rules.decide(&response(200, r#"{"n": []}"#)).is_err());
    }
}
