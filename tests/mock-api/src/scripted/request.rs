//! A request, read whole.

use super::script::{Part, Place};
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::BTreeMap;

/// A request.
pub(super) struct Received {
    pub(super) method: String,
    /// As it stood on the wire.
    pub(super) path: String,
    /// Decoded, in the order of the query.
    pub(super) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Received {
    /// Reads a request. One whose body breaks off has the part that came.
    pub(super) async fn read(request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &head.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let all = headers.entry(name.as_str().to_owned()).or_default();
            *all = if all.is_empty() { value.into_owned() } else { format!("{all}, {value}") };
        }
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: pairs(head.uri.query().unwrap_or_default()),
            headers,
            body: body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default(),
        }
    }

    /// The host and port that it was sent to.
    pub(super) fn host(&self) -> &str {
        self.headers.get("host").map_or("", String::as_str)
    }

    /// The JSON body, null where it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The fields of a form.
    pub(super) fn form(&self) -> Option<Vec<(String, String)>> {
        let is_form = self.headers.get("content-type").is_some_and(|kind| kind.contains("x-www-form-urlencoded"));
        is_form.then(|| pairs(&String::from_utf8_lossy(&self.body)))
    }

    /// The text at a place, once: a parameter that is sent twice is no value.
    pub(super) fn at(&self, place: &Place) -> Option<String> {
        match place.part {
            Part::Query => {
                let mut found = self.query.iter().filter(|(name, _)| *name == place.name);
                found.next().filter(|_| found.next().is_none()).map(|(_, value)| value.clone())
            }
            Part::Header => self.headers.get(&place.name).cloned(),
            Part::Cookie => {
                let cookies = self.headers.get("cookie")?.split("; ").filter_map(|cookie| cookie.split_once('='));
                cookies.into_iter().find(|(name, _)| *name == place.name).map(|(_, value)| value.to_owned())
            }
            Part::Body => {
                let body = self.json();
                let found = place.name.split('.').try_fold(&body, |value, key| value.get(key))?;
                found.as_str().map(str::to_owned).or_else(|| (!found.is_null()).then(|| found.to_string()))
            }
        }
    }
}

/// The pairs of a query or a form.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pair = |pair: &str| pair.split_once('=').map_or((decode(pair), String::new()), |(k, v)| (decode(k), decode(v)));
    text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}
