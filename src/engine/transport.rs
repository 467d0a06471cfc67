//! What the engine asks of the world outside: HTTP, the time, and random bytes.

use crate::request::{Request, Response};

/// Names a request that is in flight.
pub type RequestId = u64;

/// Why no whole response arrived.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The host's policy denied the request. Never tried again.
    Denied(String),
    /// The response is larger than permitted. Never tried again.
    TooLarge(String),
    /// A redirect was not followed. Never tried again.
    Redirect(String),
    /// The network failed, the time was up, or the body broke off.
    Network(String),
}

/// What came of a request.
pub type Outcome = (RequestId, Result<Response, Failure>);

/// The world outside. The WASI edge implements it over `wasi:http`; tests script it.
pub trait Transport {
    /// Starts a request. Never blocks.
    fn send(&mut self, id: RequestId, request: Request);

    /// Milliseconds since 1970.
    fn now(&self) -> u64;

    /// Random bytes.
    fn random(&mut self, count: usize) -> Vec<u8>;

    /// A random number from 0 to 1.
    fn chance(&mut self) -> f64 {
        let bytes = self.random(4);
        bytes.iter().fold(0.0, |number, byte| (number + f64::from(*byte)) / 256.0)
    }
}

/// A world outside that is waited for by blocking.
pub trait Blocking: Transport {
    /// Blocks until a request is through or `until` (milliseconds since 1970) is reached, and gives all that are through.
    fn poll(&mut self, until: Option<u64>) -> Vec<Outcome>;
}
