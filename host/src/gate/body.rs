//! The body of a response, on its way to the connector.

use super::echo::Echo;
use super::failure::Failure;
use super::kept::Keeping;
use super::sender::Run;
use crate::limits::{RECEIVED, RESPONSE_SIZE};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::Error as Code;

/// A decoded body that ends in an error when it grows too large, stalls, or is cut off.
///
/// Time counts only while the connector waits: one that reads late, because the database is slow, finds what has arrived.
pub(super) struct CappedBody {
    /// Gone after the end or an error, and with it the connection.
    inner: Option<Inner>,
    size: u64,
    run: Arc<Run>,
    /// The longest time between two pieces.
    pause: Duration,
    deadline: Instant,
    /// Masks the secrets that the response holds.
    echo: Echo,
    /// Takes in what the connector gets, where that is kept.
    keeping: Option<Keeping>,
}

struct Inner {
    body: reqwest::Body,
    /// Runs while the connector waits for the next piece.
    timer: Option<Pin<Box<Sleep>>>,
    /// The place among the requests in flight.
    _permit: OwnedSemaphorePermit,
}

impl CappedBody {
    pub fn new(
        body: reqwest::Body,
        run: Arc<Run>,
        pause: Duration,
        deadline: Instant,
        permit: OwnedSemaphorePermit,
        echo: Echo,
        keeping: Option<Keeping>,
    ) -> Self {
        let inner = Some(Inner { body, timer: None, _permit: permit });
        Self { inner, size: 0, run, pause, deadline, echo, keeping }
    }

    /// Keeps a piece that the connector gets.
    fn keep(&mut self, piece: &Bytes) {
        self.keeping.take_if(|keeping| !keeping.push(piece));
    }

    /// Counts a piece against the limits.
    fn count(&mut self, piece: usize) -> Result<(), Failure> {
        let (piece, limits) = (piece as u64, &self.run.limits);
        self.size += piece;
        let received = self.run.count_received(piece);
        if self.size > limits.response_size {
            let code = Code::HttpResponseBodySize(Some(self.size));
            return Err(Failure::limit(code, RESPONSE_SIZE, limits));
        }
        if received > limits.received {
            let code = Code::HttpResponseBodySize(Some(self.size));
            return Err(Failure::limit(code, RECEIVED, limits));
        }
        Ok(())
    }
}

impl Inner {
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        pause: Duration,
        deadline: Instant,
    ) -> Poll<Option<Result<Bytes, Code>>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Failure::of_body(&error)))),
                Poll::Ready(Some(Ok(frame))) => {
                    self.timer = None;
                    // Trailers are no use to a connector, and would need the checks of headers.
                    if let Ok(piece) = frame.into_data() {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                }
                Poll::Pending => {
                    let timer =
                        self.timer.get_or_insert_with(|| Box::pin(sleep_until((Instant::now() + pause).min(deadline))));
                    ready!(timer.as_mut().poll(cx));
                    let total = Instant::now() >= deadline;
                    let code = if total { Code::HttpResponseTimeout } else { Code::ConnectionReadTimeout };
                    return Poll::Ready(Some(Err(code)));
                }
            }
        }
    }
}

impl Body for CappedBody {
    type Data = Bytes;
    type Error = Code;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Code>>> {
        let (pause, deadline) = (self.pause, self.deadline);
        loop {
            let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
            let piece = match ready!(inner.poll_piece(cx, pause, deadline)) {
                None => {
                    let rest = self.echo.finish();
                    self.keep(&rest);
                    if let Some(keeping) = self.keeping.take() {
                        keeping.finish();
                    }
                    self.inner = None;
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
                }
                Some(Err(code)) => Err(code),
                Some(Ok(piece)) => match self.count(piece.len()) {
                    Ok(()) => match self.echo.push(piece) {
                        held if held.is_empty() => continue,
                        piece => {
                            self.keep(&piece);
                            Ok(Frame::data(piece))
                        }
                    },
                    Err(failure) => Err(self.run.remember(failure)),
                },
            };
            if piece.is_err() {
                (self.inner, self.keeping) = (None, None);
            }
            return Poll::Ready(Some(piece));
        }
    }
}
