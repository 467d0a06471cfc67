//! Passes over a document: of what is beside the records a tree is made, of the records only where they stand.
//!
//! `RawValue` passes over a value at several times the speed at which it could be read (decision 0012).

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Error, Map, Value};
use std::borrow::Cow;
use std::fmt;
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
pub fn skim(text: &str, keys: &[String]) -> Result<Skimmed, String> {
    at(text, text.trim_matches(BLANK), keys).map_err(|error| error.to_string())
}

/// A document with at most two items of each list: the first one, and the first one that is no scalar. That is enough to find
/// out where its records are.
///
/// # Errors
/// The text is not valid JSON, or nested too deep.
pub fn outline(text: &str) -> Result<Value, String> {
    outline_of(text.trim_matches(BLANK), 0).map_err(|error| error.to_string())
}

/// Whether a text is one document.
///
/// # Errors
/// The text is not valid JSON.
pub fn check(text: &str) -> Result<(), String> {
    serde_json::from_str::<&RawValue>(text).map(drop).map_err(|error| error.to_string())
}

/// The value at a path of keys; none where nothing is there. Where a key stands twice, the last one counts.
///
/// # Errors
/// The text is not valid JSON.
pub fn find(text: &str, keys: &[String]) -> Result<Option<Value>, String> {
    find_at(text.trim_matches(BLANK), keys).map_err(|error| error.to_string())
}

/// White space around a document.
const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

fn at(document: &str, part: &str, keys: &[String]) -> Result<Skimmed, Error> {
    let path = Path { document, keys };
    match (keys.split_first(), part.as_bytes().first()) {
        (None, Some(b'[')) => items(part).map(|items| path.list(&items)),
        (None, _) => path.alone(part),
        (Some((wanted, rest)), Some(b'{')) => {
            let mut parser = serde_json::Deserializer::from_str(part);
            let found = Within { document, wanted, rest }.deserialize(&mut parser)?;
            parser.end()?;
            Ok(found)
        }
        _ => Ok(Skimmed { head: serde_json::from_str(part)?, records: None }),
    }
}

/// A path of keys in a document.
struct Path<'p> {
    document: &'p str,
    keys: &'p [String],
}

impl Path<'_> {
    fn list(&self, items: &[&RawValue]) -> Skimmed {
        let records = items.iter().map(|record| place(self.document, record.get())).collect();
        Skimmed { head: Value::Array(Vec::new()), records: Some(records) }
    }

    fn alone(&self, part: &str) -> Result<Skimmed, Error> {
        let head: Value = serde_json::from_str(part)?;
        let records = if head.is_null() { Vec::new() } else { vec![place(self.document, part)] };
        Ok(Skimmed { head, records: Some(records) })
    }

    /// The first byte of the value of a key of the document.
    fn first_after(&self, key: &str) -> Option<u8> {
        let after = self.document.get(place(self.document, key).end..)?.strip_prefix('"')?;
        after.trim_start_matches(BLANK).strip_prefix(':')?.trim_start_matches(BLANK).bytes().next()
    }
}

/// An object of a document, in which a path goes on. The records are passed over once.
struct Within<'p> {
    document: &'p str,
    wanted: &'p str,
    rest: &'p [String],
}

impl<'t> DeserializeSeed<'t> for Within<'_> {
    type Value = Skimmed;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Skimmed, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Within<'_> {
    type Value = Skimmed;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut object: A) -> Result<Skimmed, A::Error> {
        let path = Path { document: self.document, keys: self.rest };
        let (mut head, mut records) = (Map::new(), None);
        while let Some(key) = object.next_key_seed(Key)? {
            let value = if key == self.wanted {
                // A key with escapes stands elsewhere.
                let first = if let Cow::Borrowed(key) = key { path.first_after(key) } else { None };
                let found = match (self.rest.split_first(), first) {
                    (None, Some(b'[')) => path.list(&object.next_value::<Vec<&RawValue>>()?),
                    (Some((wanted, rest)), Some(b'{')) => {
                        object.next_value_seed(Within { document: self.document, wanted, rest })?
                    }
                    _ => {
                        let value: &RawValue = object.next_value()?;
                        at(path.document, value.get(), path.keys).map_err(A::Error::custom)?
                    }
                };
                records = found.records;
                found.head
            } else {
                object.next_value()?
            };
            head.insert(key.into_owned(), value);
        }
        Ok(Skimmed { head: Value::Object(head), records })
    }
}

fn outline_of(part: &str, depth: u32) -> Result<Value, Error> {
    match part.as_bytes().first() {
        Some(b'[') if depth < DEEPEST => {
            let all = items(part)?;
            let is_inner = |item: &&&RawValue| item.get().starts_with(['[', '{']);
            let first = all.first();
            let inner = all.iter().find(is_inner).filter(|_| !first.as_ref().is_some_and(is_inner));
            first.into_iter().chain(inner).map(|item| outline_of(item.get(), depth + 1)).collect()
        }
        Some(b'{') if depth < DEEPEST => {
            let outlined =
                |(key, value): (Cow<'_, str>, &RawValue)| Ok((key.into_owned(), outline_of(value.get(), depth + 1)?));
            fields(part)?.into_iter().map(outlined).collect::<Result<Map<_, _>, Error>>().map(Value::Object)
        }
        _ => serde_json::from_str(part),
    }
}

fn find_at(part: &str, keys: &[String]) -> Result<Option<Value>, Error> {
    let Some((wanted, rest)) = keys.split_first() else { return serde_json::from_str(part).map(Some) };
    if !part.starts_with('{') {
        return serde_json::from_str::<&RawValue>(part).map(|_| None);
    }
    let found = fields(part)?.into_iter().rfind(|(key, _)| key == wanted);
    found.map_or(Ok(None), |(_, value)| find_at(value.get(), rest))
}

/// Where a part of a text stands in it.
fn place(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

/// The items of a list.
fn items(list: &str) -> Result<Vec<&RawValue>, Error> {
    serde_json::from_str(list)
}

/// The fields of an object as they stand there, each as often as it does.
fn fields(object: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, Error> {
    serde_json::from_str::<Fields<'_>>(object).map(|fields| fields.0)
}

struct Fields<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'t> Deserialize<'t> for Fields<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'t> Visitor<'t> for All {
            type Value = Fields<'t>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'t>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(key) = object.next_key_seed(Key)? {
                    fields.push((key, object.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// A key, which stands in the text as it is unless it has escapes.
struct Key;

impl<'t> DeserializeSeed<'t> for Key {
    type Value = Cow<'t, str>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for Key {
    type Value = Cow<'t, str>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'t str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
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
