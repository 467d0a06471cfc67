//! Reads the text of a record, value by value.
//!
//! The text is one JSON value: [`crate::records`] has passed over it, or made it. So this looks for the ends of things, and does not
//! check again what lies between. Of any other text it gives other values or an error, and comes to an end.
//!
//! What each value takes is inlined, and what is short is passed over without a loop: in wasm every call and every turn of a loop is one
//! more place where the host may interrupt, which takes time.

use super::walk::Stop;
use crate::response::no_record;
use wide::u8x16;

/// What comes next.
#[derive(Clone, Copy, PartialEq)]
pub enum Next {
    Null,
    True,
    False,
    Text,
    Number,
    Object,
    List,
}

/// The end of an object.
pub const OBJECT: u8 = b'}';

/// The end of a list.
pub const LIST: u8 = b']';

/// A place in a text.
pub struct Cursor<'t> {
    text: &'t str,
    at: usize,
    /// The last text that had escapes, without them.
    unescaped: String,
}

type Result<T> = std::result::Result<T, Stop>;

impl<'t> Cursor<'t> {
    /// The beginning of a text.
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0, unescaped: String::new() }
    }

    /// What value comes next.
    #[inline(always)]
    pub fn peek(&mut self) -> Result<Next> {
        match self.skip_blank() {
            Some(b'"') => Ok(Next::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Next::Number),
            Some(b'n') => Ok(Next::Null),
            Some(b't') => Ok(Next::True),
            Some(b'f') => Ok(Next::False),
            Some(b'{') => Ok(Next::Object),
            Some(b'[') => Ok(Next::List),
            _ => Err(self.wrong("expected value")),
        }
    }

    /// Reads one of the words of JSON.
    pub fn word(&mut self, word: &str) -> Result<&'t str> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.wrong("expected ident"));
        }
        Ok(self.pass(self.at + word.len()))
    }

    /// Reads a number, as it is written.
    #[inline(always)]
    pub fn number(&mut self) -> &'t str {
        let is_end = |bytes: u8x16| {
            let is = |byte| bytes.simd_eq(u8x16::splat(byte));
            is(b',') | is(b'}') | is(b']') | bytes.simd_le(u8x16::splat(b' '))
        };
        let length = match self.rest().first_chunk() {
            Some(sixteen) => (is_end(u8x16::new(*sixteen)).to_bitmask() | 1 << 16).trailing_zeros() as usize,
            None => 16,
        };
        self.pass(self.at + if length < 16 { length } else { digits(self.rest()) })
    }

    /// Reads a text.
    #[inline(always)]
    pub fn text(&mut self) -> Result<&str> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let end = end_or_escape(bytes, start).ok_or_else(|| self.wrong("EOF while parsing a string"))?;
        if bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(self.text.get(start..end).unwrap_or_default());
        }
        let written = self.skip_text(end)?;
        self.unescaped = serde_json::from_str(written).map_err(|error| no_record(&error.to_string()))?;
        Ok(&self.unescaped)
    }

    /// Passes over the value that comes next, and gives it as it is written.
    pub fn skip(&mut self) -> Result<&'t str> {
        let next = self.peek()?;
        let (start, mut depth) = (self.at, 0_usize);
        match next {
            Next::Object | Next::List => {}
            Next::Number => return Ok(self.number()),
            Next::Text => return self.skip_text(self.at + 1),
            Next::Null => return self.word("null"),
            Next::True => return self.word("true"),
            Next::False => return self.word("false"),
        }
        loop {
            match self.rest().first() {
                Some(b'"') => {
                    self.skip_text(self.at + 1)?;
                    continue;
                }
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => depth = depth.saturating_sub(1),
                Some(_) => {}
                None => return Err(self.wrong("EOF while parsing a value")),
            }
            self.at += 1;
            if depth == 0 {
                return Ok(self.text.get(start..self.at).unwrap_or_default());
            }
        }
    }

    /// Enters the object or the list that comes next. Whether there is something in it.
    pub fn enter(&mut self, end: u8) -> bool {
        self.at += 1;
        let is_empty = self.skip_blank() == Some(end);
        self.at += usize::from(is_empty);
        !is_empty
    }

    /// Goes on to what comes next in an object or a list, or leaves it.
    #[inline(always)]
    pub fn step(&mut self, end: u8) -> Result<bool> {
        match self.skip_blank() {
            Some(b',') => {
                self.at += 1;
                self.skip_blank();
                Ok(true)
            }
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.wrong("expected `,`")),
        }
    }

    /// Passes over the key that comes next, where it is this one, which has neither quotes nor backslashes.
    #[inline(always)]
    pub fn takes_key(&mut self, key: &str) -> bool {
        let end = self.at + 1 + key.len();
        let bytes = self.text.as_bytes();
        let is_key = bytes.get(end) == Some(&b'"')
            && bytes.get(self.at) == Some(&b'"')
            && bytes.get(self.at + 1..end).is_some_and(|written| is_same(written, key.as_bytes()));
        if is_key {
            self.at += key.len() + 2;
        }
        is_key
    }

    /// Reads the key that comes next.
    pub fn key(&mut self) -> Result<&str> {
        match self.rest().first() {
            Some(b'"') => self.text(),
            _ => Err(self.wrong("key must be a string")),
        }
    }

    /// Passes over what stands between a key and its value.
    #[inline(always)]
    pub fn colon(&mut self) -> Result<()> {
        if self.skip_blank() != Some(b':') {
            return Err(self.wrong("expected `:`"));
        }
        self.at += 1;
        Ok(())
    }

    /// Whether the text is at its end.
    pub fn finish(&mut self) -> Result<()> {
        match self.skip_blank() {
            None => Ok(()),
            Some(_) => Err(self.wrong("trailing characters")),
        }
    }

    #[inline(always)]
    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Passes over white space: what comes then.
    #[inline(always)]
    fn skip_blank(&mut self) -> Option<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) if is_blank(*byte) => self.skip_blanks(),
            other => other.copied(),
        }
    }

    fn skip_blanks(&mut self) -> Option<u8> {
        let length = self.rest().iter().position(|byte| !is_blank(*byte)).unwrap_or(self.rest().len());
        self.at += length;
        self.rest().first().copied()
    }

    /// Goes to a place: what lies between.
    fn pass(&mut self, end: usize) -> &'t str {
        let start = std::mem::replace(&mut self.at, end);
        self.text.get(start..end).unwrap_or_default()
    }

    /// Passes over the text that begins here and of which all is known up to a place.
    fn skip_text(&mut self, mut at: usize) -> Result<&'t str> {
        let bytes = self.text.as_bytes();
        loop {
            at = end_or_escape(bytes, at).ok_or_else(|| self.wrong("EOF while parsing a string"))?;
            match bytes.get(at) {
                Some(b'"') => return Ok(self.pass(at + 1)),
                // Whatever is escaped ends nothing.
                _ => at += 2,
            }
        }
    }

    #[cold]
    fn wrong(&self, what: &str) -> Stop {
        no_record(&format!("{what} at byte {}", self.at)).into()
    }
}

/// White space in JSON.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// How many bytes of a number come first.
fn digits(bytes: &[u8]) -> usize {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    bytes.iter().position(|byte| !is_digit(byte)).unwrap_or(bytes.len())
}

/// Whether two are the same: comparing short ones by a call, or in a loop, takes longer.
#[inline(always)]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match one.len() {
        17.. => one == other,
        8.. => ends::<8>(one) == ends::<8>(other),
        4.. => ends::<4>(one) == ends::<4>(other),
        _ => (one.first(), one.get(1), one.get(2)) == (other.first(), other.get(1), other.get(2)),
    }
}

/// The first and the last bytes, which may have some in common.
#[inline(always)]
fn ends<const COUNT: usize>(bytes: &[u8]) -> Option<(&[u8; COUNT], &[u8; COUNT])> {
    bytes.first_chunk().zip(bytes.last_chunk())
}

/// The first quote or backslash from a place on.
#[inline(always)]
fn end_or_escape(bytes: &[u8], at: usize) -> Option<usize> {
    // Short texts end here, outside of the loop.
    match in_sixteen(bytes.get(at..)?) {
        Some(16) => far_end_or_escape(bytes, at + 16),
        Some(nth) => Some(at + nth),
        None => near_end_or_escape(bytes, at),
    }
}

fn far_end_or_escape(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(nth) = in_sixteen(bytes.get(at..)?) {
        if nth < 16 {
            return Some(at + nth);
        }
        at += 16;
    }
    near_end_or_escape(bytes, at)
}

fn near_end_or_escape(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.iter().position(|byte| matches!(byte, b'"' | b'\\')).map(|nth| at + nth)
}

/// The first quote or backslash of sixteen bytes, or 16; none where there are fewer.
#[inline(always)]
fn in_sixteen(bytes: &[u8]) -> Option<usize> {
    let sixteen = u8x16::new(*bytes.first_chunk()?);
    let found = sixteen.simd_eq(u8x16::splat(b'"')) | sixteen.simd_eq(u8x16::splat(b'\\'));
    Some((found.to_bitmask() | 1 << 16).trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The tree that the cursor reads.
    fn read(input: &mut Cursor<'_>) -> Result<Value> {
        Ok(match input.peek()? {
            Next::Null => input.word("null").map(|_| Value::Null)?,
            Next::True => input.word("true").map(|_| true.into())?,
            Next::False => input.word("false").map(|_| false.into())?,
            Next::Text => input.text()?.into(),
            Next::Number => serde_json::from_str(input.number()).map_err(|error| no_record(&error.to_string()))?,
            Next::Object => {
                let mut fields = serde_json::Map::new();
                let mut more = input.enter(OBJECT);
                while more {
                    let key = if input.takes_key("k") { "k".to_owned() } else { input.key()?.to_owned() };
                    input.colon()?;
                    fields.insert(key, read(input)?);
                    more = input.step(OBJECT)?;
                }
                Value::Object(fields)
            }
            Next::List => {
                let mut items = Vec::new();
                let mut more = input.enter(LIST);
                while more {
                    items.push(read(input)?);
                    more = input.step(LIST)?;
                }
                Value::Array(items)
            }
        })
    }

    fn whole(text: &str) -> Option<Value> {
        let mut input = Cursor::new(text);
        let value = read(&mut input).ok()?;
        input.finish().ok()?;
        Some(value)
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[a-z\"\\\\\n\u{1}é漢]{0,20}", Just("k".to_owned()), Just("k\":".to_owned())];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(|number: f64| Value::from(number)),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((text.clone(), inner), 0..6).prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_reads(value in any_json(), is_pretty: bool) {
            let text = if is_pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            prop_assert_eq!(whole(&text), serde_json::from_str(&text).ok());
            let mut input = Cursor::new(&text);
            prop_assert!(input.skip().is_ok_and(|skipped| skipped == text));
        }

        #[test]
        fn it_ends_whatever_it_reads(text in "[\\[\\]{}:,\"\\\\ a1ntf-]{0,30}") {
            let _ = whole(&text);
            let _ = Cursor::new(&text).skip();
        }
    }

    #[test]
    fn escapes_that_are_none_are_an_error() {
        for text in
            [r#""\ud800""#, r#""\x""#, r#""abc"#, r#""abc\"#, r#"{"a" 1}"#, r#"{1: 2}"#, "[1 2]", "1 2", "nul", ""]
        {
            assert_eq!(whole(text), None, "{text}");
        }
        assert_eq!(whole(r#" "a\n\u00e9\"b" "#), Some("a\né\"b".into()));
    }
}
