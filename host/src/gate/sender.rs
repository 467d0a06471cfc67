//! The gate itself: what happens to a request on its way out.

use super::body::CappedBody;
use super::client::Client;
use super::credentials::{Credentials, Unsigned};
use super::failure::{Failure, check_literal};
use super::headers;
use super::limits::HttpLimits;
use super::origin::Origin;
use super::policy::Policy;
use super::redactor::Redactor;
use super::slots::Unfilled;
use crate::Error;
use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, Method, Request, Response, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use spile_connector::auth::CREDENTIAL_HEADER;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use url::Url;
use wasmtime_wasi_http::{Error as Code, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

/// A future as the hooks of wasmtime want it.
type Boxed<T> = Box<dyn Future<Output = T> + Send>;

/// What the requests of a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that went to the client, also those that failed there.
    pub requests: u64,
    /// Bytes of request bodies.
    pub sent: u64,
    /// Bytes of response bodies, after decompression.
    pub received: u64,
}

/// All that a run's requests share.
pub(super) struct Run {
    pub limits: HttpLimits,
    policy: Policy,
    credentials: Credentials,
    client: Option<Client>,
    in_flight: Arc<Semaphore>,
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    denial: Mutex<Option<Error>>,
}

/// Every request of a connector passes here, and there is no other way out. Clones are the same gate.
///
/// In this order: allowed origin, budget, credentials, address, connection, caps on the response. What is denied is an error
/// that the connector sees, and that [`Gate::denial`] keeps for the person.
#[derive(Clone)]
pub struct Gate {
    run: Arc<Run>,
}

impl Gate {
    /// A gate for one run.
    pub fn new(policy: Policy, credentials: Credentials, client: Client, limits: HttpLimits) -> Self {
        Self::with(policy, credentials, Some(client), limits)
    }

    /// A gate that lets nothing through, for a connector that is only asked for its description.
    pub fn closed() -> Self {
        Self::with(Policy::default(), Credentials::default(), None, HttpLimits::default())
    }

    fn with(policy: Policy, credentials: Credentials, client: Option<Client>, limits: HttpLimits) -> Self {
        let in_flight = Arc::new(Semaphore::new(limits.in_flight.min(Semaphore::MAX_PERMITS)));
        let (requests, sent, received) = Default::default();
        let denial = Mutex::default();
        Self { run: Arc::new(Run { limits, policy, credentials, client, in_flight, requests, sent, received, denial }) }
    }

    /// The first thing that the gate denied, and what to do about it.
    pub fn denial(&self) -> Option<Error> {
        self.run.denial.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the requests came to so far.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts { requests: read(&self.run.requests), sent: read(&self.run.sent), received: read(&self.run.received) }
    }

    /// Takes the run's credentials out of texts.
    pub fn redactor(&self) -> &Redactor {
        self.run.credentials.redactor()
    }
}

impl Run {
    /// Keeps a denial for the person; gives what the connector is told.
    pub fn remember(&self, failure: Failure) -> Code {
        if let Some(error) = failure.denial {
            self.denial.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(*error);
        }
        failure.code
    }

    /// Counts bytes of a response; gives the sum so far.
    pub fn count_received(&self, bytes: u64) -> u64 {
        self.received.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes)
    }

    async fn send(
        self: Arc<Self>,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<Response<WasiBody>, Failure> {
        let start = Instant::now();
        let (mut parts, body) = request.into_parts();
        let (origin, mut path, mut query) = target(&parts.uri, &self.limits)?;
        if !self.policy.allows(&origin) {
            return Err(Failure::origin_not_allowed(&origin));
        }
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            // CONNECT opens a tunnel; TRACE would show the connector its credentials.
            return Err(Failure::malformed(Code::HttpRequestMethodInvalid, "the connector may not use this method"));
        }
        let permit = self.spend()?;
        headers::remove_owned(&mut parts.headers);
        self.sign(&origin, &mut parts.headers, &mut query)?;
        let slots = self.credentials.slots();
        let unfilled = |unfilled| unfilled_slot(unfilled, &origin);
        slots.fill_head(&origin, &mut path, &mut query, &mut parts.headers).map_err(unfilled)?;
        check_size(&parts.headers, &self.limits, Code::HttpRequestHeaderSectionSize)?;

        let private = self.policy.allows_private(&origin);
        if !private {
            check_literal(&origin)?;
        }
        let deadline = start + self.limits.total_timeout;
        let body = timeout_at(deadline, self.collect(body)).await.map_err(|_| Code::ConnectionWriteTimeout)??;
        let body = slots.fill_body(&origin, &parts.headers, body).map_err(unfilled)?;
        let url = url(&origin, &path, query.as_deref())?;
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        if !body.is_empty() {
            *request.body_mut() = Some(body.into());
        }
        let client = self.client.as_ref().ok_or_else(|| Failure::origin_not_allowed(&origin))?;
        let first_byte = shorter(options.first_byte_timeout, self.limits.first_byte_timeout);
        let response = timeout_at(deadline.min(Instant::now() + first_byte), client.of(private).execute(request))
            .await
            .map_err(|_| Code::HttpResponseTimeout)?
            .map_err(|error| Failure::of_client(&error, &origin))?;
        self.accept(response, deadline, permit)
    }

    /// One more request.
    fn spend(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let limits = &self.limits;
        let permit = self
            .in_flight
            .clone()
            .try_acquire_owned()
            .map_err(|_| Failure::limit(Code::ConnectionLimitReached, "requests in flight", limits.in_flight))?;
        let spent = self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |requests| {
            (requests < limits.requests).then_some(requests + 1)
        });
        match spent {
            Ok(_) => Ok(permit),
            Err(_) => Err(Failure::limit(Code::HttpRequestDenied, "requests in a run", limits.requests)),
        }
    }

    /// Puts the credential on the request that the connector names, if it names one.
    fn sign(&self, origin: &Origin, headers: &mut HeaderMap, query: &mut Option<String>) -> Result<(), Failure> {
        let named: Vec<_> = headers.get_all(CREDENTIAL_HEADER).iter().cloned().collect();
        headers.remove(CREDENTIAL_HEADER);
        let pointer = match named.as_slice() {
            [] => return Ok(()),
            [pointer] => pointer.to_str().ok(),
            _ => None,
        };
        let unknown =
            || Failure::malformed(Code::HttpRequestDenied, "the connector asked for a credential that there is not");
        let pointer = pointer.ok_or_else(unknown)?;
        self.credentials.sign(pointer, origin, headers, query).map_err(|unsigned| match unsigned {
            Unsigned::Unknown => unknown(),
            Unsigned::Unbound => Failure::credential_not_bound(origin, pointer),
        })
    }

    /// The whole body of a request. Held in memory, so that its length is known and no framing of the connector's counts.
    async fn collect(&self, body: WasiBody) -> Result<Bytes, Failure> {
        let limits = &self.limits;
        let too_large =
            |limit, value: u64| Failure::limit(Code::HttpRequestBodySize(None), limit, format_args!("{value} bytes"));
        let body = match Limited::new(body, limits.request_size).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(too_large("the size of a request", limits.request_size as u64));
            }
            Err(_) => return Err(Code::HttpRequestBodySize(None).into()),
        };
        let size = body.len() as u64;
        if self.sent.fetch_add(size, Ordering::Relaxed).saturating_add(size) > limits.sent {
            return Err(too_large("the bytes sent in a run", limits.sent));
        }
        Ok(body)
    }

    /// Checks the head of a response.
    fn accept(
        self: Arc<Self>,
        response: reqwest::Response,
        deadline: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Result<Response<WasiBody>, Failure> {
        let limits = &self.limits;
        check_size(response.headers(), limits, Code::HttpResponseHeaderSectionSize)?;
        if let Some(size) = response.content_length().filter(|size| *size > limits.response_size) {
            let code = Code::HttpResponseBodySize(Some(size));
            let value = format_args!("{} bytes", limits.response_size);
            return Err(Failure::limit(code, "the size of a response", value));
        }
        let (mut parts, body) = Response::<reqwest::Body>::from(response).into_parts();
        // The client keeps the URL and the address here; the connector needs neither.
        parts.extensions.clear();
        let body = CappedBody::new(body, self, deadline, permit).boxed_unsync();
        Ok(Response::from_parts(parts, body))
    }
}

/// Takes a request's URL apart. The origin is read from the authority alone, and the URL is put together again from the
/// parts that were checked: a request in absolute form, with another host in its path, cannot be made (GHSA-5qpp-g3j2-8frx).
fn target(uri: &Uri, limits: &HttpLimits) -> Result<(Origin, String, Option<String>), Failure> {
    let invalid = |message| Failure::malformed(Code::HttpRequestUriInvalid, message);
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(invalid("the connector sent a request without a host"));
    };
    let origin: Origin = format!("{scheme}://{authority}")
        .parse()
        .map_err(|_| invalid("the connector sent a request to something that is not a host"))?;
    if !uri.path().starts_with('/') {
        return Err(invalid("the connector sent a request with a path that does not start with a slash"));
    }
    if uri.path().len() + uri.query().map_or(0, str::len) > limits.url_size {
        return Err(Failure::limit(
            Code::HttpRequestUriTooLong,
            "the size of a URL",
            format_args!("{} bytes", limits.url_size),
        ));
    }
    Ok((origin, uri.path().to_owned(), uri.query().map(str::to_owned)))
}

/// A secret that may not go where the connector wants it.
fn unfilled_slot(unfilled: Unfilled, origin: &Origin) -> Failure {
    match unfilled {
        Unfilled::Unknown => {
            Failure::malformed(Code::HttpRequestDenied, "the connector asked for a secret that there is not")
        }
        Unfilled::Unbound(name) => Failure::slot_not_bound(origin, &name),
        Unfilled::NotForHeader(name) => Failure::slot_not_for_header(&name),
    }
}

/// Puts the URL together again.
fn url(origin: &Origin, path: &str, query: Option<&str>) -> Result<Url, Failure> {
    let invalid = || Failure::malformed(Code::HttpRequestUriInvalid, "the connector sent a request with a broken URL");
    let text = match query {
        Some(query) => format!("{origin}{path}?{query}"),
        None => format!("{origin}{path}"),
    };
    let url = Url::parse(&text).map_err(|_| invalid())?;
    match Origin::of(&url) {
        Ok(same) if same == *origin => Ok(url),
        _ => Err(invalid()),
    }
}

fn check_size(headers: &HeaderMap, limits: &HttpLimits, code: fn(Option<u32>) -> Code) -> Result<(), Failure> {
    let size = headers::size(headers);
    if size <= limits.header_size {
        return Ok(());
    }
    let value = format_args!("{} bytes", limits.header_size);
    Err(Failure::limit(code(u32::try_from(size).ok()), "the size of headers", value))
}

/// The connector may ask for less time than the host gives, and not for more. No time at all would make every request fail
/// before it is sent, so that is not taken.
fn shorter(asked: Option<Duration>, cap: Duration) -> Duration {
    asked.filter(|asked| !asked.is_zero()).map_or(cap, |asked| asked.min(cap))
}

impl WasiHttpHooks for Gate {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        headers::is_forbidden(name)
    }

    // Also to be overridden: trailers are filtered by this one (GHSA-jxcf-8qw5-5c33).
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(headers::is_forbidden)
    }

    // The client makes it from the URL.
    fn set_host_header(&mut self) -> bool {
        false
    }

    // A connector says which; it is part of the origin.
    fn default_scheme(&mut self) -> Option<Scheme> {
        None
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Boxed<Result<(), Code>>,
    ) -> Boxed<Result<(Response<WasiBody>, Boxed<Result<(), Code>>), Code>> {
        let run = self.run.clone();
        Box::new(async move {
            match run.clone().send(request, options.unwrap_or_default()).await {
                Ok(response) => Ok((response, Box::new(async { Ok(()) }) as Boxed<_>)),
                Err(failure) => Err(run.remember(failure)),
            }
        })
    }
}
