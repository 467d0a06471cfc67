//! Bodies of responses: their encodings, and those that are too large or broken.

use crate::server::{Server, get, ok, ok_with, read, send};
use crate::{gate, limited};
use http_body_util::BodyExt;
use spile_host::Class;
use std::io::Write as _;
use wasmtime_wasi_http::Error as Code;

#[tokio::test]
async fn bodies_are_decoded() {
    let text = "a text that repeats itself, ".repeat(200);
    let plain = text.clone();
    let server = Server::answering(move |request| {
        let encoding = request.split_whitespace().nth(1).unwrap().trim_start_matches('/').to_owned();
        ok_with(&format!("content-encoding: {encoding}\r\n"), &encode(&encoding, plain.as_bytes()))
    })
    .await;
    let gate = gate(&[server.origin()]);
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let response = send(&gate, get(&server.url(&format!("/{encoding}")))).await.unwrap();
        assert!(
            !response.headers().contains_key("content-encoding") && !response.headers().contains_key("content-length")
        );
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), text.as_bytes(), "{encoding}");
        let asked = server.requests().pop().unwrap();
        assert!(asked.lines().any(|line| line.starts_with("accept-encoding: ") && line.contains(encoding)), "{asked}");
    }
    for encodings in ["x-gzip", "GZIP", "gzip,br", "zstd,,deflate,identity,gzip", "br,zstd"] {
        let response = send(&gate, get(&server.url(&format!("/{encodings}")))).await.unwrap();
        assert!(
            !response.headers().contains_key("content-encoding") && !response.headers().contains_key("content-length")
        );
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), text.as_bytes(), "{encodings}");
    }
}

#[tokio::test]
async fn a_coding_that_nothing_knows_is_left_with_its_name() {
    let server = Server::answering(|_| ok_with("content-encoding: gzip, compress\r\n", b"?")).await;
    let response = send(&gate(&[server.origin()]), get(&server.url("/"))).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip, compress");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "?");
}

fn encode(encodings: &str, bytes: &[u8]) -> Vec<u8> {
    encodings.split(',').fold(bytes.to_vec(), |bytes, encoding| encoded(encoding, &bytes))
}

fn encoded(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding.to_lowercase().as_str() {
        "" | "identity" => out = bytes.to_vec(),
        "gzip" | "x-gzip" => flate2::write::GzEncoder::new(&mut out, Default::default()).write_all(bytes).unwrap(),
        "deflate" => flate2::write::ZlibEncoder::new(&mut out, Default::default()).write_all(bytes).unwrap(),
        "br" => brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(bytes).unwrap(),
        "zstd" => out = zstd::encode_all(bytes, 3).unwrap(),
        other => panic!("no encoding {other}"),
    }
    out
}

#[tokio::test]
async fn a_response_that_grows_beyond_the_limit_when_decoded_is_cut_off() {
    let bomb = encode("gzip", &vec![0; 8 << 20]);
    assert!(bomb.len() < 16 << 10);
    let server = Server::answering(move |_| ok_with("content-encoding: gzip\r\n", &bomb)).await;
    let gate = limited(&server, |limits| limits.response_size = 1 << 20);
    let code = read(&gate, &server.url("/")).await.unwrap_err();
    assert!(matches!(code, Code::HttpResponseBodySize(Some(size)) if size < 2 << 20), "{code:?}");
    let denial = gate.denial().unwrap();
    assert_eq!(
        (denial.class, denial.message.as_str()),
        (Class::Policy, "the limit on the size of a response was reached")
    );
    assert!(gate.counts().received < 2 << 20);
}

#[tokio::test]
async fn a_response_that_says_it_is_too_large_is_not_read() {
    let server = Server::answering(|_| ok(&[b'a'; 2000])).await;
    let gate = limited(&server, |limits| limits.response_size = 1000);
    let code = send(&gate, get(&server.url("/"))).await.unwrap_err();
    assert!(matches!(code, Code::HttpResponseBodySize(Some(2000))), "{code:?}");
}

#[tokio::test]
async fn a_truncated_body_is_an_error() {
    let zipped = encode("gzip", &b"a text that repeats itself, ".repeat(200));
    let server = Server::answering(move |request| match request.split_whitespace().nth(1).unwrap() {
        "/length" => b"HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 10\r\n\r\nshort".to_vec(),
        "/chunked" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n".to_vec(),
        // The framing is whole, and what it holds is not.
        _ => ok_with("content-encoding: gzip\r\n", &zipped[..zipped.len() - 12]),
    })
    .await;
    let gate = gate(&[server.origin()]);
    for path in ["/length", "/chunked", "/gzip"] {
        let code = read(&gate, &server.url(path)).await.unwrap_err();
        assert!(matches!(code, Code::HttpResponseIncomplete), "{path}: {code:?}");
    }
    assert!(gate.denial().is_none());
}

#[tokio::test]
async fn a_body_that_is_not_in_its_encoding_is_an_error() {
    let server = Server::answering(|request| {
        let encoding = request.split_whitespace().nth(1).unwrap().trim_start_matches('/');
        ok_with(&format!("content-encoding: {encoding}\r\n"), &[0xff; 100])
    })
    .await;
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip,br", "br,x-gzip"] {
        let code = read(&gate(&[server.origin()]), &server.url(&format!("/{encoding}"))).await.unwrap_err();
        assert!(matches!(code, Code::HttpResponseContentCoding(None)), "{encoding}: {code:?}");
    }
}
