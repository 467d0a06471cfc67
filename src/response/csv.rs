//! Comma-separated values (RFC 4180): each line is a record of texts.

use crate::config::model;
use crate::error::{Error, Kind, Result};
use crate::records::Records;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How a body of comma-separated values is read.
pub struct Csv {
    delimiter: u8,
    has_header: bool,
    /// The names of the columns, where those of the header do not count.
    columns: Option<Vec<String>>,
}

impl Default for Csv {
    fn default() -> Self {
        Self { delimiter: b',', has_header: true, columns: None }
    }
}

impl Csv {
    /// What the configuration says. `pointer` is its place.
    pub fn new(config: &model::Csv, pointer: &str) -> Result<Self> {
        let delimiter = match config.delimiter.as_deref().map(str::as_bytes) {
            None => b',',
            Some([one]) if one.is_ascii() && !b"\"\r\n".contains(one) => *one,
            Some(_) => {
                let message = "the delimiter is not one character of ASCII";
                return Err(Error::config(format!("{pointer}/delimiter"), message)
                    .advice("write the character between the values, such as `\";\"` or `\"\\t\"`"));
            }
        };
        if let Some(columns) = &config.columns {
            distinct(columns, |message| Error::config(format!("{pointer}/columns"), message))?;
        } else if !config.header {
            return Err(Error::config(format!("{pointer}/header"), "without a header nothing names the columns")
                .advice("name them: `columns: [id, name]`"));
        }
        Ok(Self { delimiter, has_header: config.header, columns: config.columns.clone() })
    }

    /// The records of a body that is not empty, by the names of the columns. An empty field is null.
    pub fn read(&self, body: &[u8]) -> Result<Records> {
        let mut lines = Lines::new(body, self.delimiter);
        let header = if self.has_header { lines.next_record()? } else { None };
        let columns = match (&self.columns, header) {
            (Some(columns), _) => columns.clone(),
            (None, Some(names)) => {
                distinct(&names, |message| Error::new(Kind::Upstream, format!("line {}: {message}", lines.line)))?;
                names
            }
            (None, None) => return Ok(Records::default()),
        };
        let mut records = Records::default();
        while let Some(fields) = lines.next_record()? {
            if fields.len() != columns.len() {
                let message = format!(
                    "line {} of the response has {} fields, and there are {} columns",
                    lines.line,
                    fields.len(),
                    columns.len()
                );
                return Err(Error::new(Kind::Upstream, message).advice(
                    "is the delimiter right? `response_format: {type: csv, delimiter: \";\"}` says another one",
                ));
            }
            let value = |text: String| if text.is_empty() { Value::Null } else { Value::String(text) };
            records.push(&Value::Object(Map::from_iter(columns.iter().cloned().zip(fields.into_iter().map(value)))));
        }
        Ok(records)
    }
}

/// Fails where a name stands twice.
fn distinct(names: &[String], error: impl Fn(String) -> Error) -> Result<()> {
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(error(format!("the column `{}` is named twice", super::printable(name)))
            .advice("name the columns yourself: `response_format: {type: csv, columns: [id, name]}`")),
        None => Ok(()),
    }
}

/// The records of a body one by one.
struct Lines<'b> {
    reader: Reader,
    rest: &'b [u8],
    /// The line on which the record begins that was read last, from 1.
    line: usize,
    /// Lines that end before `rest`.
    ended: usize,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl<'b> Lines<'b> {
    fn new(body: &'b [u8], delimiter: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        Self { reader, rest: body, line: 1, ended: 0, text: vec![0; 4096], ends: vec![0; 64] }
    }

    /// The next record; blank lines are passed over.
    fn next_record(&mut self) -> Result<Option<Vec<String>>> {
        let blank = self.rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.skip(blank);
        self.line = self.ended + 1;
        let (mut length, mut fields) = (0, 0);
        loop {
            let text = self.text.get_mut(length..).unwrap_or_default();
            let ends = self.ends.get_mut(fields..).unwrap_or_default();
            let (result, read, written, ended) = self.reader.read_record(self.rest, text, ends);
            self.skip(read);
            length += written;
            fields += ended;
            match result {
                // At the end of the body, the reader is told so by an empty input.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        let mut from = 0;
        let ends = self.ends.get(..fields).unwrap_or_default().iter();
        let field = |end: &usize| {
            let bytes = self.text.get(from..*end).unwrap_or_default();
            from = *end;
            std::str::from_utf8(bytes).map(str::to_owned)
        };
        ends.map(field).collect::<Result<_, _>>().map(Some).map_err(|_| {
            Error::new(Kind::Upstream, format!("line {} of the response is not UTF-8", self.line))
                .advice("ask the API for UTF-8")
        })
    }

    fn skip(&mut self, count: usize) {
        let (passed, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, &[]));
        self.ended += passed.iter().filter(|byte| **byte == b'\n').count();
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn tree(read: Result<Records>) -> Result<Value> {
        read.and_then(|records| records.values()).map(Value::Array)
    }

    fn read(body: &str) -> Result<Value, String> {
        tree(Csv::default().read(body.as_bytes())).map_err(|error| error.message)
    }

    fn made(config: Value) -> Result<Csv, (String, String)> {
        let config = serde_json::from_value(config).unwrap();
        Csv::new(&config, "/p").map_err(|error| (error.pointer.unwrap(), error.message))
    }

    #[test]
    fn records_are_texts_by_column() {
        assert_eq!(
            read("id,name,note\r\n1,\"a, \"\"b\"\"\",\r\n\r\n2,\"two\nlines\",\"\"\r\n"),
            Ok(json!([{"id": "1", "name": "a, \"b\"", "note": null}, {"id": "2", "name": "two\nlines", "note": null}]))
        );
        assert_eq!(read("id\n"), Ok(json!([])));
        assert_eq!(read("id\n007"), Ok(json!([{"id": "007"}])));
        let long = "x".repeat(100_000);
        assert_eq!(read(&format!("a\n{long}")), Ok(json!([{"a": long}])));
        let wide: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(read(&format!("{0}\n{0}", wide.join(","))).unwrap()[0]["999"], "999");
    }

    #[test]
    fn what_is_ragged_or_named_twice_is_told_with_its_line() {
        assert_eq!(
            read("a,b\n1,2\n\n\"x\ny\",2\n3\n"),
            Err("line 6 of the response has 1 fields, and there are 2 columns".into())
        );
        assert_eq!(read("a,b\n1,2,3\n"), Err("line 2 of the response has 3 fields, and there are 2 columns".into()));
        assert_eq!(read("\na,b,a\n"), Err("line 2: the column `a` is named twice".into()));
        let error = Csv::default().read(b"a\n1\n\xff\n").unwrap_err();
        assert_eq!(error.message, "line 3 of the response is not UTF-8");
    }

    #[test]
    fn names_come_from_the_configuration_too() {
        let with_header = made(json!({"columns": ["x", "y"]})).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(tree(with_header.read(b"a,a\n1,2")), Ok(json!([{"x": "1", "y": "2"}])));
        let tabs = made(json!({"delimiter": "\t"})).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(tree(tabs.read(b"a\tb\n1\t2,3")), Ok(json!([{"a": "1", "b": "2,3"}])));
        let error = |config| made(config).err().unwrap();
        assert_eq!(error(json!({"header": false})).0, "/p/header");
        assert_eq!(
            error(json!({"columns": ["a", "a"]})),
            ("/p/columns".into(), "the column `a` is named twice".into())
        );
        for delimiter in ["", ";;", "é", "\"", "\n"] {
            assert_eq!(error(json!({"delimiter": delimiter})).0, "/p/delimiter", "{delimiter:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(rows in prop::collection::vec(prop::collection::vec("[a-z,\"\n é]{1,8}", 3), 1..20)) {
            let quoted = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
            let lines = rows.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n");
            let body = format!("a,b,c\n{}", lines.collect::<String>());
            let read = tree(Csv::default().read(body.as_bytes())).unwrap();
            let expected: Vec<Value> = rows.iter().map(|row| json!({"a": row[0], "b": row[1], "c": row[2]})).collect();
            prop_assert_eq!(read, Value::Array(expected));
        }

        #[test]
        fn no_body_is_too_strange(body: Vec<u8>) {
            let _ = Csv::default().read(&body);
        }
    }
}
