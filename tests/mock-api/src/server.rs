//! The answer to one request.

use crate::body::Body;
use crate::collection::{Collection, Parent, route};
use crate::expected::Expected;
use crate::faults::{Fault, FaultClock};
use crate::options::Options;
use crate::page::{self, Page};
use crate::sockets;
use crate::stats::Counters;
use futures_timer::Delay;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Service {
    counters: Counters,
    state: Arc<Mutex<State>>,
}

struct State {
    options: Arc<Options>,
    faults: FaultClock,
}

impl Service {
    pub(crate) fn new(options: Options) -> Self {
        let state = State { options: Arc::new(options), faults: FaultClock::default() };
        Self { counters: Counters::default(), state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn options(&self) -> Arc<Options> {
        Arc::clone(&self.lock().options)
    }

    pub(crate) fn set_options(&self, options: Options) {
        *self.lock() = State { options: Arc::new(options), faults: FaultClock::default() };
    }

    /// State is replaced as a whole, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl sockets::Service for Service {
    fn connected(&self) {
        self.counters.connected();
    }

    /// The answer to a request of the API, or to one of the two about it.
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            "/_stats" => return json(StatusCode::OK, self.counters.stats().to_json().to_string().into_bytes()),
            "/_expected" => {
                let expected = Expected::of(&self.options());
                return json(StatusCode::OK, expected.to_json().to_string().into_bytes());
            }
            _ => {}
        }
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let _in_flight = self.counters.asked(target);
        let (options, allowed, fault) = {
            let mut state = self.lock();
            let options = Arc::clone(&state.options);
            let allowed = is_allowed(request.headers(), &options.token);
            // By the order of arrival, and not by that of the answers.
            let fault = if allowed { state.faults.next(&options, target) } else { None };
            (options, allowed, fault)
        };
        if options.latency_ms > 0 {
            Delay::new(Duration::from_millis(options.latency_ms)).await;
        }
        let response = if allowed {
            respond(&options, request.method(), request.uri().path(), request.uri().query().unwrap_or_default(), fault)
        } else {
            json(StatusCode::UNAUTHORIZED, page::refusal(11_102, "Invalid authorization token"))
        };
        let truncated = response.extensions().get::<Truncated>().is_some();
        self.counters.answered(response.status().as_u16(), truncated);
        response
    }
}

/// Marks a response whose body breaks off.
#[derive(Clone)]
struct Truncated;

/// The answer to an allowed request.
fn respond(options: &Options, method: &Method, path: &str, query: &str, fault: Option<Fault>) -> Response<Body> {
    let route = route(path, options);
    let refused_for_ever = route.is_some_and(|(collection, _)| Some(collection) == options.too_many_forever);
    match fault {
        _ if refused_for_ever => too_many(options),
        Some(Fault::TooMany) => too_many(options),
        Some(Fault::Error) => json(StatusCode::INTERNAL_SERVER_ERROR, page::refusal(99_009, "Internal error")),
        Some(Fault::Truncate) | None => {
            let (status, body) = content(options, method, route, query);
            if fault.is_none() { json(status, body) } else { truncated(status, body) }
        }
    }
}

/// Status and body of a request that meets no fault.
fn content(
    options: &Options,
    method: &Method,
    route: Option<(Collection, Parent)>,
    query: &str,
) -> (StatusCode, Vec<u8>) {
    if method != Method::GET {
        return (StatusCode::METHOD_NOT_ALLOWED, page::refusal(11_104, "Only GET is served"));
    }
    let Some((collection, parent)) = route else {
        return (StatusCode::NOT_FOUND, page::refusal(11_101, "Resource does not exist"));
    };
    match Page::from_query(query) {
        Some(page) => (StatusCode::OK, page.body(options, collection, parent)),
        None => (StatusCode::BAD_REQUEST, page::refusal(11_103, "Invalid page or per_page")),
    }
}

fn is_allowed(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    sent.and_then(|value| value.strip_prefix(b"Bearer ")) == Some(token.as_bytes())
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn too_many(options: &Options) -> Response<Body> {
    let mut response = json(StatusCode::TOO_MANY_REQUESTS, page::refusal(11_005, "Too many requests"));
    if let Some(value) = options.retry_after.and_then(|after| HeaderValue::try_from(after.header()).ok()) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// Promises the whole body, and gives its first half.
fn truncated(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let length = HeaderValue::from(body.len());
    let mut response = json(status, Vec::new()).map(|_| Body::broken(body));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response.extensions_mut().insert(Truncated);
    response
}
