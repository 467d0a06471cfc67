//! Why a request gave no response: what the connector is told, and what a person is told.

use super::address;
use super::client::Refused;
use super::origin::Origin;
use crate::limits::{self, Limit, Limits};
use crate::{Class, Error};
use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;
use wasmtime_wasi_http::Error as Code;

/// A request that gave no response.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the connector is told.
    pub code: Code,
    /// What a person is told, where the gate itself said no.
    pub denial: Option<Box<Error>>,
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self { code, denial: None }
    }
}

impl Failure {
    /// The gate says no, and why.
    pub fn denied(code: Code, error: Error) -> Self {
        Self { code, denial: Some(Box::new(error)) }
    }

    /// The request, or its response, breaches a limit.
    pub fn limit(code: Code, limit: Limit, limits: &Limits) -> Self {
        Self::denied(code, limit.reached(limits))
    }

    /// The request itself is not one that the gate lets through.
    pub fn malformed(code: Code, message: &str) -> Self {
        Self::denied(code, Error::new(Class::Policy, message))
    }

    /// The policy does not name the origin.
    pub fn origin_not_allowed(origin: &Origin) -> Self {
        let error = Error::new(Class::Policy, "the connector may not send a request to this origin")
            .fact("origin", origin)
            .advice("only origins that the configuration writes out in `base_url` or a `path` are reached");
        Self::denied(Code::HttpRequestDenied, error)
    }

    /// The operator's list does not hold the origin.
    pub fn origin_not_permitted(origin: &Origin) -> Self {
        let error = Error::new(Class::Policy, "the policy does not permit requests to this origin")
            .fact("origin", origin)
            .advice("add it to `origins` of the policy, if the source may go there");
        Self::denied(Code::HttpRequestDenied, error)
    }

    /// The credential may not go there.
    pub fn credential_not_bound(origin: &Origin, pointer: &str) -> Self {
        let error = Error::new(Class::Policy, "the connector may not send this credential to this origin")
            .fact("origin", origin)
            .at(pointer);
        Self::denied(Code::HttpRequestDenied, error)
    }

    /// The secret may not go there.
    pub fn slot_not_bound(origin: &Origin, name: &str) -> Self {
        let error = Error::new(Class::Policy, "the connector may not send this secret to this origin")
            .fact("origin", origin)
            .fact("secret", name)
            .advice("a secret is sent only to the origins of the resources whose headers, parameters or body name it");
        Self::denied(Code::HttpRequestDenied, error)
    }

    /// The secret has a character that no header can hold.
    pub fn slot_not_for_header(name: &str) -> Self {
        let error = Error::new(Class::Auth, "the secret has a character that its header cannot hold")
            .fact("secret", name)
            .advice("look for a line break or a character that is not ASCII in it");
        Self::denied(Code::HttpRequestDenied, error)
    }

    /// The origin has an address that the operator did not allow.
    pub fn address_refused(origin: &Origin, address: IpAddr, network: &str) -> Self {
        let error = Error::new(Class::Policy, "the connector may not reach this address")
            .fact("origin", origin)
            .fact("address", format_args!("{address} ({network})"))
            .advice(format!("allow it with --allow-private {origin}"));
        Self::denied(Code::DestinationIpProhibited, error)
    }

    /// Sorts what the HTTP client says. Nothing of its text is kept, because that may hold the URL and with it a key.
    pub fn of_client(error: &reqwest::Error, origin: &Origin, limits: &Limits) -> Self {
        if let Some(refused) = cause::<Refused>(error) {
            return Self::address_refused(origin, refused.address, refused.network);
        }
        let tls = cause::<rustls::Error>(error);
        let io = cause::<io::Error>(error).map(io::Error::kind);
        let hyper = cause::<hyper::Error>(error);
        let code = if error.is_timeout() {
            if error.is_connect() { Code::ConnectionTimeout } else { Code::HttpResponseTimeout }
        } else if error.is_dns() {
            Code::DnsError { rcode: None, info_code: None }
        } else if let Some(tls) = tls {
            match tls {
                rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                    Code::TlsCertificateError
                }
                _ => Code::TlsProtocolError,
            }
        } else if error.is_connect() {
            match io {
                Some(io::ErrorKind::ConnectionRefused) => Code::ConnectionRefused,
                Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                    Code::DestinationIpUnroutable
                }
                _ => Code::DestinationUnavailable,
            }
        } else if hyper.is_some_and(hyper::Error::is_parse_too_large) {
            return Self::limit(Code::HttpResponseHeaderSectionSize(None), limits::HEADER_SIZE, limits);
        } else if hyper.is_some_and(hyper::Error::is_incomplete_message)
            || matches!(io, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe))
        {
            Code::ConnectionTerminated
        } else {
            Code::HttpProtocolError
        };
        code.into()
    }

    /// Sorts what the HTTP client says about the body of a response. A decoder says that input is missing in the same way
    /// whether the connection broke or the server sent half of it.
    pub fn of_body(error: &reqwest::Error) -> Code {
        let of_connection = cause::<hyper::Error>(error).is_some();
        match cause::<io::Error>(error).map(io::Error::kind) {
            _ if error.is_timeout() => Code::HttpResponseTimeout,
            Some(io::ErrorKind::UnexpectedEof) | None => Code::HttpResponseIncomplete,
            Some(_) if of_connection => Code::HttpResponseIncomplete,
            Some(_) => Code::HttpResponseContentCoding(None),
        }
    }
}

/// Refuses an origin whose host is an address in place of a name, where that address is refused.
pub(super) fn check_literal(origin: &Origin) -> Result<(), Failure> {
    match origin.address().and_then(|address| Some((address, address::refusal(address)?))) {
        Some((address, network)) => Err(Failure::address_refused(origin, address, network)),
        None => Ok(()),
    }
}

/// The cause of this type, however deep it lies.
fn cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // An `io::Error` does not name the error it carries as its source, but that one's source.
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match carried {
            Some(carried) => Some(carried as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}
