//! What can go wrong in the connector: the contract's `error` record, as a Rust type.

use std::fmt;

/// The case, as far as a host must tell cases apart. See `error-kind` in the WIT for what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "documented in wit/connector.wit")]
pub enum Kind {
    Config,
    Auth,
    Permission,
    RateLimited,
    Transient,
    Schema,
    Limit,
    Upstream,
    Internal,
}

/// A failure. Never contains a credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// The case.
    pub kind: Kind,
    /// What happened: a lower-case fragment.
    pub message: String,
    /// The resource that was being read.
    pub resource: Option<String>,
    /// JSON pointer (RFC 6901) into the configuration.
    pub pointer: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// HTTP status of the last response.
    pub status: Option<u16>,
    /// URL of the request, redacted.
    pub url: Option<String>,
    /// How many times the request was sent.
    pub attempts: Option<u32>,
    /// Milliseconds that the API asked to wait.
    pub retry_after: Option<u64>,
}

/// The result of all that can fail in the connector.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            resource: None,
            pointer: None,
            advice: None,
            status: None,
            url: None,
            attempts: None,
            retry_after: None,
        }
    }

    /// A defect of the configuration, at a JSON pointer into it.
    pub fn config(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), ..Self::new(Kind::Config, message) }
    }

    /// Names the resource that was being read.
    #[must_use]
    pub fn of(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
