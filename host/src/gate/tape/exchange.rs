//! A request of the connector, and what came of it.

use super::code;
use crate::gate::{headers, sender};
use crate::{Class, Error};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, request};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use spile_connector::auth::CREDENTIAL_HEADER;
use std::time::Duration;
use wasmtime_wasi_http::{Error as Code, WasiBody};

/// The reason why a request gave no response where the connector did not wait for it. No connector ever hears it.
pub(super) const DROPPED: &str = "Dropped";

/// A request, as the connector sent it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub started: Timestamp,
    pub method: String,
    pub url: String,
    /// Without the host's own.
    pub headers: HeaderMap,
    /// The credential that it asks for, which is the pointer of its `auth` object.
    pub credential: Option<String>,
    /// None until it is known.
    pub body: Option<Bytes>,
}

impl Asked {
    pub fn new(parts: &request::Parts) -> Self {
        let mut headers = parts.headers.clone();
        let credential = headers.remove(CREDENTIAL_HEADER);
        Self {
            started: Timestamp::now(),
            method: parts.method.to_string(),
            url: parts.uri.to_string(),
            headers,
            credential: credential.and_then(|value| Some(value.to_str().ok()?.to_owned())),
            body: None,
        }
    }
}

/// What came of a request, and how long it took.
#[derive(Clone, Debug, Default)]
pub(super) struct Answered {
    /// None where there was no response.
    pub head: Option<Head>,
    /// As much as came.
    pub body: Bytes,
    /// Why there is no response, or no more of its body.
    pub broken: Option<Broken>,
    pub until_head: Duration,
    pub until_end: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct Head {
    pub status: StatusCode,
    pub version: Version,
    /// Without the host's own.
    pub headers: HeaderMap,
    /// The number of the token that the request was signed with.
    pub credential: Option<HeaderValue>,
}

/// Why something is missing.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    /// See [`code`].
    pub code: String,
    /// What the gate denied.
    pub denial: Option<Denial>,
}

/// What a person is told of a denial.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Denial {
    pub class: String,
    pub message: String,
    pub advice: Option<String>,
    pub pointer: Option<String>,
}

impl Answered {
    pub fn failed(code: &Code, denial: Option<&Error>) -> Self {
        Self { broken: Some(Broken::new(code, denial)), ..Self::default() }
    }

    /// Nobody waited for it.
    pub fn dropped() -> Self {
        let broken = Broken { code: DROPPED.to_owned(), denial: None };
        Self { broken: Some(broken), ..Self::default() }
    }

    /// Takes in a whole response.
    pub async fn collect(response: Response<WasiBody>, run: &sender::Run) -> Self {
        let (mut parts, mut body) = response.into_parts();
        let credential = parts.headers.remove(CREDENTIAL_HEADER);
        // The connector would not see these either.
        let hidden: Vec<_> = parts.headers.keys().filter(|name| headers::is_forbidden(name)).cloned().collect();
        for name in hidden {
            parts.headers.remove(name);
        }
        let head = Head { status: parts.status, version: parts.version, headers: parts.headers, credential };
        let mut pieces = Vec::new();
        let mut broken = None;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => pieces.extend(frame.into_data().ok()),
                Err(code) => {
                    let denial = matches!(code, Code::HttpResponseBodySize(_)).then(|| run.denial()).flatten();
                    broken = Some(Broken::new(&code, denial.as_ref()));
                    break;
                }
            }
        }
        Self { head: Some(head), body: joined(pieces), broken, ..Self::default() }
    }

    /// What the connector gets: exactly what a tape can hold, whether it is recorded or replayed.
    pub fn into_response(self) -> Result<Response<WasiBody>, Code> {
        let code = self.broken.map(|broken| code::parse(&broken.code));
        let Some(head) = self.head else { return Err(code.unwrap_or(Code::HttpProtocolError)) };
        let data = (!self.body.is_empty()).then(|| Ok(Frame::data(self.body)));
        let frames: Vec<_> = data.into_iter().chain(code.map(Err)).collect();
        let mut response = Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync());
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        if let Some(credential) = head.credential {
            response.headers_mut().insert(CREDENTIAL_HEADER, credential);
        }
        Ok(response)
    }
}

impl Broken {
    fn new(code: &Code, denial: Option<&Error>) -> Self {
        let denial = denial.map(|error| Denial {
            class: format!("{:?}", error.class),
            message: error.to_string(),
            advice: error.advice.clone(),
            pointer: error.pointer.clone(),
        });
        Self { code: code::text(code), denial }
    }
}

impl Denial {
    pub fn error(&self) -> Error {
        let class = if self.class == "Auth" { Class::Auth } else { Class::Policy };
        let error = Error::new(class, &self.message);
        Error { advice: self.advice.clone(), pointer: self.pointer.clone(), ..error }
    }
}

/// A body that is known whole.
pub(super) fn joined(pieces: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(pieces) {
        Ok([whole]) => whole,
        Err(pieces) => pieces.concat().into(),
    }
}
