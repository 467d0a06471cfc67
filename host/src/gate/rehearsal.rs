//! Answers that stand in for an API: what it answered before, or one failure to every request.
//!
//! [`crate::verify`] learns the answers of one reading, and then asks the connector for more of them than anyone would ask an API for.
//! Requests for tokens are the host's own, and none of this.

use super::failure::Failure;
use crate::limits::{Limits, RESPONSE_SIZE};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, request};
use http_body_util::{BodyExt, Limited};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::Error as Code;

/// A response, whole.
#[derive(Clone)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What a connector asks for, as a digest: before credentials are put on it.
pub(super) type Asked = [u8; 32];

/// What the API answered. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Learned(Arc<Mutex<HashMap<Asked, Answer>>>);

/// Where answers come from.
#[derive(Clone)]
pub(crate) enum Rehearsal {
    /// From the API; they are learned.
    Learning(Learned),
    /// From what was learned, and from the API where nothing was: a reading that begins elsewhere may ask for an empty page more.
    Knowing(Learned),
    /// All are this one.
    Same(Answer),
}

impl Rehearsal {
    /// What is asked for by a request of the connector, but for its body.
    pub(super) fn head(parts: &request::Parts) -> Sha256 {
        let mut head = Sha256::new_with_prefix(format!("{} {}", parts.method, parts.uri));
        for (name, value) in &parts.headers {
            for part in [name.as_str().as_bytes(), value.as_bytes()] {
                head.update(part.len().to_le_bytes());
                head.update(part);
            }
        }
        head
    }

    /// The answer to a request, where it does not come from the API.
    pub(super) fn answer(&self, asked: &Asked) -> Option<reqwest::Response> {
        match self {
            Self::Learning(_) => None,
            Self::Same(answer) => Some(answer.clone().into()),
            Self::Knowing(learned) => {
                let answers = learned.0.lock().unwrap_or_else(PoisonError::into_inner);
                answers.get(asked).cloned().map(Into::into)
            }
        }
    }

    /// Learns the answer to a request, which is read whole, within the limits.
    pub(super) async fn learn(
        &self,
        asked: Asked,
        response: reqwest::Response,
        deadline: Instant,
        limits: &Limits,
    ) -> Result<reqwest::Response, Failure> {
        let (Self::Learning(learned) | Self::Knowing(learned)) = self else { return Ok(response) };
        let (parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        let most = usize::try_from(limits.response_size).unwrap_or(usize::MAX);
        let body = match timeout_at(deadline, Limited::new(body, most).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                return Err(Failure::limit(Code::HttpResponseBodySize(None), RESPONSE_SIZE, limits));
            }
            Ok(Err(_)) => return Err(Code::HttpResponseIncomplete.into()),
            Err(_) => return Err(Code::HttpResponseTimeout.into()),
        };
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        // Of a request that is repeated after a failure the last answer counts.
        learned.0.lock().unwrap_or_else(PoisonError::into_inner).insert(asked, answer.clone());
        Ok(answer.into())
    }
}

impl From<Answer> for reqwest::Response {
    fn from(answer: Answer) -> Self {
        let mut response = http::Response::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response.into()
    }
}
