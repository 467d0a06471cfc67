//! A simulated API with a clock of its own, so that no test waits and every interleaving can be had.

use super::transport::{Blocking, Failure, Outcome, RequestId, Transport};
use super::{Extent, OpenRequest};
use crate::plan::Source;
use crate::request::{Request, Response};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What the API has seen.
#[derive(Default)]
pub struct Log {
    pub now: u64,
    pub requests: Vec<String>,
    pub in_flight: usize,
    pub peak: usize,
}

/// The answer to a request that was sent for the nth time.
type Answer<'a> = dyn Fn(&Request, u64) -> Result<Response, Failure> + 'a;

/// Answers each request after a latency that depends on the request and a seed.
pub struct Simulated<'a> {
    log: Rc<RefCell<Log>>,
    seed: u64,
    latency: u64,
    answer: Box<Answer<'a>>,
    pending: Vec<(u64, RequestId, Request)>,
    seen: BTreeMap<String, u64>,
}

impl<'a> Simulated<'a> {
    /// With the seed 0 every latency is the same.
    pub fn new(
        log: Rc<RefCell<Log>>,
        seed: u64,
        latency: u64,
        answer: impl Fn(&Request, u64) -> Result<Response, Failure> + 'a,
    ) -> Self {
        Self { log, seed, latency, answer: Box::new(answer), pending: Vec::new(), seen: BTreeMap::new() }
    }
}

/// Tells requests apart: the URL, and the body if there is one.
fn key(request: &Request) -> String {
    let body = request.body.as_deref().map(|body| format!(" {}", String::from_utf8_lossy(body)));
    format!("{}{}", request.url, body.unwrap_or_default())
}

impl Transport for Simulated<'_> {
    fn send(&mut self, id: RequestId, request: Request) {
        let mut log = self.log.borrow_mut();
        let key = key(&request);
        log.in_flight += 1;
        log.peak = log.peak.max(log.in_flight);
        let jitter = key.bytes().fold(self.seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        let spread = if self.seed == 0 { 0 } else { (jitter >> 33) % (self.latency * 3 + 1) };
        log.requests.push(key);
        self.pending.push((log.now + self.latency + spread, id, request));
    }

    fn now(&self) -> u64 {
        self.log.borrow().now
    }

    fn random(&mut self, count: usize) -> Vec<u8> {
        vec![0; count]
    }
}

impl Blocking for Simulated<'_> {
    fn poll(&mut self, until: Option<u64>) -> Vec<Outcome> {
        let mut log = self.log.borrow_mut();
        let first = self.pending.iter().map(|(at, _, _)| *at).chain(until).min();
        log.now = log.now.max(first.expect("a poll needs something to wait for"));
        let (through, pending) = self.pending.drain(..).partition::<Vec<_>, _>(|(at, _, _)| *at <= log.now);
        self.pending = pending;
        log.in_flight -= through.len();
        let answer = |(_, id, request): (u64, RequestId, Request)| {
            let times = self.seen.entry(key(&request)).or_default();
            *times += 1;
            (id, (self.answer)(&request, *times))
        };
        through.into_iter().map(answer).collect()
    }
}

/// Opens a source without parameters, from a state.
pub fn opening<'a>(config: &'a str, state: Option<&'a str>, window: u32) -> OpenRequest<'a> {
    OpenRequest {
        source: Source { config, params: "{}", bindings: "{}" },
        resources: &[],
        state,
        schema: None,
        window,
        load_id: "1".to_owned(),
        extent: Extent::default(),
    }
}

/// A response with this body.
pub fn ok(body: Value) -> Result<Response, Failure> {
    Ok(Response { status: 200, headers: Vec::new(), body: body.to_string().into_bytes() })
}

/// A response with this status alone.
pub fn status(status: u16) -> Result<Response, Failure> {
    Ok(Response { status, ..Response::default() })
}
