//! Passes over a document once: of what is beside the records a tree is made, of the records only where they stand.

use jiter::{Jiter, JiterError, Peek};
use serde_json::{Map, Value};
use std::ops::Range;

/// A document without its records.
pub struct Skimmed {
    /// The document. The list of records is empty in it; one record that stands alone is there.
    pub head: Value,
    /// Where the records stand; none where nothing stands at the path.
    pub records: Option<Vec<Range<usize>>>,
}

/// Finds the records at a path of keys: the items of a list, or what else stands there; null is no record.
///
/// # Errors
/// The text is not valid JSON.
pub fn skim(text: &str, keys: &[String]) -> Result<Skimmed, String> {
    let mut records = None;
    let head = whole(text, |input| at(text, input, keys, &mut records))?;
    Ok(Skimmed { head, records })
}

/// A document with at most two items of each list: the first one, and the first one that is no scalar. That is enough to find
/// out where its records are.
///
/// # Errors
/// The text is not valid JSON.
pub fn outline(text: &str) -> Result<Value, String> {
    whole(text, |input| {
        let peek = input.peek()?;
        outline_of(text, input, peek)
    })
}

/// Whether a text is one document.
///
/// # Errors
/// The text is not valid JSON.
pub fn check(text: &str) -> Result<(), String> {
    whole(text, |input| {
        input.next_skip()?;
        Ok(Value::Null)
    })
    .map(drop)
}

/// Why a text is no JSON.
enum Broken {
    At(JiterError),
    Within(serde_json::Error),
}

impl From<JiterError> for Broken {
    fn from(error: JiterError) -> Self {
        Self::At(error)
    }
}

/// What is read of a text that holds one document and nothing else.
fn whole(text: &str, read: impl FnOnce(&mut Jiter<'_>) -> Result<Value, Broken>) -> Result<Value, String> {
    let mut input = Jiter::new(text.as_bytes());
    let found = read(&mut input).and_then(|found| Ok(input.finish().map(|()| found)?));
    found.map_err(|error| match error {
        Broken::At(error) => error.description(&input),
        Broken::Within(error) => error.to_string(),
    })
}

fn outline_of(text: &str, input: &mut Jiter<'_>, peek: Peek) -> Result<Value, Broken> {
    match peek {
        Peek::Array => {
            let mut items = Vec::new();
            let mut has_inner = false;
            let mut next = input.known_array()?;
            while let Some(peek) = next {
                let is_inner = matches!(peek, Peek::Array | Peek::Object);
                if items.is_empty() || (is_inner && !has_inner) {
                    items.push(outline_of(text, input, peek)?);
                    has_inner |= is_inner;
                } else {
                    input.known_skip(peek)?;
                }
                next = input.array_step()?;
            }
            Ok(Value::Array(items))
        }
        Peek::Object => {
            let mut fields = Map::new();
            let mut next = input.known_object()?.map(str::to_owned);
            while let Some(key) = next {
                let peek = input.peek()?;
                fields.insert(key, outline_of(text, input, peek)?);
                next = input.next_key()?.map(str::to_owned);
            }
            Ok(Value::Object(fields))
        }
        _ => tree(text, input, peek),
    }
}

fn at(
    text: &str,
    input: &mut Jiter<'_>,
    keys: &[String],
    records: &mut Option<Vec<Range<usize>>>,
) -> Result<Value, Broken> {
    let peek = input.peek()?;
    match (keys.split_first(), peek) {
        (None, Peek::Array) => {
            let mut spans = Vec::new();
            let mut next = input.known_array()?;
            while let Some(peek) = next {
                let start = input.current_index();
                input.known_skip(peek)?;
                spans.push(start..input.current_index());
                next = input.array_step()?;
            }
            *records = Some(spans);
            Ok(Value::Array(Vec::new()))
        }
        (None, _) => {
            let start = input.current_index();
            let value = tree(text, input, peek)?;
            let span = start..input.current_index();
            *records = Some(if value.is_null() { Vec::new() } else { vec![span] });
            Ok(value)
        }
        (Some((wanted, rest)), Peek::Object) => {
            let mut fields = Map::new();
            let mut next = input.known_object()?.map(str::to_owned);
            while let Some(key) = next {
                let value = if key == *wanted {
                    *records = None;
                    at(text, input, rest, records)?
                } else {
                    let peek = input.peek()?;
                    tree(text, input, peek)?
                };
                fields.insert(key, value);
                next = input.next_key()?.map(str::to_owned);
            }
            Ok(Value::Object(fields))
        }
        _ => tree(text, input, peek),
    }
}

/// The tree of the value that comes next.
fn tree(text: &str, input: &mut Jiter<'_>, peek: Peek) -> Result<Value, Broken> {
    let start = input.current_index();
    input.known_skip(peek)?;
    let text = text.get(start..input.current_index()).unwrap_or_default();
    serde_json::from_str(text).map_err(Broken::Within)
}

/// The value at a path of keys; none where nothing is there. Where the last key stands twice, the last one counts.
pub fn find(text: &str, keys: &[String]) -> Result<Option<Value>, String> {
    let mut found = None;
    whole(text, |input| {
        found = find_at(text, input, keys)?;
        Ok(Value::Null)
    })?;
    Ok(found)
}

fn find_at(text: &str, input: &mut Jiter<'_>, keys: &[String]) -> Result<Option<Value>, Broken> {
    let peek = input.peek()?;
    match (keys.split_first(), peek) {
        (None, _) => Ok(Some(tree(text, input, peek)?)),
        (Some((wanted, rest)), Peek::Object) => {
            let mut found = None;
            let mut next = input.known_object()?.map(|key| key == wanted);
            while let Some(is_wanted) = next {
                if is_wanted {
                    found = find_at(text, input, rest)?;
                } else {
                    input.next_skip()?;
                }
                next = input.next_key()?.map(|key| key == wanted);
            }
            Ok(found)
        }
        _ => {
            input.known_skip(peek)?;
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys(path: &str) -> Vec<String> {
        path.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn records_are_found_where_they_stand() {
        let text = r#" {"a": {"b": [ {"x": 1} , 2,[3], null ]}, "next": [5]} "#;
        let found = skim(text, &keys("a.b")).unwrap();
        assert_eq!(found.head, json!({"a": {"b": []}, "next": [5]}));
        let records: Vec<&str> = found.records.unwrap().into_iter().map(|span| &text[span]).collect();
        assert_eq!(records, [r#"{"x": 1}"#, "2", "[3]", "null"]);
        for (text, path, head, count) in [
            ("[1, 2]", "", json!([]), Some(2)),
            (r#"{"id": 1}"#, "", json!({"id": 1}), Some(1)),
            (r#"{"a": null}"#, "a", json!({"a": null}), Some(0)),
            (r#"{"a": {"id": 1}}"#, "a", json!({"a": {"id": 1}}), Some(1)),
            (r#"{"a": 1}"#, "b", json!({"a": 1}), None),
            (r#"{"a": [1]}"#, "a.b", json!({"a": [1]}), None),
            (r#"{"a": [1, 2], "a": {"b": [3]}}"#, "a.b", json!({"a": {"b": []}}), Some(1)),
            (r#"{"a": {"b": [3]}, "a": 5}"#, "a.b", json!({"a": 5}), None),
        ] {
            let found = skim(text, &keys(path)).unwrap();
            assert_eq!((found.head, found.records.map(|records| records.len())), (head, count), "{text} at {path}");
        }
    }

    #[test]
    fn an_outline_tells_what_lists_hold() {
        let text = r#"{"a": [1, 2, {"b": [1, 2]}, {"c": 3}], "d": [], "e": [[1], [2]]}"#;
        assert_eq!(outline(text).unwrap(), json!({"a": [1, {"b": [1]}], "d": [], "e": [[1]]}));
    }

    #[test]
    fn a_field_is_found_without_a_tree() {
        let text = r#"{"a": {"b": "x\n"}, "c": [1], "a": {"b": 7}}"#;
        assert_eq!(find(text, &keys("a.b")), Ok(Some(json!(7))));
        assert_eq!(find(text, &keys("a.x")), Ok(None));
        assert_eq!(find(text, &keys("c.b")), Ok(None));
        assert_eq!(find("[1]", &keys("c")), Ok(None));
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        for (text, why) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("[1,]", "trailing comma at line 1 column 4"),
            ("{\"data\": [1, tru]}", "expected ident at line 1 column 17"),
            ("[1] 2", "trailing characters at line 1 column 5"),
            ("{\"data\": [1\n, x]}", "expected value at line 2 column 3"),
        ] {
            assert_eq!(skim(text, &keys("data")).err(), Some(why.to_owned()), "{text}");
            assert!(outline(text).is_err() && find(text, &keys("data")).is_err(), "{text}");
        }
    }
}
