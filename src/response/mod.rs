//! Bodies of responses: JSON, lines of JSON, or comma-separated values become records.

mod csv;

use crate::config::model::{FormatObject, FormatWord, ResponseFormat};
use crate::error::{Error, Kind, Result};
use crate::records::{self, Records};
use crate::request::Response;
use crate::select::{self, Selector};
use csv::Csv;
use serde_json::Value;

/// How many characters of a body that cannot be read an error shows.
const SHOWN: usize = 80;

/// The form of a body.
pub enum Format {
    /// One JSON document.
    Json,
    /// A JSON document on each line.
    Ndjson,
    /// Comma-separated values.
    Csv(Csv),
}

impl Format {
    /// The form that a configuration asks for. `pointer` is its place.
    pub fn new(config: &ResponseFormat, pointer: &str) -> Result<Self> {
        Ok(match config {
            ResponseFormat::Word(FormatWord::Json) | ResponseFormat::Object(FormatObject::Json {}) => Self::Json,
            ResponseFormat::Word(FormatWord::Ndjson | FormatWord::Jsonl)
            | ResponseFormat::Object(FormatObject::Ndjson {}) => Self::Ndjson,
            ResponseFormat::Word(FormatWord::Csv) => Self::Csv(Csv::default()),
            ResponseFormat::Object(FormatObject::Csv(config)) => Self::Csv(Csv::new(config, pointer)?),
        })
    }

    /// The form that the content type names. JSON goes by many names, so it is whatever is not known otherwise, as in dlt.
    fn of_content_type(response: &Response) -> Self {
        let essence = content_type(response).split(';').next().unwrap_or_default().trim().to_lowercase();
        match essence.as_str() {
            "application/x-ndjson"
            | "application/ndjson"
            | "text/x-ndjson"
            | "text/ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "application/jsonlines"
            | "application/x-jsonlines"
            | "application/jsonlines+json"
            | "text/jsonl"
            | "application/stream+json"
            | "application/x-json-stream" => Self::Ndjson,
            "text/csv" | "application/csv" | "text/x-csv" | "application/x-csv" => Self::Csv(Csv::default()),
            _ => Self::Json,
        }
    }
}

fn content_type(response: &Response) -> &str {
    response.header("content-type").unwrap_or_default()
}

/// The body of a response.
pub enum Body {
    /// Nothing, which is null.
    Empty,
    /// One JSON document.
    Json(String),
    /// Records and nothing else.
    Records(Records),
}

/// A body that was read: the document, and the records in it.
pub struct Page {
    /// The document. Where the records were found by keys, their list is empty in it.
    pub head: Value,
    /// The records.
    pub records: Records,
    /// Whether something stands where the records are looked for.
    pub is_matched: bool,
}

/// Takes the body out of a response. `format` is what the configuration says of it.
pub fn read(response: &mut Response, format: Option<&Format>) -> Result<Body> {
    let coding = response.header("content-encoding").filter(|coding| !coding.trim().eq_ignore_ascii_case("identity"));
    if let Some(coding) = coding.filter(|_| !response.body.is_empty()) {
        let message = format!("the response came encoded as `{}`, which nothing here has decoded", printable(coding));
        return Err(Error::new(Kind::Upstream, message).advice(
            "gzip, deflate, br and zstd are decoded by Spile's host; other runtimes have to be asked for none",
        ));
    }
    let bytes = std::mem::take(&mut response.body);
    refuse_utf16(&bytes)?;
    if without_mark(&bytes).iter().all(u8::is_ascii_whitespace) {
        return Ok(Body::Empty);
    }
    let found = if format.is_none() { Some(Format::of_content_type(response)) } else { None };
    match format.or(found.as_ref()) {
        Some(Format::Ndjson) => lines(text(response, bytes)?).map(Body::Records),
        Some(Format::Csv(csv)) => csv.read(without_mark(&bytes)).map(Body::Records),
        Some(Format::Json) | None => text(response, bytes).map(Body::Json),
    }
}

/// The text of a body.
fn text(response: &Response, bytes: Vec<u8>) -> Result<String> {
    if simdutf8::basic::from_utf8(&bytes).is_err()
        && let Err(error) = std::str::from_utf8(&bytes)
    {
        return Err(unreadable(response, &bytes, &format!("the response is not valid JSON: {error}")));
    }
    // SAFETY: that it is UTF-8 was just seen, by one of the two.
    let text = unsafe { String::from_utf8_unchecked(bytes) };
    Ok(match text.strip_prefix(MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// The tree of a JSON text.
pub fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| no_record(&error.to_string()))
}

/// The error of a record that is no JSON.
pub fn no_record(why: &str) -> Error {
    Error::new(Kind::Upstream, format!("a record of the response is not valid JSON: {why}"))
}

impl Body {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Where the records are, where nothing says so.
    pub fn detect(&self, response: &Response) -> Result<Selector> {
        match self {
            Self::Json(text) => {
                let outline = records::outline(text).map_err(|why| no_json(response, text, &why))?;
                Ok(select::detect(&outline))
            }
            Self::Empty | Self::Records(_) => Ok(Selector::of_keys(Vec::new())),
        }
    }

    /// The records at a selector, and what is beside them. `is_whole` asks for the whole document.
    pub fn page(self, response: &Response, selector: &Selector, is_whole: bool) -> Result<Page> {
        match (self, selector.keys().filter(|_| !is_whole)) {
            (Self::Empty, _) => Ok(Page { head: Value::Null, records: Records::default(), is_matched: true }),
            (Self::Json(text), Some(keys)) => {
                let found = records::skim(&text, keys).map_err(|why| no_json(response, &text, &why))?;
                let is_matched = found.records.is_some();
                let records = Records::new(text, found.records.unwrap_or_default());
                Ok(Page { head: found.head, records, is_matched })
            }
            (Self::Json(text), None) => {
                let head = serde_json::from_str(&text).map_err(|error| no_json(response, &text, &error.to_string()))?;
                Ok(of_whole(head, selector))
            }
            (Self::Records(records), Some([])) => {
                Ok(Page { head: Value::Array(Vec::new()), records, is_matched: true })
            }
            (Self::Records(records), _) => Ok(of_whole(records.values()?.into(), selector)),
        }
    }
}

/// The records of a document by the rules of the reference, section 4.1: the one match, or the list of matches; null is no record; what
/// is no list is one record.
fn of_whole(head: Value, selector: &Selector) -> Page {
    let found = selector.all(&head);
    let is_matched = !found.is_empty();
    let records = match found.as_slice() {
        [Value::Null] => Records::default(),
        [Value::Array(items)] => Records::of_values(items),
        many => Records::of_values(many.iter().copied()),
    };
    Page { head, records, is_matched }
}

fn no_json(response: &Response, text: &str, why: &str) -> Error {
    unreadable(response, text.as_bytes(), &format!("the response is not valid JSON: {why}"))
}

/// What some programs write before a text.
const MARK: char = '\u{FEFF}';

/// A body without its byte order mark.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

/// JSON is UTF-8 (RFC 8259, section 8.1), and so is what CSV is read from.
fn refuse_utf16(body: &[u8]) -> Result<()> {
    let is_utf16 = match body {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => true,
        // The first character of JSON and of a header is one of ASCII.
        [0, first, ..] | [first, 0, ..] => *first != 0,
        _ => false,
    };
    if is_utf16 {
        return Err(Error::new(Kind::Upstream, "the response is UTF-16, and only UTF-8 is read")
            .advice("ask the API for UTF-8, for instance with the header `accept-charset: utf-8`"));
    }
    Ok(())
}

/// A JSON document on each line; blank lines are passed over.
fn lines(text: String) -> Result<Records> {
    let mut spans = Vec::new();
    let mut start = 0;
    for (index, line) in text.split('\n').enumerate() {
        if !line.bytes().all(|byte| byte.is_ascii_whitespace()) {
            records::check(line).map_err(|why| {
                let message = format!(
                    "line {} of the response is not valid JSON: {}; it begins with \"{}\"",
                    index + 1,
                    // Its own line is always the first.
                    why.replace("line 1 column", "column"),
                    self::start(line.as_bytes())
                );
                Error::new(Kind::Upstream, message)
                    .advice("where the whole body is one JSON document, write `response_format: json` in the endpoint")
            })?;
            spans.push(start..start + line.len());
        }
        start += line.len() + 1;
    }
    Ok(Records::new(text, spans))
}

/// The error of a body that is no JSON, with what it is instead.
fn unreadable(response: &Response, body: &[u8], message: &str) -> Error {
    let start = start(body);
    let kind = content_type(response);
    let named = match kind {
        "" => "it names no content type".to_owned(),
        kind => format!("its content type is `{}`", printable(kind)),
    };
    let is_page = kind.to_lowercase().contains("html") || start.starts_with('<');
    let advice = if is_page {
        "an HTML or XML page is commonly one to log in at, or of an error: look at `base_url`, `path` and `auth`"
    } else {
        "if it is lines of JSON or CSV, write `response_format: ndjson` or `csv` in the endpoint"
    };
    Error::new(Kind::Upstream, format!("{message}; {named}, and it begins with \"{start}\"")).advice(advice)
}

/// The first characters of a body, as an error may show them.
fn start(body: &[u8]) -> String {
    // A character has at most four bytes.
    let text = String::from_utf8_lossy(body.get(..SHOWN * 4).unwrap_or(body));
    let shown: String = text.chars().take(SHOWN).collect();
    let is_cut = body.len() > shown.len();
    format!("{}{}", printable(&shown), if is_cut { "…" } else { "" })
}

/// A text without characters that would change how a terminal shows it.
pub fn printable(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
    };
    text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn response(kind: &str, body: &[u8]) -> Response {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Response { status: 200, headers, body: body.to_vec() }
    }

    fn of(kind: &str, body: &str) -> Result<Value> {
        whole(&mut response(kind, body.as_bytes()), None)
    }

    /// The body as one document.
    fn whole(response: &mut Response, format: Option<&Format>) -> Result<Value> {
        match read(response, format)? {
            Body::Empty => Ok(Value::Null),
            Body::Records(records) => records.values().map(Value::Array),
            body => body.page(response, &Selector::of_keys(Vec::new()), true).map(|page| page.head),
        }
    }

    #[test]
    fn the_content_type_tells_lines_and_csv() {
        let records = json!([{"a": 1}, {"a": 2}]);
        for kind in ["application/x-ndjson", "Application/JSONL; charset=utf-8", "application/x-jsonlines"] {
            assert_eq!(of(kind, "{\"a\": 1}\r\n\n  \n{\"a\": 2}\n"), Ok(records.clone()), "{kind}");
            assert_eq!(of(kind, "{\"a\": 1}"), Ok(json!([{"a": 1}])), "{kind}");
        }
        assert_eq!(of("text/csv;header=present", "a\n1\n2"), Ok(json!([{"a": "1"}, {"a": "2"}])));
        for kind in ["", "text/html", "application/octet-stream", "application/vnd.api+json"] {
            assert_eq!(of(kind, "[{\"a\": 1}, {\"a\": 2}]"), Ok(records.clone()), "{kind}");
        }
    }

    #[test]
    fn the_configuration_wins_over_the_content_type() {
        let read = |word: Value, kind: &str, body: &str| {
            let format = Format::new(&serde_json::from_value(word).unwrap(), "/f").unwrap();
            whole(&mut response(kind, body.as_bytes()), Some(&format))
        };
        assert_eq!(read(json!("json"), "text/csv", "[1]"), Ok(json!([1])));
        assert_eq!(read(json!({"type": "ndjson"}), "text/html", "1\n2"), Ok(json!([1, 2])));
        assert_eq!(read(json!("jsonl"), "application/json", "[1]"), Ok(json!([[1]])));
        assert_eq!(read(json!("csv"), "", "a,b\n1,\n"), Ok(json!([{"a": "1", "b": null}])));
        let config = json!({"type": "csv", "delimiter": ";", "header": false, "columns": ["x", "y"]});
        assert_eq!(read(config, "", "1;2\n3;4"), Ok(json!([{"x": "1", "y": "2"}, {"x": "3", "y": "4"}])));
    }

    #[test]
    fn an_empty_body_is_null() {
        for kind in ["application/json", "text/csv", "application/x-ndjson", ""] {
            for body in ["", " \r\n\t ", "\u{FEFF}", "\u{FEFF}\n"] {
                assert_eq!(of(kind, body), Ok(Value::Null), "{kind} {body:?}");
            }
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_and_utf16_is_named() {
        assert_eq!(of("", "\u{FEFF}[1]"), Ok(json!([1])));
        assert_eq!(of("text/csv", "\u{FEFF}a\n1"), Ok(json!([{"a": "1"}])));
        assert_eq!(of("application/jsonl", "\u{FEFF}1\n2"), Ok(json!([1, 2])));
        for body in [&b"\xFF\xFE[\x001\x00]\x00"[..], b"\xFE\xFF\x00[", b"[\x001\x00]\x00", b"\x00["] {
            let error = whole(&mut response("", body), None).unwrap_err();
            assert_eq!(error.message, "the response is UTF-16, and only UTF-8 is read");
        }
    }

    #[test]
    fn what_is_no_json_is_shown() {
        let error = of("text/html; charset=utf-8", "<!DOCTYPE html>\n<title>\u{1b}[31mLog in</title>").unwrap_err();
        assert_eq!(
            error.message,
            "the response is not valid JSON: expected value at line 1 column 1; its content type is \
             `text/html; charset=utf-8`, and it begins with \"<!DOCTYPE html> <title> [31mLog in</title>\""
        );
        assert!(error.advice.unwrap().contains("log in"));
        let error = of("", &format!("é{}", "x".repeat(500))).unwrap_err();
        assert!(error.message.ends_with(&format!("and it begins with \"é{}…\"", "x".repeat(79))), "{error}");
        assert!(error.message.contains("it names no content type"));
        assert_eq!(error.kind, Kind::Upstream);
        assert!(whole(&mut response("", b"[\"\xff\"]"), None).is_err());
    }

    #[test]
    fn a_line_that_is_no_json_is_named() {
        let error = of("application/jsonl", "{\"a\": 1}\n\n{\"a\": }\n").unwrap_err();
        assert_eq!(
            error.message,
            "line 3 of the response is not valid JSON: expected value at column 7; it begins with \"{\"a\": }\""
        );
    }

    #[test]
    fn a_body_that_nothing_decoded_is_named() {
        let with = |coding: &str, body: &[u8]| Response {
            headers: vec![("content-encoding".to_owned(), coding.to_owned())],
            ..response("", body)
        };
        let error = whole(&mut with("compress", b"\x1f\x9d"), None).unwrap_err();
        assert!(error.message.contains("`compress`"), "{error}");
        assert_eq!(whole(&mut with("Identity", b"[1]"), None), Ok(json!([1])));
        assert_eq!(whole(&mut with("gzip", b""), None), Ok(Value::Null));
    }
}
