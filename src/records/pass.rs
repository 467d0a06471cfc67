//! Passes over JSON, and checks it, without making anything of it.
//!
//! It takes what serde_json takes: RFC 8259, of any depth. Where something is wrong serde_json is asked what it is.
//!
//! Sixteen bytes are looked at at a time, and what is short is passed over without a loop: in wasm each turn of one is a place where the host
//! may interrupt, which takes time.

use serde::de::IgnoredAny;
use serde_json::{Error, Value};
use std::borrow::Cow;
use std::ops::Range;
use wide::u8x16;

/// Why a text is no JSON, or none of which a tree can be made.
pub enum Wrong {
    /// serde_json knows what it is.
    Syntax,
    /// What it says of the part of the text that begins here.
    Part(usize, Error),
}

pub type Result<T> = std::result::Result<T, Wrong>;

/// A place in a text.
pub struct Pass<'t> {
    text: &'t str,
    at: usize,
    /// The ends of the objects and lists around it, of the value that is passed over.
    ends: Vec<u8>,
}

impl<'t> Pass<'t> {
    /// What is found in a text that is one document.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    pub fn over<T>(text: &'t str, find: impl FnOnce(&mut Self) -> Result<T>) -> std::result::Result<T, String> {
        let mut pass = Self { text, at: 0, ends: Vec::new() };
        let found =
            find(&mut pass).and_then(|found| if pass.peek().is_none() { Ok(found) } else { Err(Wrong::Syntax) });
        found.map_err(|wrong| pass.why(&wrong))
    }

    /// Passes over white space: what comes then.
    #[inline(always)]
    pub fn peek(&mut self) -> Option<u8> {
        match self.byte() {
            Some(b' ' | b'\n' | b'\r' | b'\t') => self.skip_blanks(),
            other => other,
        }
    }

    /// Enters the object or the list that comes next. Whether there is something in it.
    pub fn enter(&mut self, end: u8) -> bool {
        self.at += 1;
        let is_empty = self.peek() == Some(end);
        self.at += usize::from(is_empty);
        !is_empty
    }

    /// Goes on to what comes next in an object or a list, or leaves it.
    pub fn step(&mut self, end: u8) -> Result<bool> {
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(byte) if byte == end => {
                self.at += 1;
                return Ok(false);
            }
            _ => return Err(Wrong::Syntax),
        }
        Ok(true)
    }

    /// Passes over a key and its colon: the key, without escapes.
    pub fn key(&mut self) -> Result<Cow<'t, str>> {
        self.peek();
        let start = self.at;
        self.string()?;
        let key = self.part(start..self.at);
        let inner = key.get(1..key.len() - 1).unwrap_or_default();
        let key = if inner.contains('\\') {
            Cow::Owned(serde_json::from_str(key).map_err(|error| Wrong::Part(start, error))?)
        } else {
            Cow::Borrowed(inner)
        };
        self.colon()?;
        Ok(key)
    }

    /// The tree of the value that comes next, and where it stands.
    pub fn tree(&mut self) -> Result<(Value, Range<usize>)> {
        let place = self.value()?;
        let tree = serde_json::from_str(self.part(place.clone()));
        tree.map(|tree| (tree, place.clone())).map_err(|error| Wrong::Part(place.start, error))
    }

    /// Passes over the value that comes next: where it stands.
    pub fn value(&mut self) -> Result<Range<usize>> {
        self.ends.clear();
        self.peek();
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b'{') => {
                    if self.enter(b'}') {
                        self.ends.push(b'}');
                        self.field()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    if self.enter(b']') {
                        self.ends.push(b']');
                        continue;
                    }
                }
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                _ => return Err(Wrong::Syntax),
            }
            let Some(end) = self.ends.last() else { return Ok(start..self.at) };
            let is_object = *end == b'}';
            if self.peek() == Some(b',') {
                self.at += 1;
                if is_object {
                    self.field()?;
                }
            } else if self.leave()? {
                return Ok(start..self.at);
            }
        }
    }

    /// Leaves the objects and lists that end here, and goes on to what comes next. Whether that was all.
    fn leave(&mut self) -> Result<bool> {
        while let Some(end) = self.ends.pop() {
            if self.step(end)? {
                self.ends.push(end);
                if end == b'}' {
                    self.field()?;
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Passes over a key and its colon.
    #[inline(always)]
    fn field(&mut self) -> Result<()> {
        self.peek();
        self.string()?;
        self.colon()
    }

    #[inline(always)]
    fn colon(&mut self) -> Result<()> {
        if self.peek() != Some(b':') {
            return Err(Wrong::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    #[inline(always)]
    fn string(&mut self) -> Result<()> {
        if self.byte() != Some(b'"') {
            return Err(Wrong::Syntax);
        }
        self.at += 1;
        // Most end here, outside of the loop.
        if let Some(nth @ 0..16) = self.sixteen().map(|bytes| first(is_no_text(bytes))) {
            self.at += nth;
            if self.byte() == Some(b'"') {
                self.at += 1;
                return Ok(());
            }
        }
        self.long_string()
    }

    /// The rest of a text.
    fn long_string(&mut self) -> Result<()> {
        loop {
            match self.sixteen().map(|bytes| first(is_no_text(bytes))) {
                Some(16) => {
                    self.at += 16;
                    continue;
                }
                Some(nth) => self.at += nth,
                None => {
                    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ');
                    self.at += self.rest().iter().position(ends).ok_or(Wrong::Syntax)?;
                }
            }
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(Wrong::Syntax),
            }
        }
    }

    fn escape(&mut self) -> Result<()> {
        let is_hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
        self.at += match self.rest() {
            [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [_, b'u', one, two, three, four, ..] if is_hex(&[*one, *two, *three, *four]) => 6,
            _ => return Err(Wrong::Syntax),
        };
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Result<()> {
        self.at += usize::from(self.byte() == Some(b'-'));
        let is_zero = self.byte() == Some(b'0');
        let count = self.digits();
        if count == 0 || (is_zero && count > 1) {
            return Err(Wrong::Syntax);
        }
        match self.byte() {
            Some(b'.' | b'e' | b'E') => self.fraction(),
            _ => Ok(()),
        }
    }

    fn fraction(&mut self) -> Result<()> {
        if self.byte() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(Wrong::Syntax);
            }
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err(Wrong::Syntax);
            }
        }
        Ok(())
    }

    /// Passes over digits: how many.
    #[inline(always)]
    fn digits(&mut self) -> usize {
        let is_none = |bytes: u8x16| (bytes - u8x16::splat(b'0')).simd_gt(u8x16::splat(9));
        let count = match self.sixteen().map(|bytes| first(is_none(bytes))) {
            Some(count @ 0..16) => count,
            _ => self.rest().iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.rest().len()),
        };
        self.at += count;
        count
    }

    fn word(&mut self, word: &[u8]) -> Result<()> {
        if !self.rest().starts_with(word) {
            return Err(Wrong::Syntax);
        }
        self.at += word.len();
        Ok(())
    }

    fn skip_blanks(&mut self) -> Option<u8> {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.at += self.rest().iter().position(|byte| !is_blank(byte)).unwrap_or(self.rest().len());
        self.byte()
    }

    #[inline(always)]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline(always)]
    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[inline(always)]
    fn sixteen(&self) -> Option<u8x16> {
        self.rest().first_chunk().map(|bytes| u8x16::new(*bytes))
    }

    fn part(&self, place: Range<usize>) -> &'t str {
        self.text.get(place).unwrap_or_default()
    }

    /// What is wrong, and where in the whole text.
    #[cold]
    fn why(&self, wrong: &Wrong) -> String {
        let (before, error) = match wrong {
            Wrong::Syntax => match serde_json::from_str::<IgnoredAny>(self.text) {
                Err(error) => return error.to_string(),
                Ok(_) => return format!("no JSON at byte {}", self.at),
            },
            Wrong::Part(start, error) => (self.part(0..*start), error),
        };
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = error.to_string();
        let what = message.strip_suffix(&place).unwrap_or(&message);
        let of_line = before.len() - before.rfind('\n').map_or(0, |end| end + 1);
        let column = error.column() + if error.line() == 1 { of_line } else { 0 };
        format!("{what} at line {} column {column}", before.matches('\n').count() + error.line())
    }
}

/// The bytes that end a text, or may not stand in it as they are.
#[inline(always)]
fn is_no_text(bytes: u8x16) -> u8x16 {
    bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\')) | bytes.simd_lt(u8x16::splat(b' '))
}

/// The first byte that is set, or 16.
#[inline(always)]
fn first(set: u8x16) -> usize {
    (set.to_bitmask() | 1 << 16).trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    /// Whether both take a text for the same value, with the same white space around it.
    fn is_as_serde_has_it(text: &str) -> bool {
        let serde = serde_json::from_str::<&RawValue>(text).map(RawValue::get).ok();
        let ours = Pass::over(text, Pass::value).map(|place| &text[place]);
        let why = serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|error| error.to_string());
        serde == ours.as_ref().ok().copied() && why.err() == ours.err()
    }

    fn any_json() -> impl Strategy<Value = String> {
        let text = prop_oneof![
            "[a-z\"\\\\\n\u{1}/é漢😀]{0,40}".prop_map(|text| serde_json::to_string(&text).unwrap()),
            r#""(a|\\n|\\u00e9|\\ud83d|\\"|\\/| ){0,30}""#,
        ];
        let leaf = prop_oneof![
            "null|true|false",
            "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,30})?",
            text.clone(),
        ];
        let blank = "[ \n\r\t]{0,3}";
        leaf.prop_recursive(6, 60, 8, move |inner| {
            let item = (blank, inner.clone(), blank).prop_map(|(before, item, after)| before + &item + &after);
            let field = (blank, text.clone(), blank, item.clone())
                .prop_map(|(before, key, after, item)| before + &key + &after + ":" + &item);
            prop_oneof![
                (prop::collection::vec(item, 0..6), blank).prop_map(|(items, blank)| match items.is_empty() {
                    true => format!("[{blank}]"),
                    false => format!("[{}]", items.join(",")),
                }),
                (prop::collection::vec(field, 0..6), blank).prop_map(|(fields, blank)| match fields.is_empty() {
                    true => format!("{{{blank}}}"),
                    false => format!("{{{}}}", fields.join(",")),
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn it_takes_what_serde_takes(text in any_json()) {
            prop_assert!(Pass::over(&text, Pass::value).is_ok());
            prop_assert!(is_as_serde_has_it(&text));
        }

        #[test]
        fn it_refuses_what_serde_refuses(text in any_json(), at: prop::sample::Index, by in "[\\[\\]{}:,\"\\\\ \u{0}\u{1f}\u{7f}a0e.+1u-]{0,3}", removed in 0_usize..3) {
            let places: Vec<usize> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
            let nth = at.index(places.len());
            let (start, end) = (places[nth], places[(nth + removed).min(places.len() - 1)]);
            let text = text[..start].to_owned() + &by + &text[end..];
            prop_assert!(is_as_serde_has_it(&text), "{text}");
        }

        #[test]
        fn of_what_looks_like_json_too(text in "[\\[\\]{}:,\"\\\\ a0e.1un-]{0,24}|-?[0-9.eE+-]{0,40}|\"[a-f0-9u\\\\\u{1f} ]{0,40}\"") {
            prop_assert!(is_as_serde_has_it(&text), "{text}");
        }
    }

    #[test]
    fn it_is_as_deep_as_one_likes() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(is_as_serde_has_it(&deep));
        assert!(is_as_serde_has_it(&("{\"a\":".repeat(100_000) + "[}")));
    }

    #[test]
    fn a_part_that_makes_no_tree_is_told_with_its_place_in_the_whole() {
        for (text, place) in
            [("{\"a\":1,\n \"b\": \"\\ud800\"}", "line 2 column 14"), ("[[1, \"\\ud800\"]]", "line 1 column 13")]
        {
            let wrong = Pass::over(text, |pass| {
                pass.enter(b'?');
                while pass.peek() == Some(b'"') {
                    pass.key()?;
                    pass.tree()?;
                    pass.step(b'}')?;
                    pass.peek();
                }
                pass.tree()
            });
            let whole = serde_json::from_str::<Value>(text).unwrap_err().to_string();
            assert!(whole.ends_with(place), "{whole}");
            assert_eq!(wrong.unwrap_err(), whole);
        }
    }
}
