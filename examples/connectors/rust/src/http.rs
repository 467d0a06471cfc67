//! Requests, over wasi:http: one at a time. The host has limits on how long each may take.

use crate::bindings::wasi::clocks::wall_clock;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingResponse, OutgoingRequest, Scheme, http_error_code,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::contract::{Connection, defect, failure, pointer_to};
use crate::{Error, ErrorKind};
use http::Uri;
use jiff::fmt::rfc2822;

/// How often something is asked for before a run fails.
const ATTEMPTS: u32 = 5;

/// What a failure is, by the status of the answer.
fn kind_of(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Auth,
        403 => ErrorKind::Permission,
        429 => ErrorKind::RateLimited,
        500.. => ErrorKind::Transient,
        _ => ErrorKind::Upstream,
    }
}

/// Sends a GET request, and waits for the whole answer. Gives the body of one that is well.
pub fn get(url: &str, connection: &Connection) -> Result<Vec<u8>, Error> {
    let place = |error: Error| Error { url: Some(url.to_owned()), ..error };
    let response = send(url, connection).map_err(place)?;
    let status = response.status();
    let place = |error: Error| Error { status: Some(status), ..place(error) };
    if status != 200 {
        let retry_after = response.headers().get("retry-after").into_iter().next();
        let retry_after = retry_after.and_then(|value| wait_of(str::from_utf8(&value).ok()?, now()));
        let message = format!("the API answered with status {status}");
        return Err(place(Error { retry_after, ..failure(kind_of(status), message) }));
    }
    body_of(&response).map_err(place)
}

/// When to try again after so many attempts. Gives the failure where it does not pass, or was tried often enough.
pub fn retry_at(failed: Error, attempts: u32) -> Result<u64, Error> {
    if !matches!(failed.kind, ErrorKind::RateLimited | ErrorKind::Transient) || attempts >= ATTEMPTS {
        return Err(Error { attempts: Some(attempts), ..failed });
    }
    Ok(now().saturating_add(failed.retry_after.unwrap_or(500 << attempts)))
}

fn send(url: &str, connection: &Connection) -> Result<IncomingResponse, Error> {
    let unsent = |what: &str| failure(ErrorKind::Internal, format!("{what} cannot be sent"));
    let fields = Fields::new();
    for (name, value) in &connection.headers {
        fields
            .append(name, value.as_bytes())
            .map_err(|_| defect(&pointer_to("/client/headers", name), "this header cannot be sent"))?;
    }
    let uri: Uri = url.parse().map_err(|_| unsent("the URL"))?;
    let scheme = if uri.scheme_str() == Some("http") { Scheme::Http } else { Scheme::Https };
    let request = OutgoingRequest::new(fields);
    request.set_scheme(Some(&scheme)).map_err(|()| unsent("the scheme"))?;
    request.set_authority(uri.authority().map(|host| host.as_str())).map_err(|()| unsent("the host"))?;
    request.set_path_with_query(uri.path_and_query().map(|path| path.as_str())).map_err(|()| unsent("the path"))?;

    let future = outgoing_handler::handle(request, None).map_err(unanswered)?;
    future.subscribe().block();
    match future.get() {
        Some(Ok(response)) => response.map_err(unanswered),
        _ => Err(failure(ErrorKind::Internal, "the answer was taken before")),
    }
}

/// Why there is no answer, or not all of it.
fn unanswered(code: ErrorCode) -> Error {
    let kind = match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => ErrorKind::Permission,
        ErrorCode::HttpResponseBodySize(_) | ErrorCode::HttpResponseHeaderSectionSize(_) => ErrorKind::Limit,
        _ => ErrorKind::Transient,
    };
    failure(kind, format!("the request failed: {}", format!("{code:?}").replace("ErrorCode::", "")))
}

/// The body. What is declared first goes last: a host ends a component that gives back a response before its body.
fn body_of(response: &IncomingResponse) -> Result<Vec<u8>, Error> {
    let taken = |()| failure(ErrorKind::Internal, "the body was taken before");
    let body = response.consume().map_err(taken)?;
    let stream = body.stream().map_err(taken)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(part) => bytes.extend(part),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => {
                let broken_off = || failure(ErrorKind::Transient, "the answer broke off");
                return Err(http_error_code(&error).map_or_else(broken_off, unanswered));
            }
        }
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let now = wall_clock::now();
    now.seconds.saturating_mul(1000).saturating_add(u64::from(now.nanoseconds / 1_000_000))
}

/// How long the API asks to wait, in milliseconds. It says so in seconds, or by a date.
fn wait_of(text: &str, now: u64) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let until = rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    Some(u64::try_from(until).unwrap_or(0).saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_what_a_failure_is() {
        for (status, kind) in [
            (302, ErrorKind::Upstream),
            (401, ErrorKind::Auth),
            (403, ErrorKind::Permission),
            (404, ErrorKind::Upstream),
            (429, ErrorKind::RateLimited),
            (503, ErrorKind::Transient),
        ] {
            assert_eq!(kind_of(status), kind, "{status}");
        }
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_by_a_date() {
        for (text, wait) in [
            ("3", Some(3000)),
            ("99999999999999999999", None),
            ("Thu, 01 Jan 1970 00:00:07 GMT", Some(2000)),
            ("Thu, 01 Jan 1970 00:00:01 GMT", Some(0)),
            ("soon", None),
        ] {
            assert_eq!(wait_of(text, 5000), wait, "{text}");
        }
    }
}
