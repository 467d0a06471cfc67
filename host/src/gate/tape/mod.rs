//! The tape: what the world answered a connector, in a file, and the same run again from it.
//!
//! A connector is deterministic but for what its imports answer. A run with a tape therefore lets it ask the world through the tape
//! alone: requests (`send`), clocks, randomness, and which of the things that it waits for are ready
//! (`sandbox::clock`, `sandbox::poll`). A recorder notes each answer, a player gives it again.
//! Responses are taken in whole before the connector gets them, so that what it reads does not depend on when it reads.
//!
//! The file is HAR 1.2, which browsers and other tools open. It holds what the connector sent and got: no credentials, bodies
//! decoded, secrets taken out where an API sends them back. `docs/tape.md` shows its own fields.
//!
//! | file | what |
//! |---|---|
//! | `beginning` | what must be the same for a replay |
//! | `exchange` | a request and what came of it |
//! | `code` | why there was no response, as a text |
//! | `har` | an exchange as an entry of the format |
//! | `answer` | what the host answers other than with responses |
//! | `recorder` | writes a tape |
//! | `player` | answers from one |

mod answer;
mod beginning;
mod code;
mod exchange;
mod har;
mod player;
mod recorder;

use super::failure::Failure;
use super::headers;
use super::hooks::Boxed;
use super::redactor::Redactor;
use super::sender::{Run, target};
use crate::load::Repeats;
use crate::{Class, Error, Result};
use bytes::Bytes;
use exchange::{Answered, Asked, joined};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use player::Player;
use recorder::{Open, Recorder};
use std::path::Path;
use std::sync::Arc;
use tokio::time::{Instant, timeout};
use wasmtime_wasi_http::{Error as Code, RequestOptions, WasiBody};

pub(crate) use answer::{Answer, Given, IsReady, Monotonic, Polled, Random, Wall};
pub use beginning::{Beginning, Part};

/// How much of a request's body is taken in one piece. With [`pieces`] of them none is ever refused for want of room, which
/// would depend on who is faster.
pub(super) const PIECE: usize = 4096;

/// How many pieces the largest body of a request has.
pub(super) fn pieces(request_size: usize) -> usize {
    request_size.div_ceil(PIECE).saturating_add(1)
}

/// A tape, for one run. Clones are the same tape.
#[derive(Clone)]
pub struct Tape(Kind);

#[derive(Clone)]
enum Kind {
    Recorded(Arc<Recorder>),
    Played(Arc<Player>),
}

impl Tape {
    /// Records a run into this file, which is there once the run has ended, however it does.
    pub fn record(path: &Path) -> Result<Self> {
        Recorder::new(path).map(Arc::new).map(Kind::Recorded).map(Self)
    }

    /// Replays the run in this file.
    pub fn replay(path: &Path) -> Result<Self> {
        Player::read(path).map(Arc::new).map(Kind::Played).map(Self)
    }

    /// Whether a run is replayed.
    pub fn is_replay(&self) -> bool {
        matches!(self.0, Kind::Played(_))
    }

    /// How the loading of rows must begin, for a replay.
    pub fn repeats(&self) -> Option<Repeats> {
        match &self.0 {
            Kind::Recorded(_) => None,
            Kind::Played(player) => Some(player.repeats()),
        }
    }

    /// Fails where a replay would not do what the recorded run did, in one of these parts.
    pub fn check(&self, beginning: &Beginning) -> Result<()> {
        match &self.0 {
            Kind::Recorded(_) => Ok(()),
            Kind::Played(player) => player.check(beginning),
        }
    }

    /// To be called before the connector is. Fails where a replay does not begin as the recorded run did.
    pub fn begin(&self, beginning: &Beginning) -> Result<()> {
        match &self.0 {
            Kind::Recorded(recorder) => recorder.begin(beginning),
            Kind::Played(player) => player.begin(beginning),
        }
    }

    /// To be called after the connector's last call, with what came of it. Gives a warning, if there is cause for one.
    pub fn end(&self, outcome: Option<&Error>) -> Result<Option<Error>> {
        let (redacted, consequence) = match &self.0 {
            Kind::Recorded(recorder) => (recorder.end(outcome)?, "rows of a replay may differ there"),
            Kind::Played(player) => {
                player.end(outcome.is_none())?;
                (
                    player.redacted(),
                    "rows may differ there from those that were recorded, and were not held against them",
                )
            }
        };
        Ok((redacted > 0).then(|| {
            let message = format!("secrets that the API sent back were taken out of the tape: {consequence}");
            Error::new(Class::Source, message).fact("responses", redacted)
        }))
    }

    pub(super) fn redact(&self, redactor: &Redactor) {
        if let Kind::Recorded(recorder) = &self.0 {
            recorder.redact(redactor);
        }
    }

    /// The answer on the tape; none where it is to be asked for and noted.
    pub(crate) fn recorded<A: Answer>(&self) -> Result<Option<A>> {
        match &self.0 {
            Kind::Recorded(_) => Ok(None),
            Kind::Played(player) => player.answer().map(Some),
        }
    }

    /// Notes an answer that was asked for.
    pub(crate) fn note(&self, answer: &impl Answer) -> Result<()> {
        match &self.0 {
            Kind::Recorded(recorder) => recorder.note(answer),
            Kind::Played(_) => Ok(()),
        }
    }

    /// The answer on the tape, or else this one, which is noted.
    pub(crate) fn answer<A: Answer>(&self, live: impl FnOnce() -> wasmtime::Result<A>) -> wasmtime::Result<A> {
        if let Some(answer) = self.recorded()? {
            return Ok(answer);
        }
        let answer = live()?;
        self.note(&answer)?;
        Ok(answer)
    }

    /// What a call of the connector gave. Fails where it gave something else when it was recorded.
    pub(crate) fn given(&self, given: String) -> Result<()> {
        match &self.0 {
            Kind::Recorded(recorder) => recorder.note(&Given(given)),
            Kind::Played(player) => player.given(&player.answer::<Given>()?.0, &given),
        }
    }

    /// The connector goes another way than on the tape.
    pub(crate) fn astray(&self) -> Error {
        match &self.0 {
            Kind::Recorded(_) => Error::new(Class::Internal, "the tape is out of step"),
            Kind::Played(player) => player.astray(),
        }
    }
}

/// A tape that is used again.
fn one_run() -> Error {
    Error::new(Class::Internal, "a tape is of one run, and was used for another one")
}

/// Sends a request past the tape. To be called in the order in which the connector sends them.
pub(super) fn send(
    tape: &Tape,
    run: Arc<Run>,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> Boxed<Result<Response<WasiBody>, Code>> {
    let (parts, body) = request.into_parts();
    let mut asked = Asked::new(&parts);
    headers::remove_owned(&mut asked.headers);
    match &tape.0 {
        Kind::Recorded(recorder) => {
            let (recorder, order) = (recorder.clone(), recorder.asked(asked));
            Box::new(async move {
                let open = Open { recorder: &recorder, order };
                let started = Instant::now();
                let mut answered = match whole(body, &run).await {
                    Ok(body) => {
                        recorder.sent(order, body.clone());
                        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
                        ask(&run, Request::from_parts(parts, body), options, started).await
                    }
                    Err(code) => Answered::failed(&code, None),
                };
                answered.until_end = started.elapsed();
                answered.until_head = answered.until_head.min(answered.until_end);
                recorder.answered(order, &answered);
                drop(open);
                answered.into_response()
            })
        }
        Kind::Played(player) => {
            let player = player.clone();
            let origin = target(&parts.uri, &run.limits).and_then(|(origin, ..)| match run.policy().allows(&origin) {
                true => Ok(()),
                false => Err(Failure::origin_not_allowed(&origin)),
            });
            let order = player.asked(&asked);
            Box::new(async move {
                // What goes wrong here the player keeps: the run ends with it at the next step of the connector.
                let gone_astray = |_: Error| Code::HttpRequestDenied;
                let order = order.map_err(gone_astray)?;
                let body = whole(body, &run).await;
                origin.map_err(|failure| run.remember(failure))?;
                if let Ok(body) = &body {
                    player.sent(order, &asked, body).map_err(gone_astray)?;
                }
                let answered = player.answered(order).map_err(gone_astray)?;
                if let Some(denial) = answered.broken.as_ref().and_then(|broken| broken.denial.as_ref()) {
                    run.remember(Failure::denied(Code::HttpRequestDenied, denial.error()));
                }
                answered.into_response()
            })
        }
    }
}

/// Sends a request, and takes in the whole response.
async fn ask(run: &Arc<Run>, request: Request<WasiBody>, options: RequestOptions, started: Instant) -> Answered {
    let sent = run.clone().send(request, options, None).await;
    let until_head = started.elapsed();
    let answered = match sent {
        Ok(response) => Answered::collect(response, run).await,
        Err(failure) => {
            let denial = failure.denial.clone();
            Answered::failed(&run.remember(failure), denial.as_deref())
        }
    };
    Answered { until_head, ..answered }
}

/// The whole body of a request. Of one that is too large, more than is permitted, and no more; but it is read to its end, since the
/// connector would see when nobody reads any more.
async fn whole(mut body: WasiBody, run: &Run) -> Result<Bytes, Code> {
    let most = run.limits.request_size;
    let read = async {
        let (mut pieces, mut size) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame?.into_data()
                && size <= most
            {
                size += piece.len();
                pieces.push(piece);
            }
        }
        Ok(joined(pieces))
    };
    match timeout(run.limits.total_timeout, read).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err::<_, Code>(_)) => Err(Code::HttpRequestBodySize(None)),
        Err(_elapsed) => Err(Code::ConnectionWriteTimeout),
    }
}
