//! The parsers that could read a page, each doing the work of shaping: the records of `{"data": [...], "total": n}`, key by key and value by value,
//! into [`Columns`].

pub mod columns;
mod jobs;

mod library;

pub use columns::Columns;

/// What a job does with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// All values into columns. Gives the number of records.
    Columns,
    /// The records' places only. Gives the number of their bytes.
    Spans,
    /// Whether the page is UTF-8. Gives the number of its bytes.
    Utf8,
}

/// One parser, in one way of use.
pub struct Job {
    /// The parser, and the way.
    pub name: &'static str,
    /// What it does.
    pub work: Work,
    /// Whether the digits of a number reach the columns as they stand in the page.
    pub keeps_digits: bool,
    /// Whether the feature `arbitrary-precision` changes what it does.
    pub is_serde_json: bool,
    /// Does it; `None` where the page is not JSON. A parser may write on the page.
    pub run: fn(&mut [u8], &mut Columns) -> Option<u64>,
}

/// All jobs, in one order; where this was built with `PARSERS_ONLY`, the one of that name.
pub fn jobs() -> Vec<Job> {
    jobs::all()
}
