//! The engine's transport over `wasi:http` 0.2: many requests in flight in one instance, and one `poll` for all of them.

use super::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use super::bindings::wasi::http::outgoing_handler;
use super::bindings::wasi::http::types::{
    self, FutureIncomingResponse, IncomingBody, IncomingResponse, OutgoingBody, OutgoingRequest,
};
use super::bindings::wasi::io::poll::{self, Pollable};
use super::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use super::bindings::wasi::random::random;
use crate::edge::exchange::{
    SILENCE_TIMEOUT, failure, headers, invalid, method, options, path, read_headers, scheme, total_timeout,
};
use crate::engine::transport::{Blocking, Failure, Outcome, RequestId, Transport};
use crate::request::{Request, Response};

/// How much of a body is read in one call; large reads mean few copies.
const READ: u64 = 256 * 1024;

/// How much of a body is written in one call: what every runtime grants.
const WRITE: usize = 4096;

/// What runs on WASI.
pub struct Wasi {
    exchanges: Vec<Exchange>,
    /// Requests that could not even be sent.
    refused: Vec<(RequestId, Failure)>,
}

/// A request in flight.
struct Exchange {
    id: RequestId,
    /// On the monotonic clock.
    deadline: u64,
    stage: Stage,
}

/// A pollable is a child of what it watches, so it stands first, to be dropped first.
enum Stage {
    /// The response has not begun.
    Waiting { ready: Pollable, response: FutureIncomingResponse },
    /// The body is being read.
    Reading(Reading),
}

struct Reading {
    ready: Pollable,
    stream: InputStream,
    /// Keeps the stream's parents alive, children first.
    _body: IncomingBody,
    _response: IncomingResponse,
    read: Response,
}

impl Wasi {
    pub fn new() -> Self {
        Self { exchanges: Vec::new(), refused: Vec::new() }
    }
}

impl Transport for Wasi {
    fn send(&mut self, id: RequestId, request: Request) {
        match start(&request) {
            Ok(response) => {
                let deadline = monotonic_clock::now().saturating_add(total_timeout(&request));
                let stage = Stage::Waiting { ready: response.subscribe(), response };
                self.exchanges.push(Exchange { id, deadline, stage });
            }
            Err(failure) => self.refused.push((id, failure)),
        }
    }

    fn now(&self) -> u64 {
        let now = wall_clock::now();
        now.seconds.saturating_mul(1000).saturating_add(u64::from(now.nanoseconds / 1_000_000))
    }

    fn random(&mut self, count: usize) -> Vec<u8> {
        random::get_random_bytes(count as u64)
    }
}

impl Blocking for Wasi {
    fn poll(&mut self, until: Option<u64>) -> Vec<Outcome> {
        let mut through: Vec<_> = self.refused.drain(..).map(|(id, failure)| (id, Err(failure))).collect();
        let wake = until.map(|until| until.saturating_sub(self.now()).saturating_mul(1_000_000));
        let wake = wake.map(|wait| monotonic_clock::now().saturating_add(wait));
        while through.is_empty() {
            let deadline = self.exchanges.iter().map(|exchange| exchange.deadline).chain(wake).min();
            // `poll` traps where it is given nothing.
            let Some(deadline) = deadline else { break };
            let timer = monotonic_clock::subscribe_instant(deadline);
            let mut watched: Vec<&Pollable> = self.exchanges.iter().map(|exchange| exchange.stage.ready()).collect();
            watched.push(&timer);
            let mut ready = vec![false; watched.len()];
            for index in poll::poll(&watched) {
                if let Some(ready) = ready.get_mut(index as usize) {
                    *ready = true;
                }
            }
            drop(watched);
            drop(timer);

            let now = monotonic_clock::now();
            let mut still = Vec::with_capacity(self.exchanges.len());
            for (exchange, ready) in self.exchanges.drain(..).zip(ready) {
                let Exchange { id, deadline, stage } = exchange;
                let outcome = match ready {
                    true => stage.advance(),
                    false => Ok(Progress::Pending(stage)),
                };
                match outcome {
                    Ok(Progress::Through(response)) => through.push((id, Ok(response))),
                    Err(failure) => through.push((id, Err(failure))),
                    Ok(Progress::Pending(_)) if now >= deadline => {
                        through.push((id, Err(Failure::Network("the response took too long".to_owned()))));
                    }
                    Ok(Progress::Pending(stage)) => still.push(Exchange { id, deadline, stage }),
                }
            }
            self.exchanges = still;
            if wake.is_some_and(|wake| now >= wake) {
                break;
            }
        }
        through
    }
}

/// Sends a request. The body of one that has none is never even taken, since a host may have closed it by then.
fn start(request: &Request) -> Result<FutureIncomingResponse, Failure> {
    let outgoing = OutgoingRequest::new(headers(request)?);
    outgoing.set_method(&method(request)).map_err(|()| invalid("the method"))?;
    outgoing.set_scheme(Some(&scheme(request))).map_err(|()| invalid("the scheme"))?;
    outgoing.set_authority(Some(request.url.authority())).map_err(|()| invalid("the host"))?;
    outgoing.set_path_with_query(Some(&path(request))).map_err(|()| invalid("the path"))?;
    let body = match &request.body {
        Some(bytes) => Some((outgoing.body().map_err(|()| invalid("the body"))?, bytes)),
        None => None,
    };
    let response = outgoing_handler::handle(outgoing, Some(options(request))).map_err(failure)?;
    if let Some((body, bytes)) = body {
        // Where the body is not wanted the response says why, so it is read in any case.
        if let Ok(stream) = body.write() {
            write(&stream, bytes)?;
        }
        let _ = OutgoingBody::finish(body, None);
    }
    Ok(response)
}

/// Writes a body whole, or as much of it as the peer takes: it may answer before it has read all.
fn write(stream: &OutputStream, bytes: &[u8]) -> Result<(), Failure> {
    let deadline = monotonic_clock::now().saturating_add(SILENCE_TIMEOUT);
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some(permit) = permit(stream, deadline)? else { return Ok(()) };
        let (part, after) = rest.split_at(permit.min(WRITE).min(rest.len()));
        if stream.write(part).is_err() {
            return Ok(());
        }
        rest = after;
    }
    // The stream takes more only when all is through.
    if stream.flush().is_ok() {
        permit(stream, deadline)?;
    }
    Ok(())
}

/// How many bytes the stream takes, at least one. Blocks until it takes some; none where it takes no more.
fn permit(stream: &OutputStream, deadline: u64) -> Result<Option<usize>, Failure> {
    loop {
        match stream.check_write() {
            Err(_) => return Ok(None),
            Ok(0) if monotonic_clock::now() >= deadline => {
                return Err(Failure::Network("the body was not taken in time".to_owned()));
            }
            Ok(0) => {
                poll::poll(&[&stream.subscribe(), &monotonic_clock::subscribe_instant(deadline)]);
            }
            Ok(permit) => return Ok(Some(usize::try_from(permit).unwrap_or(WRITE))),
        }
    }
}

enum Progress {
    Through(Response),
    Pending(Stage),
}

impl Stage {
    fn ready(&self) -> &Pollable {
        match self {
            Self::Waiting { ready, .. } | Self::Reading(Reading { ready, .. }) => ready,
        }
    }

    /// Goes on after the stage's pollable was ready.
    fn advance(self) -> Result<Progress, Failure> {
        match self {
            Self::Waiting { ready, response } => {
                let Some(outcome) = response.get() else {
                    return Ok(Progress::Pending(Self::Waiting { ready, response }));
                };
                let outcome = outcome.map_err(|()| Failure::Network("the response was taken before".to_owned()))?;
                // The child of the two goes first: a host traps where a parent is dropped before its child.
                drop(ready);
                drop(response);
                begin(outcome.map_err(failure)?)
            }
            Self::Reading(reading) => reading.advance(),
        }
    }
}

fn begin(response: IncomingResponse) -> Result<Progress, Failure> {
    let headers = read_headers(response.headers().entries());
    let read = Response { status: response.status(), headers, body: Vec::new() };
    let gone = |()| Failure::Network("the body was taken before".to_owned());
    let body = response.consume().map_err(gone)?;
    let stream = body.stream().map_err(gone)?;
    let ready = stream.subscribe();
    Reading { ready, stream, _body: body, _response: response, read }.advance()
}

impl Reading {
    fn advance(mut self) -> Result<Progress, Failure> {
        loop {
            match self.stream.read(READ) {
                // Nothing yet, which is not the end.
                Ok(bytes) if bytes.is_empty() => return Ok(Progress::Pending(Stage::Reading(self))),
                Ok(bytes) if self.read.body.is_empty() => self.read.body = bytes,
                Ok(bytes) => self.read.body.extend_from_slice(&bytes),
                Err(StreamError::Closed) => return Ok(Progress::Through(self.read)),
                Err(StreamError::LastOperationFailed(error)) => {
                    let code = types::http_error_code(&error);
                    return Err(code.map_or_else(|| Failure::Network("the body broke off".to_owned()), failure));
                }
            }
        }
    }
}
