//! HAR 1.2, as far as a tape has it. Every field that the format demands is there; the tape's own begin with `_`.

use super::exchange::{Answered, Asked, Broken, Denial, Head};
use crate::gate::redactor::Redactor;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::time::Duration;
use url::Url;

/// What browsers write where there is no content type.
const UNKNOWN_TYPE: &str = "x-unknown";

/// The version of an exchange that has none, since there is no response.
const NO_VERSION: &str = "unknown";

/// A request and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub started_date_time: String,
    /// Milliseconds.
    pub time: f64,
    pub request: Request,
    pub response: Response,
    #[serde(default)]
    cache: Map<String, serde_json::Value>,
    timings: Timings,
    /// The place of the request in the order in which the connector sent them, from 0. Entries stand in the order in which
    /// they came to an end.
    #[serde(rename = "_order")]
    pub order: u64,
    /// What the gate denied.
    #[serde(rename = "_denial", default, skip_serializing_if = "Option::is_none")]
    denial: Option<Denial>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub method: String,
    pub url: String,
    http_version: String,
    cookies: Vec<Field>,
    headers: Vec<Field>,
    query_string: Vec<Field>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_data: Option<PostData>,
    headers_size: i64,
    body_size: i64,
    /// The pointer of the `auth` object that signs it.
    #[serde(rename = "_credential", default, skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    pub status: u16,
    status_text: String,
    http_version: String,
    cookies: Vec<Field>,
    headers: Vec<Field>,
    content: Content,
    #[serde(rename = "redirectURL")]
    redirect_url: String,
    headers_size: i64,
    body_size: i64,
    /// Why there is no response, which then has the status 0, or no more of its body. Browsers show it.
    #[serde(rename = "_error", default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The number of the token that the request was signed with.
    #[serde(rename = "_credential", default, skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

/// A header or a parameter.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Field {
    name: String,
    value: String,
    /// The value again, where it is no text.
    #[serde(rename = "_base64", default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostData {
    mime_type: String,
    pub text: String,
    #[serde(rename = "_encoding", default, skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    size: u64,
    mime_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
}

/// Milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Timings {
    send: f64,
    wait: f64,
    receive: f64,
}

/// Takes secrets out, and knows whether there were any.
struct Redaction<'a> {
    redactor: &'a Redactor,
    found: bool,
}

impl Entry {
    /// The entry, and whether something was taken out of its response. Secrets are replaced by `***` wherever they stand.
    pub fn new(order: u64, asked: &Asked, answered: &Answered, redactor: &Redactor) -> (Self, bool) {
        let version = answered.head.as_ref().map_or(NO_VERSION, |head| version(head.version));
        let mut of_request = Redaction { redactor, found: false };
        let mut of_response = Redaction { redactor, found: false };
        let entry = Self {
            started_date_time: format!("{:.3}", asked.started),
            time: milliseconds(answered.until_end),
            request: of_request.request(asked, version),
            response: of_response.response(answered, version),
            cache: Map::new(),
            timings: Timings {
                send: 0.0,
                wait: milliseconds(answered.until_head),
                receive: milliseconds(answered.until_end.saturating_sub(answered.until_head)),
            },
            order,
            denial: answered.broken.as_ref().and_then(|broken| broken.denial.clone()),
        };
        (entry, of_response.found)
    }

    /// What the connector got. None where the entry is damaged.
    pub fn answered(&self) -> Option<Answered> {
        let Response { status, headers, content, error, credential, .. } = &self.response;
        let head = match status {
            0 => None,
            _ => Some(Head {
                status: StatusCode::from_u16(*status).ok()?,
                version: Version::HTTP_11,
                headers: headers.iter().map(Field::header).collect::<Option<HeaderMap>>()?,
                credential: credential.as_deref().map(HeaderValue::from_str).transpose().ok()?,
            }),
        };
        if head.is_none() && error.is_none() {
            return None;
        }
        let broken = error.clone().map(|code| Broken { code, denial: self.denial.clone() });
        let body = bytes(content.text.as_deref().unwrap_or_default(), content.encoding.as_deref())?;
        Some(Answered { head, body: body.into(), broken, ..Answered::default() })
    }

    /// The body of the request. None where the entry is damaged.
    pub fn sent(&self) -> Option<Bytes> {
        let Some(post) = &self.request.post_data else { return Some(Bytes::new()) };
        bytes(&post.text, post.encoding.as_deref()).map(Bytes::from)
    }
}

impl Redaction<'_> {
    fn text(&mut self, text: &str) -> String {
        let redacted = self.redactor.redact(text);
        self.found |= redacted != text;
        redacted
    }

    /// Bytes as a text, and in which encoding if that is not plain.
    fn bytes(&mut self, bytes: &[u8]) -> (String, Option<String>) {
        match std::str::from_utf8(bytes) {
            Ok(text) => (self.text(text), None),
            Err(_) => {
                let redacted = self.redactor.redact_bytes(bytes);
                self.found |= redacted != bytes;
                (STANDARD.encode(redacted), Some("base64".to_owned()))
            }
        }
    }

    fn fields(&mut self, headers: &HeaderMap) -> Vec<Field> {
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            let (text, encoding) = self.bytes(value.as_bytes());
            let (value, base64) = match encoding {
                None => (text, None),
                Some(_) => (String::from_utf8_lossy(value.as_bytes()).into_owned(), Some(text)),
            };
            Field { name: name.to_string(), value: self.text(&value), base64 }
        };
        headers.iter().map(field).collect()
    }

    fn request(&mut self, asked: &Asked, version: &str) -> Request {
        let url = self.text(&asked.url);
        let parsed = Url::parse(&url).ok();
        let pairs = parsed.iter().flat_map(Url::query_pairs);
        let query_string = pairs
            .map(|(name, value)| Field { name: name.into_owned(), value: value.into_owned(), base64: None })
            .collect();
        let body = asked.body.as_ref().filter(|body| !body.is_empty());
        let post_data = body.map(|body| {
            let (text, encoding) = self.bytes(body);
            PostData { mime_type: self.content_type(&asked.headers), text, encoding }
        });
        Request {
            method: asked.method.clone(),
            url,
            http_version: version.to_owned(),
            cookies: Vec::new(),
            headers: self.fields(&asked.headers),
            query_string,
            post_data,
            headers_size: -1,
            body_size: body.map_or(0, |body| i64::try_from(body.len()).unwrap_or(-1)),
            credential: asked.credential.clone(),
        }
    }

    fn response(&mut self, answered: &Answered, version: &str) -> Response {
        let none = HeaderMap::new();
        let headers = answered.head.as_ref().map_or(&none, |head| &head.headers);
        let (text, encoding) = self.bytes(&answered.body);
        let redirect = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let status = answered.head.as_ref().map(|head| head.status);
        let credential = answered.head.as_ref().and_then(|head| head.credential.as_ref());
        Response {
            status: status.map_or(0, |status| status.as_u16()),
            status_text: status.and_then(|status| status.canonical_reason()).unwrap_or_default().to_owned(),
            http_version: version.to_owned(),
            cookies: Vec::new(),
            headers: self.fields(headers),
            content: Content {
                size: answered.body.len() as u64,
                mime_type: self.content_type(headers),
                text: (!text.is_empty()).then_some(text),
                encoding,
            },
            redirect_url: self.text(redirect),
            headers_size: -1,
            body_size: -1,
            error: answered.broken.as_ref().map(|broken| broken.code.clone()),
            credential: credential.and_then(|value| Some(value.to_str().ok()?.to_owned())),
        }
    }

    fn content_type(&mut self, headers: &HeaderMap) -> String {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        self.text(content_type.unwrap_or(UNKNOWN_TYPE))
    }
}

impl Field {
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let value = match &self.base64 {
            Some(base64) => STANDARD.decode(base64).ok()?,
            None => self.value.clone().into_bytes(),
        };
        Some((HeaderName::from_bytes(self.name.as_bytes()).ok()?, HeaderValue::from_bytes(&value).ok()?))
    }
}

fn bytes(text: &str, encoding: Option<&str>) -> Option<Vec<u8>> {
    match encoding {
        None => Some(text.as_bytes().to_vec()),
        Some("base64") => STANDARD.decode(text).ok(),
        Some(_) => None,
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn asked(body: &'static [u8]) -> Asked {
        Asked {
            started: Timestamp::from_millisecond(1_795_422_121_315).unwrap(),
            method: "POST".to_owned(),
            url: "https://a.example/b?q=%20x&key=s3cret".to_owned(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
            credential: None,
            body: Some(Bytes::from_static(body)),
        }
    }

    /// The entry of an exchange, written and read again.
    fn again(asked: &Asked, answered: &Answered) -> (Entry, bool) {
        let (entry, is_redacted) = Entry::new(3, asked, answered, &Redactor::new(["s3cret"]));
        (serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap(), is_redacted)
    }

    #[test]
    fn an_exchange_comes_back_as_it_was() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-b", HeaderValue::from_bytes(b"\xff\xfe").unwrap());
        headers.append("x-a", HeaderValue::from_static("2"));
        for (body, encoding) in
            [(&b"\xef\xbb\xbf{\"a\": \"\\u0000\"}\n"[..], None), (b"\x1f\x8b\0", Some("base64")), (b"", None)]
        {
            let head = Head {
                status: StatusCode::TOO_MANY_REQUESTS,
                version: Version::HTTP_2,
                headers: headers.clone(),
                credential: Some(HeaderValue::from_static("7")),
            };
            let broken = Some(Broken { code: "HttpResponseIncomplete".to_owned(), denial: None });
            let answered = Answered {
                head: Some(head),
                body: Bytes::from_static(body),
                broken,
                until_head: Duration::from_micros(1500),
                until_end: Duration::from_millis(4),
            };
            let (entry, is_redacted) = again(&asked(body), &answered);
            assert!(!is_redacted);
            assert_eq!((entry.started_date_time.as_str(), entry.time), ("2026-11-23T08:22:01.315Z", 4.0));
            assert_eq!((entry.timings.wait, entry.timings.receive), (1.5, 2.5));
            assert_eq!(entry.response.content.encoding.as_deref(), encoding);
            assert_eq!(entry.sent().unwrap(), body);
            let same = entry.answered().unwrap();
            let head = same.head.unwrap();
            assert_eq!(
                (same.body, same.broken.unwrap().code.as_str()),
                (Bytes::from_static(body), "HttpResponseIncomplete")
            );
            assert_eq!((head.status.as_u16(), head.credential.unwrap()), (429, HeaderValue::from_static("7")));
            assert!(head.headers.iter().eq(headers.iter()));
        }
    }

    #[test]
    fn secrets_go_wherever_they_stand() {
        let mut answered = Answered { body: Bytes::from_static(b"{\"key\": \"s3cret\"}"), ..Answered::dropped() };
        let (entry, is_redacted) = again(&asked(b"s3cret"), &answered);
        assert!(is_redacted);
        let text = serde_json::to_string(&entry).unwrap();
        assert!(!text.contains("s3cret") && text.contains("b?q=%20x&key=***"), "{text}");
        // Of the request alone: that changes no answer.
        answered.body = Bytes::from_static(b"\xff");
        assert!(!again(&asked(b"s3cret"), &answered).1);
        answered.body = Bytes::from_static(b"\xffs3cret");
        let (entry, is_redacted) = again(&asked(b""), &answered);
        assert!(is_redacted);
        assert_eq!(entry.answered().unwrap().body, b"\xff***"[..]);
    }

    #[test]
    fn an_entry_that_says_nothing_is_damaged() {
        let (mut entry, _) = again(&asked(b""), &Answered::dropped());
        assert!(entry.answered().unwrap().head.is_none());
        entry.response.error = None;
        assert!(entry.answered().is_none());
        entry.response.status = 7;
        assert!(entry.answered().is_none());
    }
}
