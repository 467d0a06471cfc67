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
use crate::expression::{self, Expression};
use crate::select::Selector;
use cursor::Cursor;
pub use detect::{Detected, Found, detect};
use header_cursor::HeaderCursor;
use header_link::HeaderLink;
use json_link::JsonLink;
use offset::Offset;
use page_number::PageNumber;
pub use place::{Place, Setting};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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
    /// Finds the records in it.
    pub selector: Option<&'a Selector>,
    /// How many records are selected from it.
    pub records: u64,
    /// The last of them.
    pub last_record: Option<&'a Value>,
    /// How many pages of the chain came before it.
    pub index: u64,
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
pub struct Paginator {
    style: Style,
    /// The page for which it holds is the last one, whatever else follows from it.
    stop_when: Option<Expression>,
}

/// The variables of `stop_when`.
const VARIABLES: [&str; 3] = ["response", "records", "page"];

/// How a page tells the next one.
enum Style {
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

impl From<Style> for Paginator {
    fn from(style: Style) -> Self {
        Self { style, stop_when: None }
    }
}

impl Paginator {
    /// Makes a paginator; none where it is to be found in the first response. `pointer` is its place in the configuration.
    pub fn new(config: &model::Paginator, pointer: &str) -> Result<Option<Self>> {
        let style = match config {
            model::Paginator::Auto {} => return Ok(None),
            model::Paginator::SinglePage {} => Style::SinglePage,
            model::Paginator::JsonLink(config) => Style::JsonLink(JsonLink::new(config, pointer)?),
            model::Paginator::HeaderLink(config) => Style::HeaderLink(HeaderLink::new(config)),
            model::Paginator::HeaderCursor(config) => Style::HeaderCursor(HeaderCursor::new(config, pointer)?),
            model::Paginator::Offset(config) => Style::Offset(Offset::new(config, pointer)?),
            model::Paginator::PageNumber(config) => Style::PageNumber(PageNumber::new(config, pointer)?),
            model::Paginator::Cursor(config) => Style::Cursor(Cursor::new(config, pointer)?),
        };
        let compile = |text| Expression::parse(text, &VARIABLES, "stop_when", &format!("{pointer}/stop_when"));
        Ok(Some(Self { style, stop_when: config.stop_when().map(compile).transpose()? }))
    }

    /// One request.
    pub fn single_page() -> Self {
        Style::SinglePage.into()
    }

    /// Where a chain begins.
    pub fn first(&self) -> Position {
        match &self.style {
            Style::PageNumber(paginator) => paginator.first(),
            Style::Offset(paginator) => paginator.first(),
            _ => Position::First,
        }
    }

    /// What asks for a page. It takes the place of what the configuration has there.
    pub fn settings(&self, position: &Position) -> Vec<Setting<'_>> {
        match (&self.style, position) {
            (Style::PageNumber(paginator), Position::Page(number)) => paginator.settings(*number),
            (Style::Offset(paginator), Position::Offset(offset)) => paginator.settings(*offset),
            (Style::HeaderCursor(paginator), Position::Cursor(cursor)) => paginator.settings(cursor),
            (Style::Cursor(paginator), Position::Cursor(cursor)) => paginator.settings(cursor),
            _ => Vec::new(),
        }
    }

    /// Whether it has to see the records of a page, which stand at a path, and not only what is beside them.
    pub fn needs_all_of(&self, records: &Selector) -> bool {
        let shows = |expression: &Expression| expression.uses("response") || expression.uses("records");
        let leads_into = |path: &Selector| match (path.keys(), records.keys()) {
            (Some(path), Some(records)) => path.starts_with(records) && !records.is_empty(),
            _ => true,
        };
        self.stop_when.as_ref().is_some_and(shows) || self.style.paths().into_iter().any(leads_into)
    }

    /// Whether it reads the last record of a page.
    pub fn needs_last_record(&self) -> bool {
        matches!(&self.style, Style::Cursor(paginator) if paginator.reads_last_record())
    }

    /// Whether its requests have to have a JSON body.
    pub fn writes_body(&self) -> bool {
        let positions = [Position::Page(0), Position::Offset(0), Position::Cursor(Value::Null)];
        let mut settings = positions.iter().flat_map(|position| self.settings(position));
        settings.any(|setting| matches!(setting.place, Place::Body(_)))
    }

    /// The page after this one, if there is one. Fails with `Kind::Upstream` where the response cannot be understood.
    pub fn next(&self, position: &Position, page: &Page<'_>) -> Result<Option<Following>> {
        let following = self.style.next(position, page)?;
        match &self.stop_when {
            Some(condition) if following.is_some() => {
                let holds = condition.holds(|variable| expression::value(&value_of(variable, position, page)))?;
                Ok(following.filter(|_| !holds))
            }
            _ => Ok(following),
        }
    }

    /// The page after a full one.
    pub fn after(&self, position: &Position) -> Option<Position> {
        match (&self.style, position) {
            (Style::PageNumber(paginator), Position::Page(number)) => paginator.after(*number).map(Position::Page),
            (Style::Offset(paginator), Position::Offset(offset)) => paginator.after(*offset).map(Position::Offset),
            _ => None,
        }
    }

    /// Whether this page shows that the API gave fewer records than were asked for, though more followed.
    pub fn shows_cap(&self, position: &Position, page: &Page<'_>) -> bool {
        page.records > 0 && self.is_between(position)
    }

    /// What the API told of and did not give, where this page is the last one. Where a person says where the chain ends, nothing is
    /// missing.
    pub fn falls_short(&self, position: &Position, page: &Page<'_>) -> Result<Option<String>> {
        match (&self.style, position) {
            _ if self.stop_when.is_some() => Ok(None),
            (Style::PageNumber(paginator), Position::Page(number)) => paginator.falls_short(*number, page),
            (Style::Offset(paginator), Position::Offset(offset)) => paginator.falls_short(*offset, page),
            _ => Ok(None),
        }
    }

    /// Whether only a page with fewer records than were asked for leads to this position.
    pub fn is_between(&self, position: &Position) -> bool {
        match (&self.style, position) {
            (Style::Offset(paginator), Position::Offset(offset)) => paginator.is_between(*offset),
            _ => false,
        }
    }
}

impl Style {
    /// The paths in a body that it reads.
    fn paths(&self) -> Vec<&Selector> {
        match self {
            Self::SinglePage | Self::HeaderLink(_) | Self::HeaderCursor(_) => Vec::new(),
            Self::JsonLink(paginator) => vec![&paginator.path],
            Self::Cursor(paginator) => paginator.paths(),
            Self::PageNumber(paginator) => paginator.stop.paths(),
            Self::Offset(paginator) => paginator.stop.paths(),
        }
    }

    fn next(&self, position: &Position, page: &Page<'_>) -> Result<Option<Following>> {
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
}

/// A variable of `stop_when`: the response's JSON, its records, or what is known of the page.
fn value_of(variable: &str, position: &Position, page: &Page<'_>) -> Value {
    match variable {
        "response" => page.body.clone(),
        "records" => match page.selector.map(|selector| selector.all(page.body)).as_deref() {
            None | Some([Value::Null]) => Value::Array(Vec::new()),
            Some([Value::Array(records)]) => Value::Array(records.clone()),
            Some(many) => many.iter().map(|record| (*record).clone()).collect(),
        },
        _ => {
            let cursor = match position {
                Position::Cursor(cursor) => cursor.clone(),
                _ => Value::Null,
            };
            json!({"index": page.index, "number": position.number(), "cursor": cursor, "url": page.url.as_str(),
                "size": page.records})
        }
    }
}

/// Pages for the tests of paginators.
#[cfg(test)]
mod testing {
    use super::*;

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
            let index = positions.len() as u64 - 1;
            let (records, selector) = (*records, None);
            let page = Page { url: &url, headers: &headers, body, selector, records, last_record, index };
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
