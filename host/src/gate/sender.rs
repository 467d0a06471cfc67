//! The gate itself: what happens to a request on its way out.

use super::body::CappedBody;
use super::client::Client;
use super::coding;
use super::credentials::{Credential, Credentials, Unsigned, put};
use super::echo::{Echo, mask_headers};
use super::failure::{Failure, check_literal};
use super::headers;
use super::kept::KeptAnswers;
use super::origin::Origin;
use super::policy::Policy;
use super::redactor::Redactor;
use super::rehearsal::{Asked, Rehearsal};
use super::slots::Unfilled;
use super::tape::Tape;
use crate::limits::{self, Limits};
use crate::{Class, Error};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sha2::Digest;
use spile_connector::auth::CREDENTIAL_HEADER;
use spile_connector::engine::transport;
use spile_connector::request::{Request as TokenRequest, Response as TokenResponse};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use url::Url;
use wasmtime_wasi_http::{Error as Code, RequestOptions, WasiBody};

/// The longest that a request for a token takes, so that all attempts fit into the time that a connector gives a request.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest response with a token, in bytes.
const TOKEN_RESPONSE: usize = 1 << 20;

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
    pub limits: Limits,
    policy: Policy,
    credentials: Credentials,
    client: Option<Client>,
    /// What answers in the place of APIs, or learns from them.
    rehearsal: Option<Rehearsal>,
    in_flight: Arc<Semaphore>,
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    denial: Mutex<Option<Error>>,
    began: Instant,
    /// The URL of the last request, as the connector sent it: without credentials.
    last_url: Mutex<Option<Uri>>,
}

/// Every request of a connector passes here, and there is no other way out. Clones are the same gate.
///
/// In this order: allowed origin, budget, credentials, address, connection, caps on the response. What is denied is an error
/// that the connector sees, and that [`Gate::denial`] keeps for the person.
#[derive(Clone)]
pub struct Gate {
    pub(super) run: Arc<Run>,
    tape: Option<Tape>,
    kept: Option<KeptAnswers>,
}

impl Gate {
    /// A gate for one run.
    pub fn new(policy: Policy, credentials: Credentials, client: Client, limits: Limits) -> Self {
        Self::with(policy, credentials, Some(client), None, limits)
    }

    /// A gate with something that answers the connector in the place of APIs, or learns what they answer.
    pub(crate) fn rehearsing(
        policy: Policy,
        credentials: Credentials,
        client: Client,
        rehearsal: Rehearsal,
        limits: Limits,
    ) -> Self {
        Self::with(policy, credentials, Some(client), Some(rehearsal), limits)
    }

    /// A gate that lets nothing through, for a connector that is only asked for its description.
    pub fn closed() -> Self {
        Self::with(Policy::default(), Credentials::default(), None, None, Limits::default())
    }

    /// A gate whose requests a tape answers: without credentials, and without a way to the network. What the policy denies is denied
    /// all the same.
    pub fn replaying(policy: Policy, limits: Limits, tape: Tape) -> Self {
        Self { tape: Some(tape), ..Self::with(policy, Credentials::default(), None, None, limits) }
    }

    /// The gate with a tape that its requests are recorded on.
    #[must_use]
    pub fn recording(self, tape: Tape) -> Self {
        tape.redact(self.redactor());
        Self { tape: Some(tape), ..self }
    }

    /// The gate with what an interrupted run kept, which comes before the API, and a place to keep what the API answers.
    pub(crate) fn keeping(self, kept: KeptAnswers) -> Self {
        Self { kept: Some(kept), ..self }
    }

    fn with(
        policy: Policy,
        credentials: Credentials,
        client: Option<Client>,
        rehearsal: Option<Rehearsal>,
        limits: Limits,
    ) -> Self {
        let in_flight = Arc::new(Semaphore::new(limits.in_flight.min(Semaphore::MAX_PERMITS)));
        let (requests, sent, received) = Default::default();
        let (denial, last_url, began) = (Mutex::default(), Mutex::default(), Instant::now());
        let run = Run {
            limits,
            policy,
            credentials,
            client,
            rehearsal,
            in_flight,
            requests,
            sent,
            received,
            denial,
            began,
            last_url,
        };
        Self { run: Arc::new(run), tape: None, kept: None }
    }

    /// The first thing that the gate denied, and what to do about it.
    pub fn denial(&self) -> Option<Error> {
        self.run.denial()
    }

    /// The tape, where the run has one.
    pub fn tape(&self) -> Option<&Tape> {
        self.tape.as_ref()
    }

    /// The answers that are kept, where some are.
    pub(crate) fn kept(&self) -> Option<&KeptAnswers> {
        self.kept.as_ref()
    }

    /// What the requests came to so far.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts { requests: read(&self.run.requests), sent: read(&self.run.sent), received: read(&self.run.received) }
    }

    /// When the run began.
    pub fn began(&self) -> Instant {
        self.run.began
    }

    /// The URL of the last request, without credentials.
    pub fn last_url(&self) -> Option<String> {
        let url = self.run.last_url.lock().unwrap_or_else(PoisonError::into_inner).clone();
        url.map(|url| self.redactor().redact(&url.to_string()))
    }

    /// Takes the run's credentials out of texts.
    pub fn redactor(&self) -> &Redactor {
        self.run.credentials.redactor()
    }
}

impl Run {
    /// What the connector may reach.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The first thing that was denied.
    pub fn denial(&self) -> Option<Error> {
        self.denial.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

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

    /// Sends a request of the connector, where its answer is not one of those that were kept.
    pub async fn send(
        self: Arc<Self>,
        request: Request<WasiBody>,
        options: RequestOptions,
        kept: Option<KeptAnswers>,
    ) -> Result<Response<WasiBody>, Failure> {
        let start = Instant::now();
        let (mut parts, body) = request.into_parts();
        let head = (self.rehearsal.is_some() || kept.is_some()).then(|| Rehearsal::head(&parts));
        let (origin, mut path, mut query) = target(&parts.uri, &self.limits)?;
        if !self.policy.permits(&origin) {
            return Err(Failure::origin_not_permitted(&origin));
        }
        if !self.policy.allows(&origin) {
            return Err(Failure::origin_not_allowed(&origin));
        }
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            // CONNECT opens a tunnel; TRACE would show the connector its credentials.
            return Err(Failure::malformed(Code::HttpRequestMethodInvalid, "the connector may not use this method"));
        }
        *self.last_url.lock().unwrap_or_else(PoisonError::into_inner) = Some(parts.uri.clone());
        let permit = self.spend()?;
        headers::remove_owned(&mut parts.headers);
        let (credential, doubted) = self.credential(&origin, &mut parts.headers)?;
        let unsendable = |error| Failure::denied(Code::HttpRequestDenied, error);
        if let Some(credential) = credential {
            credential.put(&mut parts.headers, &mut query).map_err(unsendable)?;
        }
        let slots = self.credentials.slots();
        let unfilled = |unfilled| unfilled_slot(unfilled, &origin);
        slots.fill_head(&origin, &mut path, &mut query, &mut parts.headers).map_err(unfilled)?;
        let client = self.client.as_ref().ok_or_else(|| Failure::origin_not_allowed(&origin))?;
        let private = self.check_address(client, &origin).await?;
        let collected = timeout_at(start + self.limits.total_timeout, self.collect(body)).await;
        let body = collected.map_err(|_| Code::ConnectionWriteTimeout)??;
        let asked: Option<Asked> = head.map(|head| head.chain_update(&body).finalize().into());
        let rehearsed = self.rehearsal.as_ref().zip(asked);
        let mut known = rehearsed.and_then(|(rehearsal, asked)| rehearsal.answer(&asked));
        let mut keeping = kept.zip(asked);
        if let Some(answer) = keeping.as_ref().and_then(|(kept, asked)| kept.take(asked)) {
            (known, keeping) = (Some(answer.into()), None);
            self.requests.fetch_sub(1, Ordering::Relaxed);
        }
        let body = slots.fill_body(&origin, &parts.headers, body).map_err(unfilled)?;
        let first_byte = shorter(options.first_byte_timeout, self.limits.first_byte_timeout);
        let between_bytes = shorter(options.between_bytes_timeout, self.limits.between_bytes_timeout);
        let connect = shorter(options.connect_timeout, self.limits.connect_timeout);
        let tokens = credential.and_then(Credential::tokens);
        if let (Some(tokens), Some(doubted)) = (tokens, doubted) {
            tokens.doubted(doubted);
        }
        let mut is_renewed = false;
        loop {
            let (mut headers, mut query) = (parts.headers.clone(), query.clone());
            let issued = match tokens {
                Some(tokens) if known.is_none() => Some(tokens.issue(&self).await?),
                _ => None,
            };
            if let Some(issued) = &issued {
                put(&issued.placement, &mut headers, &mut query).map_err(unsendable)?;
            }
            check_size(&headers, &self.limits, Code::HttpRequestHeaderSectionSize)?;
            let url = url(&origin, &path, query.as_deref())?;
            let mut request = reqwest::Request::new(parts.method.clone(), url);
            *request.headers_mut() = headers;
            if !body.is_empty() {
                *request.body_mut() = Some(body.clone().into());
            }
            let deadline = Instant::now() + self.limits.total_timeout;
            let response = match known.take() {
                Some(answer) => answer,
                None => {
                    let sending = client.send(private, connect, request);
                    let response = timeout_at(deadline.min(Instant::now() + first_byte), sending)
                        .await
                        .map_err(|_| Code::HttpResponseTimeout)?
                        .map_err(|error| Failure::of_client(&error, &origin, &self.limits))?;
                    match rehearsed {
                        Some((rehearsal, asked)) => rehearsal.learn(asked, response, deadline, &self.limits).await?,
                        None => response,
                    }
                }
            };
            let signed_with = issued.as_ref().map(|issued| issued.count);
            if let (Some(tokens), Some(issued)) = (tokens, issued) {
                if response.status() != StatusCode::UNAUTHORIZED {
                    tokens.taken(issued.count);
                } else if !is_renewed && tokens.refused(issued.count) {
                    // Sent again with another token, once.
                    is_renewed = true;
                    self.count_request()?;
                    continue;
                }
            }
            let (mut head, body) = self.accept(response)?.into_parts();
            let body = coding::decoded(&mut head.headers, body, self.limits.response_size);
            // So that the connector can say which token it takes to be refused. What the API has there is not the host's.
            head.headers.remove(CREDENTIAL_HEADER);
            if let Some(count) = signed_with {
                head.headers.insert(CREDENTIAL_HEADER, HeaderValue::from(count));
            }
            let echoes = self.credentials.redactor().echoes();
            mask_headers(&echoes, &mut head.headers);
            let keeping = keeping.and_then(|(kept, asked)| kept.keeping(asked, head.status, &head.headers));
            let body = CappedBody::new(body, self, between_bytes, deadline, permit, Echo::new(echoes), keeping);
            return Ok(Response::from_parts(head, body.boxed_unsync()));
        }
    }

    /// Refuses an origin at an address that nobody allowed, as far as that is known before a connection is made. Tells whether the
    /// connection may have a private one.
    async fn check_address(&self, client: &Client, origin: &Origin) -> Result<bool, Failure> {
        let private = self.policy.allows_private(origin);
        if !private {
            check_literal(origin)?;
            if let Some(refused) = client.refused_behind_proxy(origin).await {
                return Err(Failure::address_refused(origin, refused.address, refused.network));
            }
        }
        Ok(private)
    }

    /// Sends a request of the host's own, for a token, under the same rules as those of the connector. The error is a denial.
    pub async fn exchange(
        &self,
        origin: &Origin,
        request: TokenRequest,
    ) -> crate::Result<Result<TokenResponse, transport::Failure>> {
        let said = |failure: Failure| match failure.denial {
            Some(denial) => Err(*denial),
            None => Ok(Err(transport::Failure::Network(network_failure(&failure.code).to_owned()))),
        };
        match self.ask(origin, request).await {
            Ok(response) => Ok(Ok(response)),
            Err(failure) => said(failure),
        }
    }

    async fn ask(&self, origin: &Origin, request: TokenRequest) -> Result<TokenResponse, Failure> {
        if !self.policy.permits(origin) {
            return Err(Failure::origin_not_permitted(origin));
        }
        let client = self.client.as_ref().ok_or_else(|| Failure::origin_not_allowed(origin))?;
        let private = self.check_address(client, origin).await?;
        self.count_request()?;
        let method =
            Method::from_bytes(request.method.as_str().as_bytes()).map_err(|_| Code::HttpRequestMethodInvalid)?;
        let mut sent = reqwest::Request::new(method, request.url);
        for (name, value) in request.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| !headers::is_forbidden(name));
            let (Some(name), Ok(mut value)) = (parsed, HeaderValue::from_str(&value)) else {
                let error =
                    Error::new(Class::Config, format!("the request for a token cannot have the header `{name}`"));
                return Err(Failure::denied(Code::HttpRequestDenied, error));
            };
            value.set_sensitive(true);
            sent.headers_mut().insert(name, value);
        }
        if let Some(body) = request.body {
            self.count_sent(body.len() as u64)?;
            *sent.body_mut() = Some(body.into());
        }
        let deadline = Instant::now() + self.limits.first_byte_timeout.min(TOKEN_TIMEOUT);
        let late = |_| Code::HttpResponseTimeout;
        let response = timeout_at(deadline, client.send(private, self.limits.connect_timeout, sent))
            .await
            .map_err(late)?
            .map_err(|error| Failure::of_client(&error, origin, &self.limits))?;
        check_size(response.headers(), &self.limits, Code::HttpResponseHeaderSectionSize)?;
        let (parts, body) = Response::<reqwest::Body>::from(response).into_parts();
        let body = match timeout_at(deadline, Limited::new(body, TOKEN_RESPONSE).collect()).await.map_err(late)? {
            Ok(body) => body.to_bytes().to_vec(),
            Err(error) if error.is::<LengthLimitError>() => {
                let message = "a response with a token is too large";
                let error = Error::new(Class::Source, message).fact("limit", format_args!("{TOKEN_RESPONSE} bytes"));
                return Err(Failure::denied(Code::HttpResponseBodySize(None), error));
            }
            Err(_) => return Err(Code::HttpResponseIncomplete.into()),
        };
        if self.count_received(body.len() as u64) > self.limits.received {
            return Err(Failure::limit(Code::HttpResponseBodySize(None), limits::RECEIVED, &self.limits));
        }
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Ok(TokenResponse { status: parts.status.as_u16(), headers: parts.headers.iter().map(text).collect(), body })
    }

    /// One more request, and a place for it among those in flight.
    fn spend(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let permit = self.in_flight.clone().try_acquire_owned();
        let permit =
            permit.map_err(|_| Failure::limit(Code::ConnectionLimitReached, limits::IN_FLIGHT, &self.limits))?;
        self.count_request()?;
        Ok(permit)
    }

    fn count_request(&self) -> Result<(), Failure> {
        let limit = self.limits.requests;
        let spent = self
            .requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |requests| (requests < limit).then_some(requests + 1));
        match spent {
            Ok(_) => Ok(()),
            Err(_) => Err(Failure::limit(Code::HttpRequestDenied, limits::REQUESTS, &self.limits)),
        }
    }

    fn count_sent(&self, size: u64) -> Result<(), Failure> {
        if self.sent.fetch_add(size, Ordering::Relaxed).saturating_add(size) <= self.limits.sent {
            return Ok(());
        }
        Err(Failure::limit(Code::HttpRequestBodySize(None), limits::SENT, &self.limits))
    }

    /// The credential that the connector names for a request, if it names one, and the number of the token that it takes to be
    /// refused, if it says so.
    fn credential(
        &self,
        origin: &Origin,
        headers: &mut HeaderMap,
    ) -> Result<(Option<&Credential>, Option<u64>), Failure> {
        let named: Vec<_> = headers.get_all(CREDENTIAL_HEADER).iter().cloned().collect();
        headers.remove(CREDENTIAL_HEADER);
        let pointer = match named.as_slice() {
            [] => return Ok((None, None)),
            [pointer] => pointer.to_str().ok(),
            _ => None,
        };
        let unknown =
            || Failure::malformed(Code::HttpRequestDenied, "the connector asked for a credential that there is not");
        let named = pointer.ok_or_else(unknown)?;
        let (pointer, doubted) = named.split_once(' ').unwrap_or((named, ""));
        let credential = self.credentials.get(pointer, origin).map_err(|unsigned| match unsigned {
            Unsigned::Unknown => unknown(),
            Unsigned::Unbound => Failure::credential_not_bound(origin, pointer),
        })?;
        Ok((Some(credential), doubted.parse().ok()))
    }

    /// The whole body of a request. Held in memory, so that its length is known and no framing of the connector's counts.
    async fn collect(&self, body: WasiBody) -> Result<Bytes, Failure> {
        let body = match Limited::new(body, self.limits.request_size).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(Failure::limit(Code::HttpRequestBodySize(None), limits::REQUEST_SIZE, &self.limits));
            }
            Err(_) => return Err(Code::HttpRequestBodySize(None).into()),
        };
        self.count_sent(body.len() as u64)?;
        Ok(body)
    }

    /// Checks the head of a response.
    fn accept(&self, response: reqwest::Response) -> Result<Response<reqwest::Body>, Failure> {
        let limits = &self.limits;
        check_size(response.headers(), limits, Code::HttpResponseHeaderSectionSize)?;
        if let Some(size) = response.content_length().filter(|size| *size > limits.response_size) {
            let code = Code::HttpResponseBodySize(Some(size));
            return Err(Failure::limit(code, limits::RESPONSE_SIZE, limits));
        }
        let (mut parts, body) = Response::<reqwest::Body>::from(response).into_parts();
        // The client keeps the URL and the address here; the connector needs neither.
        parts.extensions.clear();
        Ok(Response::from_parts(parts, body))
    }
}

/// Takes a request's URL apart. The origin is read from the authority alone, and the URL is put together again from the
/// parts that were checked: a request in absolute form, with another host in its path, cannot be made (GHSA-5qpp-g3j2-8frx).
pub(super) fn target(uri: &Uri, limits: &Limits) -> Result<(Origin, String, Option<String>), Failure> {
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
        return Err(Failure::limit(Code::HttpRequestUriTooLong, limits::URL_SIZE, limits));
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

/// What a failure of the network is, in words.
fn network_failure(code: &Code) -> &'static str {
    match code {
        Code::DnsError { .. } | Code::DnsTimeout => "the host name is not known",
        Code::ConnectionRefused => "the connection was refused",
        Code::ConnectionTerminated => "the connection was closed",
        Code::ConnectionTimeout | Code::HttpResponseTimeout | Code::ConnectionReadTimeout => "the time was up",
        Code::DestinationIpUnroutable | Code::DestinationUnavailable => "the address cannot be reached",
        Code::HttpResponseIncomplete => "the response broke off",
        Code::TlsCertificateError => "the certificate is not trusted",
        Code::TlsProtocolError => "TLS failed",
        _ => "the response is not HTTP",
    }
}

fn check_size(headers: &HeaderMap, limits: &Limits, code: fn(Option<u32>) -> Code) -> Result<(), Failure> {
    let size = headers::size(headers);
    if size <= limits.header_size {
        return Ok(());
    }
    Err(Failure::limit(code(u32::try_from(size).ok()), limits::HEADER_SIZE, limits))
}

/// The connector may ask for less time than the host gives, and not for more. No time at all would make every request fail
/// before it is sent, so that is not taken.
fn shorter(asked: Option<Duration>, cap: Duration) -> Duration {
    asked.filter(|asked| !asked.is_zero()).map_or(cap, |asked| asked.min(cap))
}
