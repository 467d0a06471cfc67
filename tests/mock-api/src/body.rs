//! A response body that may break off.

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body in one piece.
pub(crate) struct Body {
    data: Option<Bytes>,
    end: End,
}

/// How a body ends.
#[derive(Clone, Copy)]
enum End {
    /// After its last byte.
    Whole,
    /// Breaks off, once the bytes before are on their way.
    Flush,
    /// Breaks off now: hyper closes the connection (HTTP/1.1) or resets the stream (HTTP/2).
    Break,
}

impl Body {
    /// All of these bytes.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { data: Some(bytes.into()), end: End::Whole }
    }

    /// The first half of these bytes.
    pub(crate) fn broken(bytes: Vec<u8>) -> Self {
        let half = bytes.len() / 2;
        Self { data: Some(Bytes::from(bytes).slice(..half)), end: End::Flush }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.end {
            End::Whole => Poll::Ready(None),
            End::Flush => {
                // hyper writes what it has when a body is pending, and forgets it when a body fails.
                self.end = End::Break;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            End::Break => Poll::Ready(Some(Err(io::Error::other("broken off on request")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && matches!(self.end, End::Whole)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.data, self.end) {
            (Some(data), End::Whole) => SizeHint::with_exact(data.len() as u64),
            (None, End::Whole) => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}
