//! Paginators: which request a chain begins with, and which one follows a page.
//!
//! A paginator has no state of its own: all that it must remember is the [`Position`], which travels in the reader's state.

mod page_number;

use crate::config::model;
use crate::select::Selector;
use page_number::PageNumber;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where in a chain of requests a page stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// The only page.
    Only,
    /// The page of this number.
    Page(u64),
}

/// A page as a paginator sees it.
pub struct Page<'a> {
    /// The response's JSON.
    pub body: &'a Value,
    /// How many records were selected from it.
    pub records: usize,
}

/// How the requests of a chain follow each other.
pub enum Paginator {
    /// One request.
    SinglePage,
    /// By page number.
    PageNumber(PageNumber),
}

impl Paginator {
    /// Makes a paginator. `pointer` is its place in the configuration.
    pub fn new(config: &model::Paginator, pointer: &str) -> crate::error::Result<Self> {
        Ok(match config {
            model::Paginator::SinglePage {} => Self::SinglePage,
            model::Paginator::PageNumber(config) => Self::PageNumber(PageNumber::new(config, pointer)?),
        })
    }

    /// Where a chain begins.
    pub fn first(&self) -> Position {
        match self {
            Self::SinglePage => Position::Only,
            Self::PageNumber(paginator) => paginator.first(),
        }
    }

    /// The query parameters that ask for a page. They take the place of parameters of the same name.
    pub fn query(&self, position: &Position) -> Vec<(&str, String)> {
        match (self, position) {
            (Self::PageNumber(paginator), Position::Page(number)) => paginator.query(*number),
            _ => Vec::new(),
        }
    }

    /// The page after this one, if there is one.
    pub fn next(&self, position: &Position, page: &Page<'_>) -> Option<Position> {
        match (self, position) {
            (Self::PageNumber(paginator), Position::Page(number)) => paginator.next(*number, page).map(Position::Page),
            _ => None,
        }
    }
}

/// A count that an API gives: a whole number, or a text that holds one.
fn count(selector: &Selector, body: &Value) -> Option<u64> {
    match selector.first(body)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
