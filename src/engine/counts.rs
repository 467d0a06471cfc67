//! What a resource has cost and given. See `resource-counts` in the WIT.

/// Counts of one resource since the reader was opened.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "documented in wit/connector.wit")]
pub struct Counts {
    pub resource: String,
    pub requests: u64,
    pub retries: u64,
    pub pages: u64,
    pub rows: u64,
    pub filtered: u64,
    /// Those of `filtered` that steps have left out.
    pub left_out: u64,
    /// Records of the parent that lack a field, so that there was no request for them.
    pub skipped: u64,
    /// Whether the selector matched in any page.
    pub matched: bool,
}

impl Counts {
    /// Zero.
    pub fn new(resource: &str) -> Self {
        Self { resource: resource.to_owned(), ..Self::default() }
    }
}
