//! A link to the next page in the `Link` header (RFC 8288; reference, section 2.5).

use super::{Page, Position, link};
use crate::config::model;
use crate::error::Result;

/// A link in the `Link` header.
pub struct HeaderLink {
    relation: String,
}

impl HeaderLink {
    pub fn new(config: &model::HeaderLink) -> Self {
        Self { relation: config.links_next_key.clone() }
    }

    /// The link of this relation.
    pub fn of(relation: &str) -> Self {
        Self { relation: relation.to_owned() }
    }

    pub fn next(&self, page: &Page<'_>) -> Result<Option<Position>> {
        match self.target(page.headers) {
            Some(target) => link::resolve(page.url, target),
            None => Ok(None),
        }
    }

    /// The target of the first link of this relation.
    pub fn target<'h>(&self, headers: &'h [(String, String)]) -> Option<&'h str> {
        let values = headers.iter().filter(|(name, _)| name == "link").map(|(_, value)| value.as_str());
        values.flat_map(links).find(|link| link.has(&self.relation)).map(|link| link.target)
    }
}

/// A link, and its `rel` parameter.
struct Link<'h> {
    target: &'h str,
    relations: String,
}

impl Link<'_> {
    /// Relations are compared without regard to case (RFC 8288, section 2.1.1).
    fn has(&self, relation: &str) -> bool {
        self.relations.split_ascii_whitespace().any(|own| own.eq_ignore_ascii_case(relation))
    }
}

/// The links of a header's value (RFC 8288, appendix B.2). What follows a defect is not read.
fn links(value: &str) -> impl Iterator<Item = Link<'_>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        rest = after;
        let mut relations: Option<String> = None;
        while let Some(after) = rest.trim_start().strip_prefix(';') {
            let (name, value) = parameter(after.trim_start(), &mut rest);
            // Only the first `rel` counts (RFC 8288, section 3.3).
            if name.eq_ignore_ascii_case("rel") && relations.is_none() {
                relations = Some(value);
            }
        }
        Some(Link { target, relations: relations.unwrap_or_default() })
    })
}

/// Reads `name=value` or `name="value"`, and tells what is left.
fn parameter<'h>(text: &'h str, rest: &mut &'h str) -> (&'h str, String) {
    let end = text.find([';', ',', '=']).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    *rest = after;
    let Some(after) = after.strip_prefix('=').map(str::trim_start) else { return (name.trim(), String::new()) };
    let Some(quoted) = after.strip_prefix('"') else {
        let (value, after) = after.split_at(after.find([';', ',']).unwrap_or(after.len()));
        *rest = after;
        return (name.trim(), value.trim().to_owned());
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => value.extend(chars.next()),
            char => value.push(char),
        }
    }
    *rest = chars.as_str();
    (name.trim(), value)
}

#[cfg(test)]
mod tests {
    use super::super::testing::chain;
    use super::*;
    use serde_json::json;

    fn next(values: &[&str]) -> Option<String> {
        let headers: Vec<_> = values.iter().map(|value| ("link".to_owned(), (*value).to_owned())).collect();
        HeaderLink::of("next").target(&headers).map(str::to_owned)
    }

    #[test]
    fn links_are_found_by_their_relation() {
        let found = |url: &str| Some(url.to_owned());
        assert_eq!(next(&[r#"</p?x=1,2;3>; rel="prev", </n>; title="a, b; \"c\""; rel="last next""#]), found("/n"));
        assert_eq!(next(&["<a>; rel=prev", "<b>; REL=Next"]), found("b"));
        assert_eq!(next(&["<a> ;rel = next ;foo"]), found("a"));
        assert_eq!(next(&["<a>; rel=prev; rel=next", "<b>; rel=nextish", "<c", "<d>", ""]), None);
    }

    #[test]
    fn a_link_in_a_header_is_followed() {
        let pages = [(json!([]), &[("link", "<?p=2>; rel=\"more\"")][..], 1), (json!([]), &[], 1)];
        let asked = chain(json!({"type": "header_link", "links_next_key": "more"}), &pages).unwrap();
        assert_eq!(asked, [Position::First, Position::Link("http://h.example/v1/x?p=2".to_owned())]);
    }
}
