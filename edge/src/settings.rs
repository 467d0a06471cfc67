//! What the platform's environment says.

use serde_json::{Map, Value, json};

/// The environment variable that holds the configuration: the `source` of a pipeline, as JSON.
const CONFIG: &str = "SPILE_CONFIG";

/// The environment variable that holds values of path variables: a JSON object.
const PARAMS: &str = "SPILE_PARAMS";

/// The environment variable that binds path variables to fields of parents: a JSON object.
const BINDINGS: &str = "SPILE_BINDINGS";

/// A configuration with its secrets in their places, as `source-config` wants it: each field is JSON text.
#[derive(Debug, PartialEq)]
pub struct Settings {
    /// The configuration.
    pub config: String,
    /// Values of path variables.
    pub params: String,
    /// Path variables, and the fields that fill them.
    pub bindings: String,
    /// The values of secrets that stand in it.
    secrets: Vec<String>,
}

impl Settings {
    /// Reads them from the environment. The text of an error says what is wrong and what to do; it holds no secret.
    pub fn of(environment: &[(String, String)]) -> Result<Self, String> {
        let variable =
            |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let config = variable(CONFIG).ok_or_else(|| {
            format!("there is no configuration: set the environment variable {CONFIG} to the `source` of a pipeline, as JSON")
        })?;
        let mut config = parsed(CONFIG, config)?;
        let mut secrets = Vec::new();
        fill(&mut config, "", &mut |slot| {
            let value = variable(&variable_of(slot))?.to_owned();
            secrets.push(value.clone());
            Some(value)
        })?;
        let object = |name| variable(name).map_or_else(|| Ok(Map::new().into()), |text| parsed(name, text));
        Ok(Self {
            config: config.to_string(),
            params: object(PARAMS)?.to_string(),
            bindings: object(BINDINGS)?.to_string(),
            secrets,
        })
    }

    /// Takes secrets out of a text that is told, also where they stand as in a URL or in JSON.
    pub fn redacted(&self, text: &str) -> String {
        let forms = self.secrets.iter().filter(|secret| !secret.is_empty()).flat_map(|secret| {
            let encoded = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
            let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let json = Value::from(secret.as_str()).to_string();
            // Just the quotes around it: the secret may have some of its own.
            let json = json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned();
            [secret.clone(), encoded, form, json]
        });
        let mut forms: Vec<String> = forms.collect();
        // The longest first: a secret that holds another one leaves nothing.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.iter().fold(text.to_owned(), |text, form| text.replace(form, "***"))
    }
}

/// A JSON object. The reason that it is none is told by place only, since the text may hold secrets.
fn parsed(name: &str, text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(format!("the environment variable {name} is not a JSON object")),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            Err(format!("the environment variable {name} is not JSON: see line {line}, column {column}"))
        }
    }
}

/// The variable with a secret's value, as the program names it: `SPILE_SECRET_API_KEY` for `api_key`.
fn variable_of(slot: &str) -> String {
    format!("SPILE_SECRET_{}", slot.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

/// Puts the values of secrets in the places of `{"secret": name}`. `pointer` is where the value stands.
fn fill(value: &mut Value, pointer: &str, secret: &mut dyn FnMut(&str) -> Option<String>) -> Result<(), String> {
    if let Value::Object(fields) = value
        && fields.len() == 1
        && let Some(Value::String(slot)) = fields.get("secret")
    {
        let found = secret(slot).ok_or_else(|| {
            format!("the secret `{slot}` has no value: set the environment variable {}", variable_of(slot))
        })?;
        *value = if is_plain(pointer) { found.into() } else { json!({"raw_string": found}) };
        return Ok(());
    }
    match value {
        Value::Object(fields) => {
            fields.iter_mut().try_for_each(|(name, value)| fill(value, &format!("{pointer}/{name}"), secret))
        }
        Value::Array(items) => {
            items.iter_mut().enumerate().try_for_each(|(at, value)| fill(value, &format!("{pointer}/{at}"), secret))
        }
        _ => Ok(()),
    }
}

/// In `client` and in the `auth` of an endpoint a text is sent as it is; elsewhere it is a template, but for a raw string.
fn is_plain(pointer: &str) -> bool {
    let path: Vec<_> = pointer.split('/').skip(1).collect();
    matches!(
        path[..],
        ["client", ..] | ["resources", _, "endpoint", "auth", ..] | ["resource_defaults", "endpoint", "auth", ..]
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let owned: Vec<_> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::of(&owned)
    }

    #[test]
    fn secrets_stand_in_their_places() {
        let config =
            r#"{"client": {"auth": {"token": {"secret": "api-key"}, "secret": "not a slot"}}, "resources": ["a"]}"#;
        let found =
            settings(&[("HOME", "/"), (CONFIG, config), ("SPILE_SECRET_API_KEY", "s3cret"), (PARAMS, r#"{"a": 1}"#)]);
        let expected = Settings {
            config: r#"{"client":{"auth":{"token":"s3cret","secret":"not a slot"}},"resources":["a"]}"#.to_owned(),
            params: r#"{"a":1}"#.to_owned(),
            bindings: "{}".to_owned(),
            secrets: vec!["s3cret".to_owned()],
        };
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn where_texts_are_templates_a_secret_is_none() {
        let slot = r#"{"secret":"a"}"#;
        let config = |client: &str, auth: &str, params: &str| {
            format!(
                r#"{{"client":{{"headers":{{"x":{client}}}}},"resources":[{{"endpoint":{{"auth":{auth},"params":{{"auth":{params}}}}}}}]}}"#
            )
        };
        let variables = [(CONFIG, config(slot, slot, slot)), ("SPILE_SECRET_A", "{b}".to_owned())];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        let found = Settings::of(&variables).map(|settings| settings.config);
        let expected = config(r#""{b}""#, r#""{b}""#, r#"{"raw_string":"{b}"}"#);
        let expected = expected.as_str();
        assert_eq!(found.as_deref(), Ok(expected));
    }

    #[test]
    fn secrets_are_taken_out_of_what_is_told() {
        let config = r#"{"client":{"a":{"secret":"a"}}}"#;
        let settings = settings(&[(CONFIG, config), ("SPILE_SECRET_A", "s3 \"c/")]);
        let told = settings.map(|settings| settings.redacted(r#"s3 "c/ s3%20%22c%2F s3+%22c%2F s3 \"c/ s3"#));
        assert_eq!(told.as_deref(), Ok("*** *** *** *** s3"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (variables, expected) in [
            (&[] as &[_], "set the environment variable SPILE_CONFIG"),
            (&[(CONFIG, "[]")], "SPILE_CONFIG is not a JSON object"),
            (&[(CONFIG, "{\"token\": \"s3cret\",\n x")], "SPILE_CONFIG is not JSON: see line 2, column 2"),
            (&[(CONFIG, "{}"), (PARAMS, "1")], "SPILE_PARAMS is not a JSON object"),
            (
                &[(CONFIG, r#"{"a": [{"secret": "k"}]}"#)],
                "`k` has no value: set the environment variable SPILE_SECRET_K",
            ),
        ] {
            let error = settings(variables).unwrap_err();
            assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
        }
    }
}
