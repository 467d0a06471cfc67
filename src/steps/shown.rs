//! A record as an error shows it.

use crate::request::names_credential;
use crate::response::printable;
use serde_json::Value;

/// How many characters of a value are shown.
const OF_VALUE: usize = 40;

/// How many characters are shown in all.
const OF_RECORD: usize = 500;

/// Words in the names of credentials.
const SECRET: [&str; 7] = ["apikey", "api_key", "authorization", "credential", "password", "secret", "token"];

/// A record, shortened, and with `***` for what commonly is a credential.
pub fn shown(record: &Value) -> String {
    let mut text = String::new();
    write(record, &mut text);
    match text.char_indices().nth(OF_RECORD - 1) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Stops once there is more than is shown.
fn write(value: &Value, text: &mut String) {
    let is_full = |text: &String| text.len() > OF_RECORD * 4;
    match value {
        Value::Object(fields) => {
            text.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                if is_full(text) {
                    return;
                }
                text.push_str(if index == 0 { "" } else { ", " });
                text.push_str(&quoted(key));
                text.push_str(": ");
                if is_secret(key) {
                    text.push_str("***");
                } else {
                    write(value, text);
                }
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if is_full(text) {
                    return;
                }
                text.push_str(if index == 0 { "" } else { ", " });
                write(item, text);
            }
            text.push(']');
        }
        Value::String(string) => text.push_str(&quoted(string)),
        other => text.push_str(&cut(&other.to_string())),
    }
}

/// Whether what has this name may be a credential. Here a word within the name is enough.
fn is_secret(key: &str) -> bool {
    let name = key.to_lowercase();
    names_credential(key) || SECRET.iter().any(|word| name.contains(word))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", cut(&printable(&cut(text))))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(OF_VALUE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().trim_end_matches('…')),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn values_are_cut_and_credentials_left_out() {
        let record = json!({"id": 7, "note": "é".repeat(50), "Api_Key": "hunter2", "user": {"oldPassword": ["hunter2"]},
            "tags": ["a\u{1b}[0m", null, 1.50]});
        assert_eq!(
            shown(&record),
            format!(
                "{{\"id\": 7, \"note\": \"{}…\", \"Api_Key\": ***, \"user\": {{\"oldPassword\": ***}}, \"tags\": [\"a [0m\", null, 1.5]}}",
                "é".repeat(40)
            )
        );
        assert_eq!(shown(&json!(vec![0; 1000])).chars().count(), 500);
        assert_eq!(shown(&json!("x")), "\"x\"");
    }

    proptest! {
        #[test]
        fn never_too_long(texts in prop::collection::vec(".{0,60}", 0..60)) {
            let shown = shown(&json!(texts));
            prop_assert!(shown.chars().count() <= OF_RECORD);
        }
    }
}
