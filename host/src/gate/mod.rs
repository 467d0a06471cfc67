//! The gate: the only way from a connector to the network.
//!
//! A connector has no sockets. It hands its requests to the host ([`Gate`], wasmtime's `send_request` hook), and the host sends
//! those that pass, in this order:
//!
//! 1. The [`Origin`] is one that the [`Policy`] names; by default that is none.
//! 2. The run's budget of requests and bytes ([`Limits`](crate::limits::Limits)) is not spent.
//! 3. The [`Credentials`] that the request asks for are bound to that origin. The connector never sees them: the host takes
//!    them out of the configuration ([`Withheld`]) and reads them from their [`Secrets`]. The same holds for secrets in headers,
//!    parameters and bodies, in whose places the connector sends stand-ins. Tokens the host obtains itself, and keeps a refresh
//!    token that rotates in a [`TokenStore`].
//! 4. The address is not a private one ([`address::refusal`]), unless the operator named the origin. The address that was
//!    checked is the one that is connected to ([`Client`]).
//! 5. The response stays within its size and time, and is a whole one. Secrets that it holds are masked.
//!
//! A run that is recorded or replayed asks through a [`Tape`].
//!
//! A denial is an error that the connector sees, never a trap, and the gate keeps it for the person ([`Gate::denial`]).

pub mod address;
mod body;
mod client;
mod coding;
mod credentials;
mod echo;
mod failure;
mod headers;
mod hooks;
mod kept;
mod origin;
mod pattern;
mod policy;
mod redactor;
mod rehearsal;
mod secrets;
mod secrets_file;
mod sender;
mod slots;
pub mod tape;
mod token_store;
mod tokens;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

pub(crate) use client::read_roots;
pub use client::{Client, ClientOptions, Names};
pub use credentials::{Credentials, Withheld};
pub use headers::is_forbidden;
pub(crate) use kept::{KeptAnswers, OfLoad};
pub use origin::Origin;
pub use pattern::OriginPattern;
pub use policy::Policy;
pub use redactor::Redactor;
pub(crate) use rehearsal::{Answer, Learned, Rehearsal};
pub use secrets::Secrets;
pub use sender::{Counts, Gate};
pub use tape::Tape;
pub use token_store::{TokenFiles, TokenKey, TokenStore};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
