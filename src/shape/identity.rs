//! The `_dlt_id` of rows (reference, section 9.4).

use super::keccak::{RATE, shake128};
use super::walk::VALUE;
use super::{naming, number};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::Value;
use sha3::Shake128;
use sha3::digest::{ExtendableOutput, Update, XofReader};
use std::io::Write as _;

/// Random or hashed bytes in an id.
pub const BYTES: usize = 10;

/// Characters of an id: its bytes in base64.
pub const CHARACTERS: usize = 14;

/// The id of a row.
#[derive(Clone)]
pub enum Id {
    /// One of ours.
    Ours([u8; CHARACTERS]),
    /// One that the record has brought.
    Given(String),
}

impl Id {
    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ours(id) => id,
            Self::Given(id) => id.as_bytes(),
        }
    }

    fn of(bytes: [u8; BYTES]) -> Self {
        let mut id = [b'A'; CHARACTERS];
        // It fits.
        let _ = STANDARD_NO_PAD.encode_slice(bytes, &mut id);
        Self::Ours(id)
    }
}

/// What the id of a child row is made of: its parent's id, its table, and its place in the list.
pub type Place<'p> = (&'p [u8], &'p str, i64);

/// The id of a root row: random bytes.
pub fn root(random: &[u8; BYTES]) -> Id {
    Id::of(*random)
}

/// The ids of two child rows: SHAKE-128 hashes.
pub fn children(places: [Place<'_>; 2]) -> [Id; 2] {
    match places.map(block) {
        [Some(one), Some(other)] => {
            shake128([&one, &other]).map(|hash| Id::of(hash.first_chunk().copied().unwrap_or_default()))
        }
        _ => places.map(|(parent, table, index)| hash(&[parent, format!("_{table}_{index}").as_bytes()].concat())),
    }
}

/// The text of which the hash is the id, and what FIPS 202 puts behind it; none where it is too long for one block.
fn block((parent, table, index): Place<'_>) -> Option<[u8; RATE]> {
    let mut block = [0; RATE];
    let mut rest = block.as_mut_slice();
    for part in [parent, b"_", table.as_bytes(), b"_", itoa::Buffer::new().format(index).as_bytes(), &[0x1F]] {
        rest.write_all(part).ok()?;
    }
    *block.last_mut()? |= 0x80;
    Some(block)
}

/// The id of a root row that is a version of its record: the hash of all its fields, but those of the loader.
pub fn of_row(mut record: Value) -> Id {
    if !record.is_object() {
        record = serde_json::json!({ VALUE: record });
    }
    if let Value::Object(fields) = &mut record {
        fields.retain(|key, _| !key.starts_with("_dlt"));
    }
    let mut text = String::new();
    write_sorted(&record, &mut text);
    hash(text.as_bytes())
}

/// The id of a root row that is known by its key: the hash of the key's fields.
pub fn of_key(record: &Value, key: &[String]) -> Id {
    let mut fields: Vec<(String, &Value)> = Vec::new();
    for field in key {
        fields.push((naming::path(field), record.get(field).unwrap_or(&Value::Null)));
    }
    fields.sort_by(|(name, _), (other, _)| name.cmp(other));
    let mut parts = Vec::new();
    for (name, value) in fields {
        let mut text = format!("{}:", Value::from(name));
        write_sorted(value, &mut text);
        parts.push(text);
    }
    hash(format!("{{{}}}", parts.join(",")).as_bytes())
}

/// Tells a record from others, whatever the order of its keys: the SHAKE-128 hash of its compact JSON with sorted keys, of 9
/// bytes (reference, section 6.4).
pub fn of_record(record: &Value) -> String {
    let mut text = String::new();
    write_sorted(record, &mut text);
    STANDARD_NO_PAD.encode(hash_of::<9>(text.as_bytes()))
}

fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_unstable();
            text.push('{');
            for (nth, key) in keys.into_iter().enumerate() {
                let comma = if nth > 0 { "," } else { "" };
                text.push_str(comma);
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_sorted(fields.get(key).unwrap_or(&Value::Null), text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (nth, item) in items.iter().enumerate() {
                let comma = if nth > 0 { "," } else { "" };
                text.push_str(comma);
                write_sorted(item, text);
            }
            text.push(']');
        }
        Value::Number(number) => text.push_str(&number::json(number.as_str())),
        plain => text.push_str(&plain.to_string()),
    }
}

fn hash(text: &[u8]) -> Id {
    Id::of(hash_of(text))
}

fn hash_of<const BYTES: usize>(text: &[u8]) -> [u8; BYTES] {
    let mut hasher = Shake128::default();
    hasher.update(text);
    let mut bytes = [0; BYTES];
    hasher.finalize_xof().read(&mut bytes);
    bytes
}

/// The id of a child row.
#[cfg(test)]
pub fn child(parent: &str, table: &str, index: i64) -> String {
    let [id, _] = children([(parent.as_bytes(), table, index); 2]);
    String::from_utf8_lossy(id.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: &Id) -> String {
        String::from_utf8(id.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn ids_are_those_of_dlt() {
        // Reference, section 9.4: verified with dlt 1.31.
        assert_eq!(text(&hash(br#"{"id":1}"#)), "z5jIxXIbUnmbKw");
        assert_eq!(child("z5jIxXIbUnmbKw", "rec__kids", 0), "7z0TEErrak8PJQ");
    }

    #[test]
    fn two_ids_at_once_are_those_of_one_at_a_time() {
        // Up to one that fills its block to the last byte, and longer ones.
        for length in [0, 1, 14, 150, 163, 164, 165, 400] {
            let (parent, other) = ("p".repeat(length), "o".repeat(length / 2));
            let of = |parent: &str, index| text(&hash(format!("{parent}_t_{index}").as_bytes()));
            let ids = children([(parent.as_bytes(), "t", 7), (other.as_bytes(), "t", 41)]);
            assert_eq!(ids.each_ref().map(text), [of(&parent, 7), of(&other, 41)], "{length}");
        }
    }

    #[test]
    fn ids_of_keys_are_those_of_dlt() {
        // Verified with dlt 1.31, strategy upsert.
        for (record, key, id) in [
            (r#"{"userId": 1}"#, &["userId"][..], "z46VFx1TiW3TXw"),
            (r#"{"k": "5"}"#, &["k"], "6zrcB6qDUKumww"),
            (r#"{"k": "2025-03-01T10:00:00+02:00"}"#, &["k"], "QTrrlHeV/Q7WIQ"),
            (r#"{"k": 2.0}"#, &["k"], "EWgBgakbtSj+jw"),
            (r#"{"k": 1e20}"#, &["k"], "GYnIshNB7+6X1Q"),
            (r#"{"k": true}"#, &["k"], "oQ1RA+MFoAKd5A"),
            (r#"{"v": "a", "k": 1}"#, &["v", "k"], "OlyxjKyo9l/mDQ"),
        ] {
            let key: Vec<String> = key.iter().map(|field| (*field).to_owned()).collect();
            assert_eq!(text(&of_key(&serde_json::from_str(record).unwrap(), &key)), id, "{record}");
        }
    }

    #[test]
    fn ids_of_versions_are_those_of_dlt() {
        // Verified with dlt 1.31, strategy scd2.
        for (record, id) in [
            (r#"{"id": 1, "n": "a"}"#, "76DJZZ/B0EHBHg"),
            (r#"{"n": "a", "_dlt_x": 7, "id": 1}"#, "76DJZZ/B0EHBHg"),
            (r#"{"é": "ü\n/", "n": 1e20, "m": 0.1, "k": 12345678901234567890, "t": true}"#, "a1q+KRATSi3k2Q"),
            (r#"{"x": 1e-7, "y": 1e15, "z": -0.0, "w": 123456789.123456789}"#, "R9PvrLjPuHbgUw"),
            ("7", "VZzWEWZ6jXuf+A"),
        ] {
            assert_eq!(text(&of_row(serde_json::from_str(record).unwrap())), id, "{record}");
        }
    }

    #[test]
    fn a_record_is_the_same_in_any_order_of_keys() {
        // Reference, section 6.4: verified with dlt 1.31.
        assert_eq!(of_record(&serde_json::json!({"id": 2})), "M6/KlLzJ2FeV");
        let of = |text: &str| of_record(&serde_json::from_str(text).unwrap());
        assert_eq!(of(r#"{"b": [1, {"d": null, "c": "x"}], "a": 1}"#), of(r#"{"a":1,"b":[1,{"c":"x","d":null}]}"#));
        assert_ne!(of(r#"{"a": 1}"#), of(r#"{"a": "1"}"#));
    }
}
