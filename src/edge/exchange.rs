//! What a request and its response are in both worlds of WASI: their parts, how long they may take, and how they fail.

use super::http::{self, ErrorCode, Fields, RequestOptions, Scheme};
use crate::engine::transport::Failure;
use crate::request::{Method, Request};

const SECOND: u64 = 1_000_000_000;

/// For a connection to be made, in nanoseconds.
const CONNECT_TIMEOUT: u64 = 30 * SECOND;

/// For the response to begin, and between two parts of it.
pub const SILENCE_TIMEOUT: u64 = 60 * SECOND;

/// For the whole exchange. Not every runtime honours the other two, so this one is kept here.
const TOTAL_TIMEOUT: u64 = 300 * SECOND;

/// A timeout of the configuration, which is in milliseconds; else the usual one.
fn nanoseconds(timeout: Option<u64>, usual: u64) -> u64 {
    timeout.map_or(usual, |timeout| timeout.saturating_mul(SECOND / 1000))
}

/// How long the whole exchange may take, in nanoseconds.
pub fn total_timeout(request: &Request) -> u64 {
    nanoseconds(request.timeouts.total, TOTAL_TIMEOUT)
}

/// How long the parts of the exchange may take.
pub fn options(request: &Request) -> RequestOptions {
    let options = RequestOptions::new();
    // A runtime that has no such timeout says so; the total one holds everywhere.
    let timeouts = &request.timeouts;
    let _ = options.set_connect_timeout(Some(nanoseconds(timeouts.connect, CONNECT_TIMEOUT)));
    let _ = options.set_first_byte_timeout(Some(nanoseconds(timeouts.first_byte, SILENCE_TIMEOUT)));
    let _ = options.set_between_bytes_timeout(Some(nanoseconds(timeouts.between_bytes, SILENCE_TIMEOUT)));
    options
}

/// That a request has a part which no request may have.
pub fn invalid(what: &str) -> Failure {
    Failure::Denied(format!("{what} cannot be sent"))
}

pub fn headers(request: &Request) -> Result<Fields, Failure> {
    let headers = Fields::new();
    for (name, value) in &request.headers {
        headers.append(name, value.as_bytes()).map_err(|_| invalid(&format!("the header `{name}`")))?;
    }
    if let Some(body) = &request.body {
        let length = body.len().to_string();
        headers.append("content-length", length.as_bytes()).map_err(|_| invalid("the length of the body"))?;
    }
    Ok(headers)
}

pub fn method(request: &Request) -> http::Method {
    match request.method {
        Method::Get => http::Method::Get,
        Method::Post => http::Method::Post,
        Method::Put => http::Method::Put,
        Method::Patch => http::Method::Patch,
    }
}

pub fn scheme(request: &Request) -> Scheme {
    if request.url.scheme() == "http" { Scheme::Http } else { Scheme::Https }
}

pub fn path(request: &Request) -> String {
    match request.url.query() {
        Some(query) => format!("{}?{query}", request.url.path()),
        None => request.url.path().to_owned(),
    }
}

/// The headers of a response, names in lower case.
pub fn read_headers(headers: Vec<(String, Vec<u8>)>) -> Vec<(String, String)> {
    let text = |(name, value): (String, Vec<u8>)| (name.to_lowercase(), String::from_utf8_lossy(&value).into_owned());
    headers.into_iter().map(text).collect()
}

pub fn failure(code: ErrorCode) -> Failure {
    match code {
        ErrorCode::HttpRequestDenied => Failure::Denied("it is not permitted".to_owned()),
        ErrorCode::DestinationIpProhibited => Failure::Denied("the address is not permitted".to_owned()),
        ErrorCode::DestinationIpUnroutable => Failure::Network("the address cannot be reached".to_owned()),
        ErrorCode::HttpResponseBodySize(_) | ErrorCode::HttpResponseHeaderSectionSize(_) => {
            Failure::TooLarge("more than the host permits".to_owned())
        }
        ErrorCode::HttpRequestUriInvalid => Failure::Denied("the URL is not valid".to_owned()),
        ErrorCode::DnsTimeout | ErrorCode::ConnectionTimeout | ErrorCode::HttpResponseTimeout => {
            Failure::Network("the time was up".to_owned())
        }
        ErrorCode::DnsError(_) => Failure::Network("the host name is not known".to_owned()),
        ErrorCode::ConnectionRefused => Failure::Network("the connection was refused".to_owned()),
        ErrorCode::ConnectionTerminated => Failure::Network("the connection was closed".to_owned()),
        ErrorCode::HttpResponseIncomplete => Failure::Network("the response broke off".to_owned()),
        ErrorCode::TlsCertificateError => Failure::Network("the certificate is not trusted".to_owned()),
        ErrorCode::ConfigurationError => Failure::Denied("the host is not configured for it".to_owned()),
        ErrorCode::InternalError(Some(text)) => Failure::Network(text),
        other => Failure::Network(format!("{other:?}")),
    }
}
