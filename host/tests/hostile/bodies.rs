//! Bodies and headers that grow, end too early, or never.

use crate::scripted::{Case, Kind, Place, alive};
use crate::server::{Answer, Server, gate, ok_with, read};
use serde_json::json;
use spile_host::Class;
use spile_host::limits::Limits;
use std::io::Write as _;
use std::time::{Duration, Instant};
use wasmtime_wasi_http::Error as Code;

fn limits() -> Limits {
    Limits {
        header_size: 16 << 10,
        response_size: 1 << 20,
        first_byte_timeout: Duration::from_millis(300),
        between_bytes_timeout: Duration::from_millis(300),
        total_timeout: Duration::from_millis(600),
        ..Limits::default()
    }
}

fn encoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        "gzip" => {
            flate2::write::GzEncoder::new(&mut out, flate2::Compression::best()).write_all(bytes).unwrap();
        }
        "deflate" => {
            flate2::write::ZlibEncoder::new(&mut out, flate2::Compression::best()).write_all(bytes).unwrap();
        }
        "br" => brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(bytes).unwrap(),
        "zstd" => out = zstd::encode_all(bytes, 3).unwrap(),
        other => panic!("no coding {other}"),
    }
    out
}

/// The codings one after the other.
fn stacked(codings: &str, bytes: &[u8]) -> Vec<u8> {
    codings.split(", ").fold(bytes.to_vec(), |bytes, coding| encoded(coding, &bytes))
}

#[tokio::test]
async fn bombs_are_cut_off_in_every_coding() {
    for codings in
        ["gzip", "deflate", "br", "zstd", "gzip, gzip", "zstd, br", "br, deflate, gzip", "gzip, gzip, gzip, gzip"]
    {
        let bomb = stacked(codings, &vec![0; 32 << 20]);
        assert!(bomb.len() < 64 << 10, "{codings}: {}", bomb.len());
        let whole = ok_with(&format!("content-encoding: {codings}\r\n"), &bomb);
        let server = Server::of(whole).await;
        let gate = gate(&server, limits());
        let code = read(&gate, &server.url("/")).await.unwrap_err();
        assert!(matches!(code, Code::HttpResponseBodySize(_)), "{codings}: {code:?}");
        let denial = gate.denial().unwrap();
        assert_eq!((denial.class, denial.limit), (Class::Policy, Some("response_size")), "{codings}");
        assert!(gate.counts().received <= 2 << 20, "{codings}: {}", gate.counts().received);
    }
}

/// Regression: what comes to nothing was never counted. A few hundred bytes held a thousand million empty parts, and nothing else on the
/// thread had its turn while they were gone through.
#[tokio::test]
async fn codings_that_come_to_nothing_take_no_time_from_others() {
    let nothing = encoded("gzip", b"").repeat(10_000_000);
    for codings in ["gzip, gzip", "gzip, gzip, gzip"] {
        let (_, outer) = codings.split_once(", ").unwrap();
        let bomb = stacked(outer, &nothing);
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());
        let server = Server::of(ok_with(&format!("content-encoding: {codings}\r\n"), &bomb)).await;
        let gate = gate(&server, Limits { total_timeout: Duration::from_secs(60), ..limits() });
        let began = Instant::now();
        let code = read(&gate, &server.url("/")).await.unwrap_err();
        assert!(matches!(code, Code::HttpResponseContentCoding(None)), "{code:?}");
        println!("{codings}: {:?}", began.elapsed());
        assert_eq!(gate.counts().received, 0);
    }
}

#[tokio::test]
async fn a_body_that_drips_or_never_ends_is_given_up() {
    let head = || b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let chunked = || b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let short = Duration::from_millis(20);
    for (name, first, more, pause) in [
        ("in time", head(), b"x".to_vec(), short),
        ("in chunks", chunked(), b"1\r\nx\r\n".to_vec(), short),
        ("in an extension of a chunk", chunked(), b"1;xxxxxxxxxxxxxxxxx".to_vec(), short),
        ("with nothing in it", encoded_head(), encoded("gzip", b""), short),
    ] {
        let server = Server::start(move |_, _| Answer::Drip(first.clone(), more.clone(), pause)).await;
        let gate = gate(&server, limits());
        let began = Instant::now();
        let url = server.url("/");
        let reading = tokio::time::timeout(Duration::from_secs(10), read(&gate, &url));
        let code = reading.await.expect("it never ends").unwrap_err();
        assert_eq!(server.requests().len(), 1);
        println!("{name}: {code:?} after {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(5), "{name}");
    }
    // As fast as it can: the size ends it.
    let piece = vec![b'x'; 64 << 10];
    let server = Server::start(move |_, _| Answer::Drip(head(), piece.clone(), Duration::ZERO)).await;
    let gate = gate(&server, Limits { total_timeout: Duration::from_secs(60), ..limits() });
    assert!(matches!(read(&gate, &server.url("/")).await, Err(Code::HttpResponseBodySize(_))));
    assert_eq!(gate.denial().unwrap().limit, Some("response_size"));
}

fn encoded_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".to_vec()
}

#[tokio::test]
async fn headers_that_drip_grow_or_repeat_are_given_up() {
    let head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let begun = head.clone();
    let server =
        Server::start(move |_, _| Answer::Drip(begun.clone(), b"a: b\r\n".to_vec(), Duration::from_millis(20))).await;
    let code = read(&gate(&server, limits()), &server.url("/")).await.unwrap_err();
    // By their number or by their time, whichever comes first.
    assert!(matches!(code, Code::HttpResponseTimeout | Code::HttpResponseHeaderSectionSize(_)), "{code:?}");

    for headers in [
        format!("a: {}\r\n", "b".repeat(20 << 10)),
        "a: b\r\n".repeat(5000),
        format!("{}: b\r\n", "a".repeat(20 << 10)),
    ] {
        let server = Server::of([head.as_slice(), headers.as_bytes(), b"content-length: 0\r\n\r\n"].concat()).await;
        let gate = gate(&server, limits());
        let code = read(&gate, &server.url("/")).await.unwrap_err();
        assert!(matches!(code, Code::HttpResponseHeaderSectionSize(_)), "{code:?}");
        assert_eq!(gate.denial().unwrap().limit, Some("header_size"));
    }
    // A header line that never ends.
    let server = Server::start(move |_, _| Answer::Drip(head.clone(), vec![b'a'; 64 << 10], Duration::ZERO)).await;
    let code = read(&gate(&server, limits()), &server.url("/")).await.unwrap_err();
    assert!(
        matches!(code, Code::HttpResponseHeaderSectionSize(_) | Code::HttpResponseTimeout | Code::HttpProtocolError),
        "{code:?}"
    );
}

#[tokio::test]
async fn a_storm_of_interim_responses_ends_with_its_time() {
    for interim in [
        "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\n",
    ] {
        let interim = interim.repeat(100);
        let server =
            Server::start(move |_, _| Answer::Drip(Vec::new(), interim.clone().into(), Duration::from_millis(1))).await;
        let began = Instant::now();
        let code = read(&gate(&server, limits()), &server.url("/")).await.unwrap_err();
        assert!(matches!(code, Code::HttpResponseTimeout), "{code:?}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    // One that switches protocols is no response to a request that did not ask for it.
    let server = Server::of("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nraw").await;
    let outcome = read(&gate(&server, limits()), &server.url("/")).await;
    assert!(outcome.as_ref().is_err() || outcome.as_ref().is_ok_and(|body| body.is_empty()), "{outcome:?}");
}

/// The whole way: the connector's own request, in a run that leaves nothing behind.
#[tokio::test]
async fn a_run_that_meets_a_bomb_ends_by_the_limit() {
    let bomb = stacked("gzip, br", &vec![0; 32 << 20]);
    let server = Server::of(ok_with("content-encoding: gzip, br\r\n", &bomb)).await;
    let place = Place::new(Kind::DuckDb);
    let ask = json!({"ask": {"authority": server.address.to_string()}});
    // What the gate denied is what the person sees, once the connector reports a failure.
    let mut case = Case::steps(&[ask, json!({"fail": {"message": "as the connector has it"}})]);
    case.source["script"]["describe"]["origins"] = json!([server.base()]);
    case.private = vec![server.base()];
    case.limits = json!({"response_size": "1MiB"});
    let mut told = Vec::new();
    let error = case.told(&place, &mut told).await.err().unwrap();
    assert_eq!((error.class, error.limit), (Class::Policy, Some("response_size")), "{error} {told:?}");
    assert!(told[0].starts_with("body broke off: code: ErrorCode::HttpResponseBodySize"), "{told:?}");
    place.has_nothing_of("hostile");
    alive(&place).await;
}
