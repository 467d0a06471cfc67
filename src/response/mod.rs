//! Bodies of responses: JSON, lines of JSON, or comma-separated values become one JSON value.

mod csv;

use crate::config::model::{FormatObject, FormatWord, ResponseFormat};
use crate::error::{Error, Kind, Result};
use crate::request::Response;
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

/// Reads the body of a response; null where it is empty. `format` is what the configuration says of it.
pub fn read(response: &Response, format: Option<&Format>) -> Result<Value> {
    let coding = response.header("content-encoding").filter(|coding| !coding.trim().eq_ignore_ascii_case("identity"));
    if let Some(coding) = coding.filter(|_| !response.body.is_empty()) {
        let message = format!("the response came encoded as `{}`, which nothing here has decoded", printable(coding));
        return Err(Error::new(Kind::Upstream, message).advice(
            "gzip, deflate, br and zstd are decoded by Spile's host; other runtimes have to be asked for none",
        ));
    }
    let body = without_mark(&response.body)?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    let found = if format.is_none() { Some(Format::of_content_type(response)) } else { None };
    match format.or(found.as_ref()) {
        Some(Format::Ndjson) => lines(body),
        Some(Format::Csv(csv)) => csv.read(body),
        Some(Format::Json) | None => serde_json::from_slice(body)
            .map_err(|error| unreadable(response, body, &format!("the response is not valid JSON: {error}"))),
    }
}

/// A body without its byte order mark. JSON is UTF-8 (RFC 8259, section 8.1), and so is what CSV is read from.
fn without_mark(body: &[u8]) -> Result<&[u8]> {
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
    Ok(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body))
}

/// A JSON document on each line; blank lines are passed over.
fn lines(body: &[u8]) -> Result<Value> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace));
    let read = |(index, line): (usize, &[u8])| {
        serde_json::from_slice::<Value>(line).map_err(|error| {
            let message = format!(
                "line {} of the response is not valid JSON: {}; it begins with \"{}\"",
                index + 1,
                // Its own line is always the first.
                error.to_string().replace("line 1 column", "column"),
                start(line)
            );
            Error::new(Kind::Upstream, message)
                .advice("where the whole body is one JSON document, write `response_format: json` in the endpoint")
        })
    };
    lines.map(read).collect::<Result<Vec<_>>>().map(Value::Array)
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
        read(&response(kind, body.as_bytes()), None)
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
            read(&response(kind, body.as_bytes()), Some(&format))
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
            let error = read(&response("", body), None).unwrap_err();
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
        assert!(read(&response("", b"[\"\xff\"]"), None).is_err());
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
        let error = read(&with("compress", b"\x1f\x9d"), None).unwrap_err();
        assert!(error.message.contains("`compress`"), "{error}");
        assert_eq!(read(&with("Identity", b"[1]"), None), Ok(json!([1])));
        assert_eq!(read(&with("gzip", b""), None), Ok(Value::Null));
    }
}
