//! The engine's transport over `wasi:http` 0.3: each request is a future, and whoever waits drives all of them.

use super::bindings::wasi::clocks0_3_0::{monotonic_clock, system_clock};
use super::bindings::wasi::http0_3_0::client;
use super::bindings::wasi::http0_3_0::types;
use super::bindings::wasi::random0_3_0::random;
use super::bindings::{wit_future, wit_stream};
use crate::edge::exchange::{failure, headers, invalid, method, options, path, read_headers, scheme, total_timeout};
use crate::engine::transport::{Failure, Outcome, RequestId, Transport};
use crate::request::{Request, Response};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use wit_bindgen::StreamResult;

/// How much room for a body is made at a time.
const READ: usize = 64 * 1024;

/// The longest that a timer runs, in nanoseconds: some runtimes do not end while one runs, though nothing waits for it any more.
const LONGEST_TIMER: u64 = 1_000_000_000;

type Task<T> = Pin<Box<dyn Future<Output = T>>>;

/// What runs on WASI. Clones are the same.
#[derive(Clone)]
pub struct Wasi(Rc<RefCell<Exchanges>>);

#[derive(Default)]
struct Exchanges {
    going: Vec<Exchange>,
    /// Those whose time was up before the response began. Nobody waits for them, but some runtimes write the response down whenever it
    /// comes, so there must be a place for it.
    late: Vec<Exchange>,
    through: Vec<Outcome>,
    timer: Option<Timer>,
}

/// A request in flight.
struct Exchange {
    id: RequestId,
    /// On the monotonic clock.
    deadline: u64,
    has_begun: Rc<Cell<bool>>,
    task: Task<Result<Response, Failure>>,
}

struct Timer {
    /// On the monotonic clock.
    at: u64,
    task: Task<()>,
}

impl Wasi {
    pub fn new() -> Self {
        Self(Rc::default())
    }

    /// Waits until a request is through or `until` (milliseconds since 1970) is reached, and gives all that are through. Waits for no
    /// longer than a timer runs, and then gives none.
    pub async fn outcomes(&self, until: Option<u64>) -> Vec<Outcome> {
        let wait = until.map_or(LONGEST_TIMER, |until| self.left(until));
        let wake = monotonic_clock::now().saturating_add(wait);
        poll_fn(|context| self.0.borrow_mut().poll(context, wake)).await
    }

    /// Waits for something else, while requests go on.
    pub async fn beside<T>(&self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        poll_fn(|context| {
            self.0.borrow_mut().drive(context);
            other.as_mut().poll(context)
        })
        .await
    }

    /// Waits until an instant (milliseconds since 1970) while requests go on, but for no longer than a timer runs. Tells whether that
    /// instant is reached.
    pub async fn sleep(&self, until: u64) -> bool {
        self.beside(monotonic_clock::wait_for(self.left(until))).await;
        self.now() >= until
    }

    /// How long it is until an instant, in nanoseconds, as far as a timer runs.
    fn left(&self, until: u64) -> u64 {
        until.saturating_sub(self.now()).saturating_mul(1_000_000).min(LONGEST_TIMER)
    }
}

impl Transport for Wasi {
    fn send(&mut self, id: RequestId, request: Request) {
        let deadline = monotonic_clock::now().saturating_add(total_timeout(&request));
        let mut exchanges = self.0.borrow_mut();
        let has_begun = Rc::default();
        let task = Box::pin(exchange(request, Rc::clone(&has_begun)));
        exchanges.going.push(Exchange { id, deadline, has_begun, task });
        // It is sent when it is first polled, which is now: before the next wait there may be much to do.
        exchanges.drive(&mut Context::from_waker(Waker::noop()));
    }

    fn now(&self) -> u64 {
        let now = system_clock::now();
        let seconds = u64::try_from(now.seconds).unwrap_or(0);
        seconds.saturating_mul(1000).saturating_add(u64::from(now.nanoseconds / 1_000_000))
    }

    fn random(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count);
        // It may give fewer than it is asked for, but at least one.
        while bytes.len() < count {
            bytes.extend(random::get_random_bytes((count - bytes.len()) as u64));
        }
        bytes.truncate(count);
        bytes
    }
}

impl Exchanges {
    fn poll(&mut self, context: &mut Context<'_>, wake: u64) -> Poll<Vec<Outcome>> {
        loop {
            self.drive(context);
            let now = monotonic_clock::now();
            if !self.through.is_empty() || now >= wake {
                return Poll::Ready(std::mem::take(&mut self.through));
            }
            let at = self.going.iter().map(|exchange| exchange.deadline).fold(wake, u64::min);
            // One that runs already is enough where it ends earlier.
            let timer = match self.timer.take().filter(|timer| timer.at <= at) {
                Some(timer) => timer,
                None => Timer { at, task: Box::pin(monotonic_clock::wait_until(at)) },
            };
            let timer = self.timer.insert(timer);
            if timer.task.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
    }

    /// Goes on with all requests, as far as they can.
    fn drive(&mut self, context: &mut Context<'_>) {
        self.late.retain_mut(|late| late.task.as_mut().poll(context).is_pending() && !late.has_begun.get());
        let now = monotonic_clock::now();
        for mut exchange in std::mem::take(&mut self.going) {
            match exchange.task.as_mut().poll(context) {
                Poll::Ready(outcome) => self.through.push((exchange.id, outcome)),
                Poll::Pending if now >= exchange.deadline => {
                    let failure = Failure::Network("the response took too long".to_owned());
                    self.through.push((exchange.id, Err(failure)));
                    if !exchange.has_begun.get() {
                        self.late.push(exchange);
                    }
                }
                Poll::Pending => self.going.push(exchange),
            }
        }
    }
}

/// Sends a request, and reads its response. Tells when that has begun.
async fn exchange(request: Request, has_begun: Rc<Cell<bool>>) -> Result<Response, Failure> {
    let (body, contents) = request.body.is_some().then(wit_stream::new).unzip();
    // What is not written is what stands here.
    let (_, no_trailers) = wit_future::new(|| Ok(None));
    let (outgoing, _) = types::Request::new(headers(&request)?, contents, no_trailers, Some(options(&request)));
    outgoing.set_method(&method(&request)).map_err(|()| invalid("the method"))?;
    outgoing.set_scheme(Some(&scheme(&request))).map_err(|()| invalid("the scheme"))?;
    outgoing.set_authority(Some(request.url.authority())).map_err(|()| invalid("the host"))?;
    outgoing.set_path_with_query(Some(&path(&request))).map_err(|()| invalid("the path"))?;

    let mut receiving = pin!(receive(outgoing, &has_begun));
    // It ends the body. The peer may answer before it has read all, or end without it.
    let mut writing =
        body.zip(request.body).map(|(mut body, bytes)| Box::pin(async move { body.write_all(bytes).await }));
    poll_fn(|context| {
        if writing.as_mut().is_some_and(|writing| writing.as_mut().poll(context).is_ready()) {
            writing = None;
        }
        receiving.as_mut().poll(context)
    })
    .await
}

async fn receive(request: types::Request, has_begun: &Cell<bool>) -> Result<Response, Failure> {
    let response = client::send(request).await;
    has_begun.set(true);
    let response = response.map_err(failure)?;
    let status = response.get_status_code();
    let headers = read_headers(response.get_headers().copy_all());
    let (_, accepted) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = types::Response::consume_body(response, accepted);
    let mut body = Vec::new();
    loop {
        body.reserve(READ);
        let (result, read) = stream.read(body).await;
        body = read;
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    drop(stream);
    trailers.await.map_err(failure)?;
    // It may be kept for a while, and is counted by its length.
    body.shrink_to_fit();
    Ok(Response { status, headers, body })
}
