//! One collection whose pages were made beforehand: a server that costs next to nothing, for benchmarks.

use crate::body::Body;
use crate::sockets::{self, Listening};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A running server on 127.0.0.1; it stops when it is dropped.
///
/// `GET` of any path gives the page that `page=N` in the query names, from 1. Requests are counted, and nothing of them is kept.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use mock_api::BulkApi;
///
/// let api = BulkApi::start(vec!["[1,2]".into(), "[3]".into()], 2)?;
/// assert!(api.base_url().starts_with("http://127.0.0.1:"));
/// assert_eq!(api.requests(), 0);
/// # Ok(())
/// # }
/// ```
pub struct BulkApi {
    service: Service,
    listening: Listening,
}

impl BulkApi {
    /// Starts it on a free port with so many pages. Where there are fewer bodies, they come again from the first on.
    pub fn start(bodies: Vec<Bytes>, pages: usize) -> io::Result<Self> {
        let service = Service { bodies: bodies.into(), pages, requests: Arc::default(), first: Arc::default() };
        Ok(Self { listening: Listening::start(0, service.clone())?, service })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> &str {
        self.listening.base_url()
    }

    /// How many requests came since the start.
    pub fn requests(&self) -> u64 {
        self.service.requests.load(Ordering::Relaxed)
    }

    /// When the first request came since this was last asked.
    pub fn take_first(&self) -> Option<Instant> {
        self.service.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What all connections share.
#[derive(Clone)]
struct Service {
    bodies: Arc<[Bytes]>,
    pages: usize,
    requests: Arc<AtomicU64>,
    first: Arc<Mutex<Option<Instant>>>,
}

impl Service {
    /// The body that a query asks for, if there is such a page.
    fn body(&self, query: &str) -> Option<Bytes> {
        let number: usize = query.split('&').find_map(|pair| pair.strip_prefix("page="))?.parse().ok()?;
        let place = number.checked_sub(1).filter(|place| *place < self.pages)?;
        self.bodies.get(place.checked_rem(self.bodies.len())?).cloned()
    }
}

impl sockets::Service for Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        let body = self.body(request.uri().query().unwrap_or_default());
        let status = if body.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
        let mut response = Response::new(Body::whole(body.unwrap_or_default()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_again_and_end() {
        let bodies: Arc<[Bytes]> = ["a", "b"].map(Bytes::from).into();
        let service = Service { bodies, pages: 5, requests: Arc::default(), first: Arc::default() };
        let body = |query| service.body(query).map(|body| String::from_utf8(body.into()).unwrap());
        let pages = ["page=1", "x=y&page=2", "page=5", "page=6", "page=0", "page=x", ""].map(body);
        assert_eq!(pages.map(Option::unwrap_or_default), ["a", "b", "a", "", "", "", ""]);
    }
}
