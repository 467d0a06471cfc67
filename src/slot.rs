//! Secrets outside `auth`: `{secret: name}` in a header, a parameter or a body.
//!
//! A host that holds secrets takes such an object out of the configuration and leaves a stand-in, a text of letters, digits and
//! dashes that every encoding of a request leaves as it is. The connector sends the stand-in where the secret belongs, and
//! the host's gate puts the value in its place. The connector never sees the value; where no host took the object out, a
//! request that needs it fails.

use serde_json::Value;
use std::ops::Range;

const START: &str = "spile-slot-";
const END: char = '-';

/// What stands for a secret in a request: `spile-slot-`, the name in hexadecimal digits, `-`.
pub fn stand_in(name: &str) -> String {
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{START}{digits}{END}")
}

/// The stand-ins in a text: where each stands, and the name of its secret.
pub fn stand_ins(text: &str) -> impl Iterator<Item = (Range<usize>, String)> {
    text.match_indices(START).filter_map(|(at, _)| {
        let digits = text.get(at + START.len()..)?.split_once(END)?.0;
        let pairs = digits.as_bytes().chunks(2);
        let bytes = pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok());
        let name = String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok().filter(|name| !name.is_empty())?;
        Some((at..at + START.len() + digits.len() + END.len_utf8(), name))
    })
}

/// The name in `{secret: name}`, if the value has this form.
pub fn name_of(value: &Value) -> Option<&str> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    fields.get("secret")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stand_in_is_found_again() {
        let (a, b) = (stand_in("api_key"), stand_in("schlüssel / 2"));
        assert_eq!(a, "spile-slot-6170695f6b6579-");
        let text = format!("x={a}&y={b}spile-slot-6g-spile-slot--spile-slot-6-spile-slot-ff-");
        let found: Vec<_> = stand_ins(&text).collect();
        let names: Vec<_> = found.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["api_key", "schlüssel / 2"]);
        assert_eq!(&text[found[0].0.clone()], a);
        assert_eq!(&text[found[1].0.clone()], b);
    }

    #[test]
    fn only_an_object_with_a_name_alone_is_a_slot() {
        assert_eq!(name_of(&json!({"secret": "a"})), Some("a"));
        for other in [json!({"secret": 1}), json!({"secret": "a", "b": 1}), json!({"s": "a"}), json!("secret")] {
            assert_eq!(name_of(&other), None);
        }
    }
}
