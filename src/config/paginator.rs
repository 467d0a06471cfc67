//! The paginators of the dialect (reference, section 2).

use super::model::{present, yes};
use schemars::JsonSchema;
use serde::Deserialize;

/// A paginator: its type, or an object.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used: the text form is made an object before the document is checked")]
pub enum PaginatorItem {
    /// The type, where nothing else has to be said.
    Type(PaginatorType),
    /// The whole paginator.
    Paginator(Box<Paginator>),
}

/// The type of a paginator that needs no other key.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, missing_docs, reason = "only its schema is used")]
pub enum PaginatorType {
    Auto,
    SinglePage,
    JsonLink,
    HeaderLink,
    HeaderCursor,
    PageNumber,
    Cursor,
}

/// How pages follow each other.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paginator {
    /// Found in the first response.
    Auto {},
    /// One request.
    SinglePage {},
    /// A link to the next page in the body.
    JsonLink(JsonLink),
    /// A link to the next page in the `Link` header.
    HeaderLink(HeaderLink),
    /// A cursor in a response header.
    HeaderCursor(HeaderCursor),
    /// The number of records before the page.
    Offset(Offset),
    /// The number of the page.
    PageNumber(PageNumber),
    /// A cursor in the body, or a field of the last record.
    Cursor(Cursor),
}

/// A link in the body.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonLink {
    /// JSONPath to the link; where it is missing, null, empty or false the chain ends.
    #[serde(default = "next")]
    pub next_url_path: String,
    /// An expression over `response`, `records` and `page`; the page for which it holds is the last one.
    pub stop_when: Option<String>,
}

/// A link in the `Link` header.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderLink {
    /// The relation (`rel`) of the link.
    #[serde(default = "next")]
    pub links_next_key: String,
    /// An expression over `response`, `records` and `page`; the page for which it holds is the last one.
    pub stop_when: Option<String>,
}

/// A cursor in a response header.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderCursor {
    /// The response header, in any case; where it is missing or empty the chain ends.
    #[serde(default = "next")]
    pub cursor_key: String,
    /// The query parameter that the cursor is sent in; `cursor` if neither this nor `cursor_body_path` is given.
    pub cursor_param: Option<String>,
    /// The keys, joined by dots, that lead to the cursor in the JSON body.
    pub cursor_body_path: Option<String>,
    /// An expression over `response`, `records` and `page`; the page for which it holds is the last one.
    pub stop_when: Option<String>,
}

/// Pages by offset.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offset {
    /// How many records a page is to have.
    #[schemars(range(min = 1))]
    pub limit: u64,
    /// The first offset.
    #[serde(default)]
    pub offset: u64,
    /// The query parameter of the offset; `offset` if neither this nor `offset_body_path` is given.
    pub offset_param: Option<String>,
    /// The keys, joined by dots, that lead to the offset in the JSON body.
    pub offset_body_path: Option<String>,
    /// The query parameter of the limit; `limit` if neither this nor `limit_body_path` is given.
    pub limit_param: Option<String>,
    /// The keys, joined by dots, that lead to the limit in the JSON body.
    pub limit_body_path: Option<String>,
    /// JSONPath to the number of records in all; `total` if absent, null for none. A response without it does not end the
    /// chain.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    pub total_path: Option<Option<String>>,
    /// The largest offset that is asked for.
    pub maximum_offset: Option<u64>,
    /// Whether a page without records ends the chain.
    #[serde(default = "yes")]
    pub stop_after_empty_page: bool,
    /// JSONPath to whether there are more pages.
    pub has_more_path: Option<String>,
    /// An expression over `response`, `records` and `page`; the page for which it holds is the last one.
    pub stop_when: Option<String>,
}

/// Pages by number.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageNumber {
    /// The number of the API's first page; 1 where a limit is given, else 0.
    pub base_page: Option<u64>,
    /// The first page to request; `base_page` if absent.
    pub page: Option<u64>,
    /// The query parameter of the page's number; `page` if neither this nor `page_body_path` is given.
    pub page_param: Option<String>,
    /// The keys, joined by dots, that lead to the page's number in the JSON body.
    pub page_body_path: Option<String>,
    /// The query parameter of the page's size; `limit` is sent in it.
    pub limit_param: Option<String>,
    /// The keys, joined by dots, that lead to the page's size in the JSON body.
    pub limit_body_path: Option<String>,
    /// How many records a page is to have.
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
    /// JSONPath to the number of pages; a response without it does not end the chain. `total` if absent, unless a limit is
    /// given; null for none.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    pub total_path: Option<Option<String>>,
    /// The largest number that is asked for.
    pub maximum_page: Option<u64>,
    /// Whether a page without records ends the chain.
    #[serde(default = "yes")]
    pub stop_after_empty_page: bool,
    /// Whether a page with fewer records than `limit` ends the chain, which saves the request of the page after it.
    #[serde(default)]
    pub stop_after_short_page: bool,
    /// JSONPath to whether there are more pages.
    pub has_more_path: Option<String>,
    /// An expression over `response`, `records` and `page`; the page for which it holds is the last one.
    pub stop_when: Option<String>,
}

/// A cursor.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// JSONPath to the cursor in the body; `cursors.next` if neither this nor `last_record` is given. Where there is none the
    /// chain ends.
    pub cursor_path: Option<String>,
    /// JSONPath to the cursor in the last record of the page; a page without records ends the chain.
    pub last_record: Option<String>,
    /// The query parameter that the cursor is sent in; `cursor` if neither this nor `cursor_body_path` is given.
    pub cursor_param: Option<String>,
    /// The keys, joined by dots, that lead to the cursor in the JSON body.
    pub cursor_body_path: Option<String>,
    /// Whether a page without records ends the chain.
    #[serde(default)]
    pub stop_after_empty_page: bool,
    /// JSONPath to whether there are more pages.
    pub has_more_path: Option<String>,
    /// An expression over `response`, `records` and `page`; the page for which it holds is the last one.
    pub stop_when: Option<String>,
}

impl Paginator {
    /// The condition that ends a chain.
    pub fn stop_when(&self) -> Option<&str> {
        match self {
            Self::Auto {} | Self::SinglePage {} => None,
            Self::JsonLink(JsonLink { stop_when, .. })
            | Self::HeaderLink(HeaderLink { stop_when, .. })
            | Self::HeaderCursor(HeaderCursor { stop_when, .. })
            | Self::Offset(Offset { stop_when, .. })
            | Self::PageNumber(PageNumber { stop_when, .. })
            | Self::Cursor(Cursor { stop_when, .. }) => stop_when.as_deref(),
        }
    }
}

fn next() -> String {
    "next".to_owned()
}
