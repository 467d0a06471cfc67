//! Passes over a document: of what is beside the records a tree is made, of the records only where they stand.

use super::pass::{Pass, Result};
use serde_json::{Map, Value};
use std::ops::Range;

/// How deep an outline looks. What is deeper is read whole, or refused by the parser's own limit.
const DEEPEST: u32 = 64;

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
pub fn skim(text: &str, keys: &[String]) -> std::result::Result<Skimmed, String> {
    Pass::over(text, |pass| at(pass, keys))
}

/// A document with at most two items of each list: the first one, and the first one that is no scalar. That is enough to find
/// out where its records are.
///
/// # Errors
/// The text is not valid JSON, or nested too deep.
pub fn outline(text: &str) -> std::result::Result<Value, String> {
    Pass::over(text, |pass| outline_of(pass, 0))
}

/// Whether a text is one document.
///
/// # Errors
/// The text is not valid JSON.
pub fn check(text: &str) -> std::result::Result<(), String> {
    Pass::over(text, |pass| pass.value().map(drop))
}

/// The value at a path of keys; none where nothing is there. Where a key stands twice, the last one counts.
///
/// # Errors
/// The text is not valid JSON.
pub fn find(text: &str, keys: &[String]) -> std::result::Result<Option<Value>, String> {
    Pass::over(text, |pass| find_at(pass, keys))
}

fn at(pass: &mut Pass<'_>, keys: &[String]) -> Result<Skimmed> {
    match (keys.split_first(), pass.peek()) {
        (None, Some(b'[')) => {
            let mut records = Vec::new();
            let mut more = pass.enter(b']');
            while more {
                records.push(pass.value()?);
                more = pass.step(b']')?;
            }
            Ok(Skimmed { head: Value::Array(Vec::new()), records: Some(records) })
        }
        (None, _) => {
            let (head, place) = pass.tree()?;
            let records = if head.is_null() { Vec::new() } else { vec![place] };
            Ok(Skimmed { head, records: Some(records) })
        }
        (Some((wanted, rest)), Some(b'{')) => {
            let (mut head, mut records) = (Map::new(), None);
            let mut more = pass.enter(b'}');
            while more {
                let key = pass.key()?;
                let value = if key == *wanted {
                    let found = at(pass, rest)?;
                    records = found.records;
                    found.head
                } else {
                    pass.tree()?.0
                };
                head.insert(key.into_owned(), value);
                more = pass.step(b'}')?;
            }
            Ok(Skimmed { head: Value::Object(head), records })
        }
        _ => Ok(Skimmed { head: pass.tree()?.0, records: None }),
    }
}

fn outline_of(pass: &mut Pass<'_>, depth: u32) -> Result<Value> {
    match pass.peek() {
        Some(b'[') if depth < DEEPEST => {
            let (mut items, mut has_inner) = (Vec::new(), false);
            let mut more = pass.enter(b']');
            while more {
                let is_inner = matches!(pass.peek(), Some(b'[' | b'{'));
                if items.is_empty() || (is_inner && !has_inner) {
                    items.push(outline_of(pass, depth + 1)?);
                    has_inner |= is_inner;
                } else {
                    pass.value()?;
                }
                more = pass.step(b']')?;
            }
            Ok(Value::Array(items))
        }
        Some(b'{') if depth < DEEPEST => {
            let mut fields = Map::new();
            let mut more = pass.enter(b'}');
            while more {
                let key = pass.key()?.into_owned();
                fields.insert(key, outline_of(pass, depth + 1)?);
                more = pass.step(b'}')?;
            }
            Ok(Value::Object(fields))
        }
        _ => Ok(pass.tree()?.0),
    }
}

fn find_at(pass: &mut Pass<'_>, keys: &[String]) -> Result<Option<Value>> {
    let Some((wanted, rest)) = keys.split_first() else { return Ok(Some(pass.tree()?.0)) };
    if pass.peek() != Some(b'{') {
        return pass.value().map(|_| None);
    }
    let mut found = None;
    let mut more = pass.enter(b'}');
    while more {
        if pass.key()? == *wanted {
            found = find_at(pass, rest)?;
        } else {
            pass.value()?;
        }
        more = pass.step(b'}')?;
    }
    Ok(found)
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
    fn keys_with_escapes_and_blanks_lead_to_records_too() {
        for text in ["{\"a\" \n: \t{ \"b\" :\r[1, 2]}}", r#"{"\u0061": {"b": [1, 2]}}"#, r#"{"a": {"\u0062": [1, 2]}}"#]
        {
            let found = skim(text, &keys("a.b")).unwrap();
            assert_eq!(
                (found.head, found.records.map(|records| records.len())),
                (json!({"a": {"b": []}}), Some(2)),
                "{text}"
            );
        }
        for text in
            [r#"{"a": {"b": [1, 2}}"#, r#"{"a": {"b": [1, 2]}"#, r#"{"a": {"b": [1, 2]}} 3"#, r#"{"a": {"b": [1,]}}"#]
        {
            assert!(skim(text, &keys("a.b")).is_err(), "{text}");
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
            ("[1,]", "expected value at line 1 column 4"),
            ("{\"data\": [1, tru]}", "expected ident at line 1 column 17"),
            ("[1] 2", "trailing characters at line 1 column 5"),
            ("{\"data\": [1\n, x]}", "expected value at line 2 column 3"),
        ] {
            assert_eq!(skim(text, &keys("data")).err(), Some(why.to_owned()), "{text}");
            assert!(outline(text).is_err() && find(text, &keys("data")).is_err(), "{text}");
        }
    }
}
