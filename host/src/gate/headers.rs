//! Which headers belong to the host.

use http::HeaderMap;
use http::header::{self, HeaderName};
use spile_connector::auth::CREDENTIAL_HEADER;

/// Bytes that count for a header besides its name and value, as HTTP/2 has it (RFC 9113, section 6.5.2).
const OVERHEAD: usize = 32;

/// Headers that the gate takes off a request, because it sends its own or none.
const OWNED: [HeaderName; 2] = [header::HOST, header::CONTENT_LENGTH];

/// Whether a header is the host's alone: the connector can neither set it nor see it in a response.
///
/// These are the headers of the connection, those that change how a body is framed, and those that hold what a server gave
/// to a client (`set-cookie`). `authorization` and `cookie` are not among them: a configuration may set them, and a brokered
/// credential replaces them. Of the answer's headers `content-length` and `content-encoding` are left out where the host
/// decoded the body.
pub fn is_forbidden(name: &HeaderName) -> bool {
    wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS.contains(name)
        || matches!(name.as_str(), "set-cookie" | "set-cookie2" | "accept-encoding" | "expect" | "te" | "trailer")
}

/// Whether a credential may not be sent as this header.
pub(super) fn is_forbidden_for_credentials(name: &HeaderName) -> bool {
    is_forbidden(name) || OWNED.contains(name) || name.as_str() == CREDENTIAL_HEADER
}

/// Takes off what the host sets by itself.
pub(super) fn remove_owned(headers: &mut HeaderMap) {
    for name in OWNED {
        headers.remove(name);
    }
}

/// The size of headers in bytes.
pub(super) fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_are_the_hosts_and_those_of_an_api_are_not() {
        for name in
            ["host", "connection", "transfer-encoding", "accept-encoding", "set-cookie", "proxy-authorization", "te"]
        {
            assert!(is_forbidden(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["authorization", "cookie", "accept", "x-api-key", "user-agent", CREDENTIAL_HEADER] {
            assert!(!is_forbidden(&HeaderName::from_static(name)), "{name}");
        }
    }
}
