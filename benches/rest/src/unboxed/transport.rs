//! The engine's requests through the host's gate, without a component between.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use spile_connector::engine::transport::{Blocking, Outcome, RequestId, Transport};
use spile_connector::request::{Request, Response};
use spile_host::gate::{Client, Credentials, Gate, Origin, Policy};
use spile_host::limits::Limits;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use wasmtime_wasi_http::WasiHttpHooks as _;

/// Requests on the threads of a runtime.
pub struct Gated {
    gate: Gate,
    runtime: Handle,
    through: (Sender<Outcome>, Receiver<Outcome>),
    randomness: u64,
}

impl Gated {
    /// A transport to one origin, at whatever address.
    pub fn new(origin: Origin, runtime: Handle) -> Self {
        let limits = Limits::default();
        let policy = Policy { origins: [origin.clone()].into(), private: [origin].into(), ..Policy::default() };
        let client = Client::new(&limits).unwrap();
        let gate = Gate::new(policy, Credentials::default(), client, limits);
        Self { gate, runtime, through: channel(), randomness: 1 }
    }
}

impl Transport for Gated {
    fn send(&mut self, id: RequestId, request: Request) {
        let (mut gate, through) = (self.gate.clone(), self.through.0.clone());
        self.runtime.spawn(async move {
            let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
            let mut sent = http::Request::get(request.url.as_str());
            for (name, value) in &request.headers {
                sent = sent.header(name, value);
            }
            let sending = gate.send_request(sent.body(body).unwrap(), None, Box::new(async { Ok(()) }));
            let (response, _) = Box::into_pin(sending).await.unwrap();
            let (head, body) = response.into_parts();
            let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            let body = body.collect().await.unwrap().to_bytes().into();
            let _ = through.send((id, Ok(Response { status: head.status.as_u16(), headers, body })));
        });
    }

    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
    }

    fn random(&mut self, count: usize) -> Vec<u8> {
        let next = || {
            self.randomness = self.randomness.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.randomness >> 56) as u8
        };
        std::iter::repeat_with(next).take(count).collect()
    }
}

impl Blocking for Gated {
    fn poll(&mut self, until: Option<u64>) -> Vec<Outcome> {
        let receiver = &self.through.1;
        let first = match until {
            Some(until) => receiver.recv_timeout(Duration::from_millis(until.saturating_sub(self.now()))).ok(),
            None => receiver.recv().ok(),
        };
        first.into_iter().chain(receiver.try_iter()).collect()
    }
}
