//! Puts secrets in the places that their stand-ins hold in a request (see `spile_connector::slot`).

use super::RESERVED;
use super::origin::Origin;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use percent_encoding::utf8_percent_encode;
use spile_connector::slot::stand_ins;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The values of secrets outside `auth`, and the origins that each may be sent to.
#[derive(Default)]
pub(super) struct Slots {
    by_name: BTreeMap<String, Slot>,
}

struct Slot {
    value: Zeroizing<String>,
    origins: BTreeSet<Origin>,
}

/// Why a stand-in was not filled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfilled {
    /// There is no secret of this name.
    Unknown,
    /// The secret may not be sent to this origin.
    Unbound(String),
    /// A header cannot hold the secret.
    NotForHeader(String),
}

/// How a value is written where its stand-in stood.
#[derive(Clone, Copy)]
enum Form {
    /// As it is.
    Plain,
    /// In a URL or a form.
    Percent,
    /// In a JSON text.
    Json,
}

impl Slots {
    /// Slots that are bound to no origin yet.
    pub fn new(values: impl IntoIterator<Item = (String, Zeroizing<String>)>) -> Self {
        let slot = |value| Slot { value, origins: BTreeSet::new() };
        Self { by_name: values.into_iter().map(|(name, value)| (name, slot(value))).collect() }
    }

    /// Lets a secret be sent to these origins. False where there is none of this name.
    pub fn bind(&mut self, name: &str, origins: impl IntoIterator<Item = Origin>) -> bool {
        let slot = self.by_name.get_mut(name);
        slot.map(|slot| slot.origins.extend(origins)).is_some()
    }

    /// Fills the stand-ins of a request's URL and headers.
    pub fn fill_head(
        &self,
        origin: &Origin,
        path: &mut String,
        query: &mut Option<String>,
        headers: &mut HeaderMap,
    ) -> Result<(), Unfilled> {
        for text in std::iter::once(path).chain(query) {
            if let Some(filled) = self.fill(origin, text, Form::Percent)? {
                filled.as_str().clone_into(text);
            }
        }
        for value in headers.values_mut() {
            let Ok(text) = value.to_str() else { continue };
            let Some((_, name)) = stand_ins(text).next() else { continue };
            let Some(filled) = self.fill(origin, text, Form::Plain)? else { continue };
            *value = HeaderValue::from_str(&filled).map_err(|_| Unfilled::NotForHeader(name))?;
            value.set_sensitive(true);
        }
        Ok(())
    }

    /// Fills the stand-ins of a request's body. One that is not UTF-8 has none.
    pub fn fill_body(&self, origin: &Origin, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Unfilled> {
        let Ok(text) = std::str::from_utf8(&body) else { return Ok(body) };
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let form = match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Form::Percent,
            json if json.ends_with("json") => Form::Json,
            _ => Form::Plain,
        };
        match self.fill(origin, text, form)? {
            Some(filled) => Ok(Bytes::copy_from_slice(filled.as_bytes())),
            None => Ok(body),
        }
    }

    /// The text with its stand-ins filled; none where it has none.
    fn fill(&self, origin: &Origin, text: &str, form: Form) -> Result<Option<Zeroizing<String>>, Unfilled> {
        let mut filled = Zeroizing::new(String::new());
        let mut end = 0;
        for (range, name) in stand_ins(text) {
            let slot = self.by_name.get(&name).ok_or(Unfilled::Unknown)?;
            if !slot.origins.contains(origin) {
                return Err(Unfilled::Unbound(name));
            }
            filled.push_str(text.get(end..range.start).unwrap_or_default());
            match form {
                Form::Plain => filled.push_str(&slot.value),
                Form::Percent => filled.extend(utf8_percent_encode(&slot.value, RESERVED)),
                Form::Json => {
                    let quoted = Zeroizing::new(serde_json::Value::from(slot.value.as_str()).to_string());
                    filled
                        .push_str(quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default());
                }
            }
            end = range.end;
        }
        if end == 0 {
            return Ok(None);
        }
        filled.push_str(text.get(end..).unwrap_or_default());
        Ok(Some(filled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spile_connector::slot::stand_in;

    const SECRET: &str = "s&c\"r/t é";

    fn slots() -> (Slots, Origin) {
        let origin: Origin = "http://a".parse().unwrap();
        let value = |text: &str| Zeroizing::new(text.to_owned());
        let mut slots = Slots::new([
            ("k".to_owned(), value(SECRET)),
            ("plain".to_owned(), value("p")),
            ("n".to_owned(), value("a\nb")),
        ]);
        for name in ["k", "plain", "n"] {
            assert!(slots.bind(name, [origin.clone()]));
        }
        assert!(!slots.bind("other", [origin.clone()]));
        (slots, origin)
    }

    #[test]
    fn a_secret_is_written_as_its_place_wants_it() {
        let (slots, origin) = slots();
        let (k, plain) = (stand_in("k"), stand_in("plain"));
        let (mut path, mut query) = (format!("/x/{k}/y"), Some(format!("a={k}&b=1&c={plain}")));
        let mut headers = HeaderMap::new();
        headers.insert("x-key", HeaderValue::from_str(&format!("Token {plain}")).unwrap());
        headers.insert("accept", HeaderValue::from_static("*/*"));
        slots.fill_head(&origin, &mut path, &mut query, &mut headers).unwrap();
        assert_eq!(path, "/x/s%26c%22r%2Ft%20%C3%A9/y");
        assert_eq!(query.unwrap(), "a=s%26c%22r%2Ft%20%C3%A9&b=1&c=p");
        assert_eq!((&headers["x-key"], headers["x-key"].is_sensitive()), (&HeaderValue::from_static("Token p"), true));
        assert!(!headers["accept"].is_sensitive());

        let body = |content_type: &'static str, body: String| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            let filled = slots.fill_body(&origin, &headers, body.into()).unwrap();
            String::from_utf8(filled.to_vec()).unwrap()
        };
        assert_eq!(body("application/json", format!(r#"{{"a":"{k}","b":1}}"#)), r#"{"a":"s&c\"r/t é","b":1}"#);
        assert_eq!(body("application/vnd.api+json; charset=utf-8", format!("\"{k}{plain}\"")), r#""s&c\"r/t ép""#);
        assert_eq!(body("application/x-www-form-urlencoded", format!("k={k}")), "k=s%26c%22r%2Ft%20%C3%A9");
        assert_eq!(body("text/plain", format!("<{k}>")), format!("<{SECRET}>"));
        assert_eq!(body("text/plain", "nothing".to_owned()), "nothing");
    }

    #[test]
    fn a_secret_goes_nowhere_that_it_is_not_bound_to() {
        let (slots, origin) = slots();
        let fill = |origin: &Origin, name: &str| {
            let (mut path, mut query) = ("/".to_owned(), None);
            let value = HeaderValue::from_str(&stand_in(name)).unwrap();
            let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
            slots.fill_head(origin, &mut path, &mut query, &mut headers)
        };
        assert_eq!(fill(&origin, "plain"), Ok(()));
        assert_eq!(fill(&"https://a".parse().unwrap(), "plain"), Err(Unfilled::Unbound("plain".to_owned())));
        assert_eq!(fill(&origin, "other"), Err(Unfilled::Unknown));
        assert_eq!(fill(&origin, "n"), Err(Unfilled::NotForHeader("n".to_owned())));
        let elsewhere = slots.fill_body(&"http://b".parse().unwrap(), &HeaderMap::new(), stand_in("k").into());
        assert_eq!(elsewhere, Err(Unfilled::Unbound("k".to_owned())));
    }
}
