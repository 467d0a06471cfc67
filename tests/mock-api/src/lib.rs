//! The AI-platform API as the tests, the demo and the benchmarks need it: eight collections of deterministic records
//! over real sockets, with faults on request, and a count of all that was asked.
//!
//! Every record is a pure function of the seed, its collection, its parent, its index and the revision: no clock, no
//! randomness. So [`MockApi::expected`] and [`MockApi::records`] can say beforehand what a run must have loaded.
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! use mock_api::{MockApi, Options};
//!
//! let api = MockApi::start(Options { apps: 5, too_many_every: 7, ..Options::default() })?;
//! println!("{}/v2/users/{}/apps", api.base_url(), Options::default().user);
//! assert_eq!(api.expected().resources["applications"], 5);
//! assert_eq!(api.stats().total, 0);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod api;
mod body;
mod bulk;
mod collection;
mod expected;
mod faults;
mod json;
mod options;
mod page;
mod record;
pub mod scripted;
mod server;
mod sockets;
mod stats;

pub use api::MockApi;
pub use bulk::BulkApi;
pub use collection::Collection;
pub use expected::Expected;
pub use options::{Options, RetryAfter};
pub use stats::Stats;
