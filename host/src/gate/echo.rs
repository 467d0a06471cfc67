//! Masks secrets that an API sends back, before the connector sees them.

use super::redactor::MASK;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue};
use memchr::memmem;
use std::ops::Range;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A form in which a secret can stand in a response, and what the connector sees in its place.
pub(super) struct Form {
    pub text: Zeroizing<String>,
    pub mask: Arc<str>,
}

impl Form {
    /// The same once more.
    pub fn again(&self) -> Self {
        Self { text: self.text.clone(), mask: self.mask.clone() }
    }
}

/// The forms of all secrets of a run.
pub(super) type Forms = Arc<[Form]>;

/// Masks secrets in a body that comes in pieces. What could be the beginning of one is held back until more has come.
pub(super) struct Echo {
    forms: Forms,
    longest: usize,
    held: BytesMut,
}

impl Echo {
    /// For a body.
    pub fn new(forms: Forms) -> Self {
        let longest = forms.iter().map(|form| form.text.len()).max().unwrap_or(0);
        Self { forms, longest, held: BytesMut::new() }
    }

    /// Takes a piece; gives what is certain so far, which may be nothing.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        if self.longest == 0 {
            return piece;
        }
        self.held.extend_from_slice(&piece);
        // What begins here is whole.
        let certain = (self.held.len() + 1).saturating_sub(self.longest);
        self.take(certain)
    }

    /// What is left at the end of the body.
    pub fn finish(&mut self) -> Bytes {
        self.take(self.held.len())
    }

    /// Masks what begins before `certain`, and gives all up to there.
    fn take(&mut self, certain: usize) -> Bytes {
        let mut found = find(&self.forms, &self.held);
        found.retain(|(range, _)| range.start < certain);
        let Some(last) = found.last() else { return self.held.split_to(certain).freeze() };
        let taken = self.held.split_to(certain.max(last.0.end));
        replaced(&self.forms, &taken, &found).into()
    }
}

/// Masks secrets in headers. Takes off the length of the body, which masking may change.
pub(super) fn mask_headers(forms: &Forms, headers: &mut HeaderMap) {
    if forms.is_empty() {
        return;
    }
    headers.remove(CONTENT_LENGTH);
    for value in headers.values_mut() {
        let found = find(forms, value.as_bytes());
        if !found.is_empty() {
            let masked = HeaderValue::from_bytes(&replaced(forms, value.as_bytes(), &found));
            *value = masked.unwrap_or_else(|_| HeaderValue::from_static(MASK));
        }
    }
}

/// Where the forms stand, in order and apart: of those that overlap the first one, and of those that begin together the longest.
fn find(forms: &[Form], text: &[u8]) -> Vec<(Range<usize>, usize)> {
    let mut found: Vec<(Range<usize>, usize)> = Vec::new();
    for (index, form) in forms.iter().enumerate() {
        // One that overlaps another is found too: that other one may be left out.
        let (finder, mut from) = (memmem::Finder::new(form.text.as_bytes()), 0);
        while let Some(start) = text.get(from..).and_then(|rest| finder.find(rest)).map(|at| from + at) {
            found.push((start..start + form.text.len(), index));
            from = start + 1;
        }
    }
    found.sort_by_key(|(range, _)| (range.start, usize::MAX - range.end));
    let mut end = 0;
    found.retain(|(range, _)| {
        let apart = range.start >= end;
        end = if apart { range.end } else { end };
        apart
    });
    found
}

fn replaced(forms: &[Form], text: &[u8], found: &[(Range<usize>, usize)]) -> Vec<u8> {
    let (mut masked, mut end) = (Vec::with_capacity(text.len()), 0);
    for (range, index) in found {
        masked.extend_from_slice(text.get(end..range.start).unwrap_or_default());
        masked.extend_from_slice(forms.get(*index).map_or(MASK.as_bytes(), |form| form.mask.as_bytes()));
        end = range.end;
    }
    masked.extend_from_slice(text.get(end..).unwrap_or_default());
    masked
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn forms(texts: &[(&str, &str)]) -> Forms {
        texts
            .iter()
            .map(|(text, mask)| Form { text: Zeroizing::new((*text).to_owned()), mask: (*mask).into() })
            .collect()
    }

    fn masked(forms: &Forms, pieces: &[&[u8]]) -> String {
        let mut echo = Echo::new(forms.clone());
        let mut whole = Vec::new();
        for piece in pieces {
            whole.extend_from_slice(&echo.push(Bytes::copy_from_slice(piece)));
        }
        whole.extend_from_slice(&echo.finish());
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn a_secret_is_masked_also_across_pieces() {
        let forms = forms(&[("s3cret-s3cret", "***"), ("s3cret", "<short>")]);
        assert_eq!(masked(&forms, &[b"a s3cret-s3cret b"]), "a *** b");
        assert_eq!(masked(&forms, &[b"a s3c", b"ret-s3", b"cret", b" b"]), "a *** b");
        assert_eq!(masked(&forms, &[b"s3cret-s3cre"]), "<short>-s3cre");
        assert_eq!(masked(&forms, &[]), "");
        assert_eq!(masked(&forms, &[b"s3cre"]), "s3cre");
    }

    #[test]
    fn nothing_is_held_back_where_there_is_nothing_to_mask() {
        let mut echo = Echo::new(forms(&[]));
        assert_eq!(echo.push(Bytes::from_static(b"all")), "all");
        assert_eq!(echo.finish(), "");
    }

    #[test]
    fn headers_are_masked() {
        let forms = forms(&[("s3cret", "***")]);
        let mut headers = HeaderMap::new();
        headers.insert("link", HeaderValue::from_static("<http://a?key=s3cret>; rel=next"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        mask_headers(&forms, &mut headers);
        assert_eq!(headers["link"], "<http://a?key=***>; rel=next");
        assert!(!headers.contains_key(CONTENT_LENGTH));
    }

    proptest! {
        /// However a body is cut, the outcome is that of the whole one, and no secret is left.
        #[test]
        fn pieces_do_not_matter(text in "[ab]{0,40}", cuts in proptest::collection::vec(0usize..41, 0..6)) {
            let forms = forms(&[("aab", "1"), ("abba", "2"), ("aabab", "3")]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts.into_iter().chain([text.len()]) {
                pieces.push(&text.as_bytes()[start..cut]);
                start = cut;
            }
            let whole = masked(&forms, &[text.as_bytes()]);
            prop_assert_eq!(&masked(&forms, &pieces), &whole);
            prop_assert!(!whole.contains("aab") && !whole.contains("abba"));
        }
    }
}
