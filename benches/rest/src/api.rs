//! The servers.

use mock_api::{BulkApi, MockApi, Options};
use std::time::Instant;

/// A running server, whatever it serves.
pub enum Api {
    Bulk(BulkApi),
    Tree(MockApi),
}

/// What a run has asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    pub requests: u64,
    /// How many of them were answered with 429.
    pub refused: u64,
    /// When the first one came, where the server keeps that.
    pub first: Option<Instant>,
}

impl Api {
    pub fn base_url(&self) -> &str {
        match self {
            Self::Bulk(api) => api.base_url(),
            Self::Tree(api) => api.base_url(),
        }
    }

    /// What one run asks for, and what the run gives.
    pub fn during<T>(&self, run: impl FnOnce() -> T) -> (T, Asked) {
        match self {
            Self::Bulk(api) => {
                let before = api.requests();
                api.take_first();
                let given = run();
                (given, Asked { requests: api.requests() - before, refused: 0, first: api.take_first() })
            }
            Self::Tree(api) => {
                // Faults count anew, so that each run meets the same.
                api.set_options(api.options());
                api.reset_stats();
                let given = run();
                let stats = api.stats();
                let refused = stats.by_status.get(&429).copied().unwrap_or_default();
                (given, Asked { requests: stats.total, refused, first: None })
            }
        }
    }
}

impl From<Options> for Api {
    fn from(options: Options) -> Self {
        Self::Tree(MockApi::start(options).unwrap())
    }
}
