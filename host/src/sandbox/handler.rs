//! `wasi:http`, where the library does something else than it should.

use super::store::StoreData;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::io::error::Error as IoError;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Host as _, RequestOptions};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{Error as Code, WasiHttpView};

/// The version of WASI that the library implements; the linker takes it for all that it is compatible with.
const INTERFACE: &str = "wasi:http/outgoing-handler@0.2.12";

/// What `handle` is given.
type Asked = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);

/// What it gives.
type Sent = (Result<Resource<HostFutureIncomingResponse>, ErrorCode>,);

/// Sends requests as the library does. The options of a request are the host's when it is sent, and the library only looks at
/// them: each request would leave one more handle behind, until the limit on them ends a run of very many.
pub(super) fn add_to_linker(linker: &mut Linker<StoreData>) -> wasmtime::Result<()> {
    let handle = |mut store: StoreContextMut<'_, StoreData>, (request, options): Asked| -> wasmtime::Result<Sent> {
        let mut http = store.data_mut().http();
        let left = options.as_ref().map(|options| Resource::<RequestOptions>::new_own(options.rep()));
        let response = http.handle(request, options);
        if let Some(left) = left {
            http.table.delete(left)?;
        }
        Ok((match response {
            Ok(response) => Ok(response),
            Err(error) => Err(http.convert_error_code(error)?),
        },))
    };
    linker.instance(INTERFACE)?.func_wrap("handle", handle)
}

/// The version of WASI of the interface with `http-error-code`.
const TYPES: &str = "wasi:http/types@0.2.12";

/// Says of an error in a body what it is. The library looks for an error of another type than the one that it keeps, and so finds none:
/// a connector would take a body that is too large for one that broke off, and ask for it again.
pub(super) fn add_error_code(linker: &mut Linker<StoreData>) -> wasmtime::Result<()> {
    let code = |mut store: StoreContextMut<'_, StoreData>,
                (error,): (Resource<IoError>,)|
     -> wasmtime::Result<(Option<ErrorCode>,)> {
        let http = store.data_mut().http();
        let error = http.table.get(&error)?.downcast_ref::<Code>();
        Ok((error.and_then(|error| match error {
            Code::HttpResponseBodySize(size) => Some(ErrorCode::HttpResponseBodySize(*size)),
            Code::HttpResponseTimeout => Some(ErrorCode::HttpResponseTimeout),
            Code::ConnectionReadTimeout => Some(ErrorCode::ConnectionReadTimeout),
            Code::ConnectionTerminated => Some(ErrorCode::ConnectionTerminated),
            Code::HttpProtocolError => Some(ErrorCode::HttpProtocolError),
            // A body that broke off: there is no more to say of it.
            _ => None,
        }),))
    };
    linker.instance(TYPES)?.func_wrap("http-error-code", code)
}
