//! Sets of HTTP statuses, as the configuration writes them: numbers, and classes such as `5xx`.

use crate::config::model::{OneOrManyStatuses, Status};
use crate::error::{Error, Result};
use std::ops::RangeInclusive;

/// HTTP statuses.
#[derive(Clone, Debug, PartialEq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// What dlt tries again: 429, and 500 to 599.
    pub fn tried_again() -> Self {
        Self(vec![429..=429, 500..=599])
    }

    /// Reads a list, whose place in the configuration is `pointer`.
    pub fn many(statuses: &[Status], pointer: &str) -> Result<Self> {
        let range = |(index, status): (usize, &Status)| match status {
            Status::Code(code) => of_code(*code, &format!("{pointer}/{index}")),
            Status::Text(text) => of_text(text, &format!("{pointer}/{index}")),
        };
        statuses.iter().enumerate().map(range).collect::<Result<_>>().map(Self)
    }

    /// Reads one status or a list.
    pub fn one_or_many(statuses: &OneOrManyStatuses, pointer: &str) -> Result<Self> {
        match statuses {
            OneOrManyStatuses::Code(code) => Ok(Self(vec![of_code(*code, pointer)?])),
            OneOrManyStatuses::Text(text) => Ok(Self(vec![of_text(text, pointer)?])),
            OneOrManyStatuses::Many(many) => Self::many(many, pointer),
        }
    }

    /// Whether a status is one of them.
    pub fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

fn of_code(code: u16, pointer: &str) -> Result<RangeInclusive<u16>> {
    match code {
        100..=599 => Ok(code..=code),
        _ => Err(wrong(&code.to_string(), pointer)),
    }
}

fn of_text(text: &str, pointer: &str) -> Result<RangeInclusive<u16>> {
    let class = text.to_ascii_lowercase();
    let class = class.strip_suffix("xx").and_then(|digit| digit.parse::<u16>().ok()).filter(|digit| *digit <= 5);
    match (class.and_then(|digit| digit.checked_mul(100)), text.parse()) {
        (Some(first @ 100..), _) => Ok(first..=first + 99),
        (_, Ok(code)) => of_code(code, pointer),
        _ => Err(wrong(text, pointer)),
    }
}

fn wrong(text: &str, pointer: &str) -> Error {
    Error::config(pointer, format!("\"{text}\" is no HTTP status"))
        .advice("write a number from 100 to 599, such as 404, or a class, such as `5xx`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: Value) -> Result<Statuses> {
        Statuses::one_or_many(&serde_json::from_value(value).unwrap(), "/p")
    }

    #[test]
    fn numbers_texts_and_classes() {
        let of = |value, status| read(value).unwrap().contain(status);
        assert!(of(json!(404), 404) && of(json!("404"), 404) && !of(json!(404), 403));
        assert!(of(json!("5xx"), 500) && of(json!("5XX"), 599) && !of(json!("4xx"), 500));
        assert!(of(json!([403, "404", "5xx"]), 404) && !of(json!([]), 200));
    }

    #[test]
    fn what_is_no_status_is_told_with_its_place() {
        for (wrong, place) in [
            (json!("40x"), "/p"),
            (json!("xx"), "/p"),
            (json!("6xx"), "/p"),
            (json!("0xx"), "/p"),
            (json!(7), "/p"),
            (json!([200, "ok"]), "/p/1"),
        ] {
            let error = read(wrong.clone()).unwrap_err();
            assert_eq!(error.pointer.as_deref(), Some(place), "{wrong}");
            assert!(error.message.ends_with("is no HTTP status"), "{}", error.message);
        }
    }
}
