//! Where wasmtime hands a request over to the gate.

use super::headers;
use super::sender::Gate;
use super::tape;
use http::uri::Scheme;
use http::{HeaderName, Request, Response};
use std::sync::Arc;
use wasmtime_wasi_http::p2::DEFAULT_OUTGOING_BODY_BUFFER_CHUNKS;
use wasmtime_wasi_http::{Error as Code, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

/// A future as wasmtime wants it.
pub(super) type Boxed<T> = Box<dyn Future<Output = T> + Send>;

/// How much of a body a connector hands over at once, in bytes. Requests that are never sent keep that in the host's memory.
const BODY_CHUNK: usize = 16 << 10;

impl WasiHttpHooks for Gate {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        headers::is_forbidden(name)
    }

    // Also to be overridden: trailers are filtered by this one (GHSA-jxcf-8qw5-5c33).
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(headers::is_forbidden)
    }

    // The client makes it from the URL.
    fn set_host_header(&mut self) -> bool {
        false
    }

    // A connector says which; it is part of the origin.
    fn default_scheme(&mut self) -> Option<Scheme> {
        None
    }

    // A connector that cannot be told how a body flows cannot depend on it.
    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        match self.tape() {
            Some(_) => tape::pieces(self.run.limits.request_size),
            None => DEFAULT_OUTGOING_BODY_BUFFER_CHUNKS,
        }
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        match self.tape() {
            Some(_) => tape::PIECE,
            None => BODY_CHUNK,
        }
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Boxed<Result<(), Code>>,
    ) -> Boxed<Result<(Response<WasiBody>, Boxed<Result<(), Code>>), Code>> {
        let (run, kept, options) = (self.run.clone(), self.kept().cloned(), options.unwrap_or_default());
        let response: Boxed<_> = match self.tape() {
            Some(tape) => tape::send(tape, run, request, options),
            None => Box::new(async move {
                run.clone().send(request, options, kept).await.map_err(|failure| run.remember(failure))
            }),
        };
        Box::new(async move { Ok((Box::into_pin(response).await?, Box::new(async { Ok(()) }) as Boxed<_>)) })
    }
}
