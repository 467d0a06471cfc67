//! Paginators: which request a chain begins with, and which one follows a page.
//!
//! A paginator has no state of its own: all that it must remember is the [`Position`], which travels in the reader's state.

mod cursor;
mod detect;
mod header_cursor;
mod header_link;
mod json_link;
mod link;
mod offset;
mod page_number;
mod place;
mod stop;

use crate::config::model;
use crate::error::Result;
use cursor::Cursor;
pub use detect::{Detected, Found, detect};
use header_cursor::HeaderCursor;
use header_link::HeaderLink;
use json_link::JsonLink;
use offset::Offset;
use page_number::PageNumber;
pub use place::{Place, Setting};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// Where in a chain of requests a page stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// The first page, which is asked for as the configuration says.
    First,
    /// The page of this number.
    Page(u64),
    /// The page that begins with the record of this number, from 0.
    Offset(u64),
    /// The page that this cursor stands for.
    Cursor(Value),
    /// The page at this URL.
    Link(String),
}

impl Position {
    /// The page's number, or its offset.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Page(number) | Self::Offset(number) => Some(*number),
            Self::First | Self::Cursor(_) | Self::Link(_) => None,
        }
    }
}

/// A page as a paginator sees it.
pub struct Page<'a> {
    /// The URL that it was asked for with.
    pub url: &'a Url,
    /// The response's headers, names in lower case.
    pub headers: &'a [(String, String)],
    /// The response's JSON.
    pub body: &'a Value,
    /// How many records are selected from it.
    pub records: u64,
    /// The last of them.
    pub last_record: Option<&'a Value>,
}

/// What follows a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Following {
    /// The next page.
    pub position: Position,
    /// Where the total of the API puts the last page, in the unit of the position: pages up to there can be asked for without
    /// waiting for those between.
    pub last: Option<u64>,
}

/// How the requests of a chain follow each other.
pub enum Paginator {
    /// One request.
    SinglePage,
    /// A link in the body.
    JsonLink(JsonLink),
    /// A link in the `Link` header.
    HeaderLink(HeaderLink),
    /// A cursor in a header.
    HeaderCursor(HeaderCursor),
    /// By the number of records before the page.
    Offset(Offset),
    /// By page number.
    PageNumber(PageNumber),
    /// A cursor in the body.
    Cursor(Cursor),
}

impl Paginator {
    /// Makes a paginator; none where it is to be found in the first response. `pointer` is its place in the configuration.
    pub fn new(config: &model::Paginator, pointer: &str) -> Result<Option<Self>> {
        Ok(Some(match config {
            model::Paginator::Auto {} => return Ok(None),
            model::Paginator::SinglePage {} => Self::SinglePage,
            model::Paginator::JsonLink(config) => Self::JsonLink(JsonLink::new(config, pointer)?),
            model::Paginator::HeaderLink(config) => Self::HeaderLink(HeaderLink::new(config)),
            model::Paginator::HeaderCursor(config) => Self::HeaderCursor(HeaderCursor::new(config, pointer)?),
            model::Paginator::Offset(config) => Self::Offset(Offset::new(config, pointer)?),
            model::Paginator::PageNumber(config) => Self::PageNumber(PageNumber::new(config, pointer)?),
            model::Paginator::Cursor(config) => Self::Cursor(Cursor::new(config, pointer)?),
        }))
    }

    /// Where a chain begins.
    pub fn first(&self) -> Position {
        match self {
            Self::PageNumber(paginator) => paginator.first(),
            Self::Offset(paginator) => paginator.first(),
            _ => Position::First,
        }
    }

    /// What asks for a page. It takes the place of what the configuration has there.
    pub fn settings(&self, position: &Position) -> Vec<Setting<'_>> {
        match (self, position) {
            (Self::PageNumber(paginator), Position::Page(number)) => paginator.settings(*number),
            (Self::Offset(paginator), Position::Offset(offset)) => paginator.settings(*offset),
            (Self::HeaderCursor(paginator), Position::Cursor(cursor)) => paginator.settings(cursor),
            (Self::Cursor(paginator), Position::Cursor(cursor)) => paginator.settings(cursor),
            _ => Vec::new(),
        }
    }

    /// The page after this one, if there is one. Fails with `Kind::Upstream` where the response cannot be understood.
    pub fn next(&self, position: &Position, page: &Page<'_>) -> Result<Option<Following>> {
        let alone = |position: Option<Position>| position.map(|position| Following { position, last: None });
        match (self, position) {
            (Self::SinglePage, _) => Ok(None),
            (Self::JsonLink(paginator), _) => paginator.next(page).map(alone),
            (Self::HeaderLink(paginator), _) => paginator.next(page).map(alone),
            (Self::HeaderCursor(paginator), _) => Ok(alone(paginator.next(page))),
            (Self::Cursor(paginator), _) => paginator.next(page).map(alone),
            (Self::PageNumber(paginator), Position::Page(number)) => paginator.next(*number, page),
            (Self::PageNumber(paginator), Position::First) => paginator.next_after_first(page),
            (Self::Offset(paginator), Position::Offset(offset)) => paginator.next(*offset, page),
            (Self::PageNumber(_) | Self::Offset(_), _) => Ok(None),
        }
    }

    /// The page after a full one.
    pub fn after(&self, position: &Position) -> Option<Position> {
        match (self, position) {
            (Self::PageNumber(_), Position::Page(number)) => number.checked_add(1).map(Position::Page),
            (Self::Offset(paginator), Position::Offset(offset)) => paginator.after(*offset).map(Position::Offset),
            _ => None,
        }
    }

    /// Whether this page shows that the API gave fewer records than were asked for, though more followed.
    pub fn shows_cap(&self, position: &Position, page: &Page<'_>) -> bool {
        match (self, position) {
            (Self::Offset(paginator), Position::Offset(offset)) => page.records > 0 && paginator.is_between(*offset),
            _ => false,
        }
    }
}

/// Pages for the tests of paginators.
#[cfg(test)]
mod testing {
    use super::*;
    use serde_json::json;

    /// The error's pointer and message, or the paginator.
    pub fn paginator(config: Value) -> Result<Paginator, (String, String)> {
        let config = serde_json::from_value(config).unwrap();
        let made = Paginator::new(&config, "/p").map_err(|error| (error.pointer.unwrap(), error.message))?;
        Ok(made.unwrap())
    }

    /// The body, headers and number of records of a page.
    type Given<'a> = (Value, &'a [(&'a str, &'a str)], u64);

    /// The positions that are asked for, where these pages are given.
    pub fn chain(config: Value, pages: &[Given<'_>]) -> Result<Vec<Position>> {
        let paginator = paginator(config).unwrap_or_else(|error| panic!("{error:?}"));
        let mut positions = vec![paginator.first()];
        let mut url = Url::parse("http://h.example/v1/x?a=1").unwrap();
        for (body, headers, records) in pages {
            let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let last = json!({"id": records});
            let last_record = (*records > 0).then_some(&last);
            let page = Page { url: &url, headers: &headers, body, records: *records, last_record };
            let at = positions.last().unwrap();
            match paginator.next(at, &page)? {
                Some(next) => positions.push(next.position),
                None => return Ok(positions),
            }
            if let Some(Position::Link(link)) = positions.last() {
                url = Url::parse(link).unwrap();
            }
        }
        Ok(positions)
    }
}
