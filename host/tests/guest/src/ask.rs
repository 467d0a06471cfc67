//! A request as a script tells it, however odd, and what came of it.

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    self, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::script::{list, optional, text};
use serde_json::Value;

/// The response: its status, its headers in brackets, and its body. Or what refused the request, and where.
pub fn outcome(told: &Value) -> String {
    sent(told).unwrap_or_else(|refused| refused)
}

fn sent(told: &Value) -> Result<String, String> {
    let headers = Fields::new();
    for header in list(&told["headers"]) {
        let (name, value) = (text(&header[0], 0), text(&header[1], 0));
        headers.append(&name, value.as_bytes()).map_err(|error| format!("header refused: {error:?}"))?;
    }
    let request = OutgoingRequest::new(headers);
    let method = match told["method"].as_str() {
        None | Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        Some("CONNECT") => Method::Connect,
        Some("TRACE") => Method::Trace,
        Some(other) => Method::Other(other.to_owned()),
    };
    request.set_method(&method).map_err(|()| "method refused")?;
    let scheme = match told["scheme"].as_str() {
        None | Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        Some(other) => Scheme::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme refused")?;
    let authority = optional(&told["authority"], 0);
    request.set_authority(authority.as_deref()).map_err(|()| "authority refused")?;
    let path = optional(&told["path"], 0).unwrap_or_else(|| "/".to_owned());
    request.set_path_with_query(Some(&path)).map_err(|()| "path refused")?;
    let body = request.body().map_err(|()| "body refused")?;
    let response = outgoing_handler::handle(request, None).map_err(|code| format!("code: {code:?}"))?;
    if let Some(text) = optional(&told["body"], 0) {
        let stream = body.write().map_err(|()| "no stream")?;
        for piece in text.as_bytes().chunks(4096) {
            stream.blocking_write_and_flush(piece).map_err(|error| format!("body refused: {error:?}"))?;
        }
        drop(stream);
    }
    OutgoingBody::finish(body, None).map_err(|code| format!("code: {code:?}"))?;
    response.subscribe().block();
    let response = response.get().unwrap().unwrap().map_err(|code| format!("code: {code:?}"))?;
    let entries = response.headers().entries();
    let headers: Vec<String> =
        entries.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect();
    let body = whole(&response).map_err(|why| format!("body broke off: {why}"))?;
    Ok(format!("{} [{}] {body}", response.status(), headers.join("; ")))
}

/// The body of a response as text, or why it broke off.
pub fn whole(response: &IncomingResponse) -> Result<String, String> {
    let body = response.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(StreamError::LastOperationFailed(error)) => {
                let code = types::http_error_code(&error).map(|code| format!("code: {code:?}"));
                return Err(code.unwrap_or_else(|| error.to_debug_string()));
            }
        }
    }
}
