//! Connectors, APIs and tenants that do their worst, against the whole host.
//!
//! Of each attack these hold: it is contained, the error says what it was, the host goes on with others, and nothing was written.
//! Each is shown to reach what it attacks.
//!
//! | file | what |
//! |---|---|
//! | `scripted` | runs of a connector that does as a script says, and what they left behind |
//! | `bare` | connectors written in WebAssembly itself, for what a compiler does not do |
//! | `server` | a server that sends the bytes that it is told to |
//! | `computing` | time, memory, tables of functions, the stack, handles |
//! | `waiting` | connectors that never end, and take no time for it |
//! | `returned` | answers that no compiler would make |
//! | `rows` | rows that are not what they should be |
//! | `names` | names of tables and columns that are more than names |
//! | `texts` | texts that are large, or speak to a terminal |
//! | `bodies` | bodies that grow, end too early, or never |
//! | `framing` | responses that can be read in two ways |
//! | `addresses` | hosts that are an address in disguise, names that change theirs, proxies |
//! | `requests` | requests that are more than one, or go where they should not |
//! | `secrets` | secrets that are wanted where they should not be |
//! | `tenants` | neighbours on one host |
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod addresses;
mod bare;
mod bodies;
mod computing;
mod framing;
mod names;
#[path = "../obedient/mod.rs"]
mod obedient;
mod requests;
mod returned;
mod rows;
mod scripted;
mod secrets;
#[path = "../server/mod.rs"]
mod server;
mod tenants;
mod texts;
mod waiting;
