//! `wasi:http/outgoing-handler`, without what the library leaves behind.

use super::store::StoreData;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Host as _, RequestOptions};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};

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
