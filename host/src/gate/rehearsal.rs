//! Answers that stand in for an API: what it answered before, or one failure to every request.
//!
//! [`crate::verify`] learns the answers of one reading, and then asks the connector for more of them than anyone would ask an API for.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// A response, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it was sent.
    pub body: Bytes,
}

/// What a request asks for: its headers are left out, since credentials and clocks change them.
type Asked = (Method, Url, Bytes);

/// What the API answered. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    answers: Arc<Mutex<HashMap<Asked, Answer>>>,
}

/// Where answers come from.
#[derive(Clone, Debug)]
pub enum Rehearsal {
    /// From the API; they are learned.
    Learning(Learned),
    /// From what was learned, and from the API where nothing was: a reading that begins elsewhere may ask for an empty page more.
    Knowing(Learned),
    /// All are this one.
    Same(Answer),
}

impl Rehearsal {
    /// The answer to a request, where it does not come from the API.
    pub(super) fn answer(&self, request: &reqwest::Request) -> Option<reqwest::Response> {
        match self {
            Self::Learning(_) => None,
            Self::Same(answer) => Some(answer.clone().into()),
            Self::Knowing(learned) => {
                let answers = learned.answers.lock().unwrap_or_else(PoisonError::into_inner);
                answers.get(&asked(request)).cloned().map(Into::into)
            }
        }
    }

    /// Learns the answer to a request, which is read whole.
    pub(super) async fn learn(
        &self,
        asked: Option<Asked>,
        response: reqwest::Response,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let (Self::Learning(learned) | Self::Knowing(learned), Some(asked)) = (self, asked) else {
            return Ok(response);
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = Answer { status, headers, body: response.bytes().await? };
        // Of a request that is repeated after a failure the last answer counts.
        learned.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(asked, answer.clone());
        Ok(answer.into())
    }

    /// What there is to learn of a request.
    pub(super) fn asked(&self, request: &reqwest::Request) -> Option<Asked> {
        (!matches!(self, Self::Same(_))).then(|| asked(request))
    }
}

fn asked(request: &reqwest::Request) -> Asked {
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    (request.method().clone(), request.url().clone(), Bytes::copy_from_slice(body))
}

impl From<Answer> for reqwest::Response {
    fn from(answer: Answer) -> Self {
        let mut response = http::Response::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response.into()
    }
}
