//! The gate over real sockets: what it lets through, what it does to a request and a response, and what it denies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use spile_host::Class;
use spile_host::gate::{Client, ClientOptions, Credentials, Gate, Origin, Policy, Secrets, Withheld};
use spile_host::limits::Limits;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wasmtime_wasi_http::{Error as Code, RequestOptions, WasiBody, WasiHttpHooks};

mod server;

use server::{Server, body, get, ok, ok_with, read, read_request, send};

/// A gate that allows these origins, at private addresses too.
fn gate(origins: &[Origin]) -> Gate {
    gate_with(origins, Limits::default(), Credentials::default())
}

fn gate_with(origins: &[Origin], limits: Limits, credentials: Credentials) -> Gate {
    let policy = Policy {
        origins: origins.iter().cloned().collect(),
        private: origins.iter().cloned().collect(),
        ..Policy::default()
    };
    Gate::new(policy, credentials, Client::new(&limits).unwrap(), limits)
}

fn limited(server: &Server, change: impl FnOnce(&mut Limits)) -> Gate {
    let mut limits = Limits::default();
    change(&mut limits);
    gate_with(&[server.origin()], limits, Credentials::default())
}

#[tokio::test]
async fn requests_go_out_on_one_connection_and_are_counted() {
    let server = Server::answering(|_| ok(b"page")).await;
    let gate = gate(&[server.origin()]);
    for _ in 0..3 {
        assert_eq!(read(&gate, &server.url("/a?b=%20c")).await.unwrap(), "page");
    }
    let post = Request::post(server.url("/")).header("content-type", "application/json").body(body("{}")).unwrap();
    send(&gate, post).await.unwrap();

    assert_eq!(server.connections(), 1);
    let requests = server.requests();
    assert!(requests[0].starts_with("GET /a?b=%20c HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains(&format!("\r\nhost: {}\r\n", server.address)), "{}", requests[0]);
    assert!(
        requests[3].contains("\r\ncontent-length: 2\r\n") && requests[3].ends_with("\r\n\r\n{}"),
        "{}",
        requests[3]
    );
    let counts = gate.counts();
    assert_eq!((counts.requests, counts.sent, counts.received), (4, 2, 12));
    assert!(gate.denial().is_none());
}

#[tokio::test]
async fn only_origins_of_the_policy_are_reached() {
    let server = Server::answering(|_| ok(b"")).await;
    let elsewhere: Origin = "http://127.0.0.1:1".parse().unwrap();
    for gate in [gate(&[elsewhere]), Gate::closed()] {
        let code = read(&gate, &server.url("/")).await.unwrap_err();
        assert!(matches!(code, Code::HttpRequestDenied), "{code:?}");
        let denial = gate.denial().unwrap();
        assert_eq!(denial.class, Class::Policy);
        assert_eq!(denial.facts, [("origin", server.origin().to_string())]);
        assert_eq!(gate.counts().requests, 0);
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn private_addresses_are_refused_unless_the_operator_names_the_origin() {
    let server = Server::answering(|_| ok(b"")).await;
    let port = server.address.port();
    // A literal address is refused before the client, a name after its resolution; mapped forms count as what they hold.
    for host in ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"] {
        let origin: Origin = format!("http://{host}:{port}").parse().unwrap();
        let other: Origin = format!("http://localhost:{}", port.wrapping_add(1).max(1)).parse().unwrap();
        let policy = Policy { origins: [origin.clone()].into(), private: [other].into(), ..Policy::default() };
        let limits = Limits::default();
        let gate = Gate::new(policy, Credentials::default(), Client::new(&limits).unwrap(), limits);
        let code = read(&gate, &format!("http://{host}:{port}/")).await.unwrap_err();
        assert!(matches!(code, Code::DestinationIpProhibited), "{host}: {code:?}");
        let advice = gate.denial().unwrap().advice.unwrap();
        assert_eq!(advice, format!("allow it with --allow-private {origin}"));
    }
    assert_eq!(server.connections(), 0);

    let localhost: Origin = format!("http://localhost:{port}").parse().unwrap();
    assert_eq!(read(&gate(&[localhost]), &format!("http://localhost:{port}/")).await.unwrap(), "");
}

#[tokio::test]
async fn one_client_keeps_the_connections_of_differing_policies_apart() {
    let server = Server::answering(|_| ok(b"")).await;
    let limits = Limits::default();
    let client = Client::new(&limits).unwrap();
    let open = Policy { origins: [server.origin()].into(), private: [server.origin()].into(), ..Policy::default() };
    let strict = Policy { origins: [server.origin()].into(), private: [].into(), ..Policy::default() };
    let open = Gate::new(open, Credentials::default(), client.clone(), limits.clone());
    let strict = Gate::new(strict, Credentials::default(), client, limits);
    read(&open, &server.url("/")).await.unwrap();
    // The idle connection of the first gate is not one for the second.
    assert!(matches!(read(&strict, &server.url("/")).await, Err(Code::DestinationIpProhibited)));
}

/// Regressions of wasmtime's default sender: absolute-form requests to another host (GHSA-5qpp-g3j2-8frx), long URLs
/// (GHSA-w36r-2hch-9xp9), and hosts that are not what they look like.
#[tokio::test]
async fn urls_that_are_not_what_they_look_like_are_denied() {
    let server = Server::answering(|_| ok(b"")).await;
    let address = server.address;
    for url in [
        format!("http://user@{address}/"),
        format!("http://user:password@{address}/"),
        format!("http://{address}@example.com/"),
        format!("ftp://{address}/"),
        "/path".to_owned(),
        "http://example.com:0/".to_owned(),
    ] {
        let gate = gate(&[server.origin()]);
        let request = Request::builder().uri(url.as_str()).body(body("")).unwrap();
        let code = send(&gate, request).await.unwrap_err();
        assert!(matches!(code, Code::HttpRequestUriInvalid), "{url}: {code:?}");
        assert!(!gate.denial().unwrap().to_string().contains("password"));
    }
    let gate = gate(&[server.origin()]);
    let long = format!("http://{address}/?{}", "a".repeat(40_000));
    assert!(matches!(read(&gate, &long).await, Err(Code::HttpRequestUriTooLong)));

    // A path that looks like a URL stays a path, and goes to the host that was checked.
    read(&gate, &format!("http://{address}//example.com/")).await.unwrap();
    read(&gate, &format!("http://{address}/http://example.com/")).await.unwrap();
    let requests = server.requests();
    assert!(requests[0].starts_with("GET //example.com/ HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[1].starts_with("GET /http://example.com/ HTTP/1.1\r\n"), "{}", requests[1]);
    assert!(requests.iter().all(|request| request.contains(&format!("host: {address}\r\n"))));
}

#[tokio::test]
async fn tunnels_and_traces_are_denied() {
    let server = Server::answering(|_| ok(b"")).await;
    for method in ["CONNECT", "TRACE"] {
        let request = Request::builder().method(method).uri(server.url("/")).body(body("")).unwrap();
        assert!(matches!(send(&gate(&[server.origin()]), request).await, Err(Code::HttpRequestMethodInvalid)));
    }
    assert!(server.requests().is_empty());
}

/// Regression (GHSA-r8xh): what the connector says about the length of a body does not reach the wire.
#[tokio::test]
async fn the_length_of_a_body_is_the_hosts_own() {
    let server = Server::answering(|_| ok(b"")).await;
    let gate = gate(&[server.origin()]);
    for (length, others) in [("1", None), ("100", Some("2")), ("0", None)] {
        let mut request = Request::post(server.url("/")).header("content-length", length);
        if let Some(other) = others {
            request = request.header("content-length", other);
        }
        send(&gate, request.header("host", "example.com").body(body("body")).unwrap()).await.unwrap();
    }
    for request in server.requests() {
        assert_eq!(request.matches("content-length").count(), 1, "{request}");
        assert!(request.contains("\r\ncontent-length: 4\r\n") && request.ends_with("\r\n\r\nbody"), "{request}");
        assert!(!request.contains("example.com"), "{request}");
    }
}

/// Credentials that are bound to these origins.
fn credentials(auth: Value, origins: &[Origin]) -> Credentials {
    let mut secrets = Secrets::default();
    secrets.set("api_key", "t0ken".to_owned());
    let mut source = json!({"client": {"auth": auth}});
    let mut credentials = Withheld::take(&mut source).unwrap().resolve(&secrets).unwrap();
    credentials.bind("/client/auth", origins.iter().cloned()).unwrap();
    credentials
}

fn signed(url: &str, pointer: &str) -> Request<WasiBody> {
    Request::get(url)
        .header("spile-credential", pointer)
        .header("authorization", "from the connector")
        .body(body(""))
        .unwrap()
}

#[tokio::test]
async fn the_host_signs_requests_to_the_bound_origin() {
    let server = Server::answering(|_| ok(b"")).await;
    let bearer = credentials(json!({"token": {"secret": "api_key"}}), &[server.origin()]);
    let gate = gate_with(&[server.origin()], Limits::default(), bearer);
    send(&gate, signed(&server.url("/"), "/client/auth")).await.unwrap();
    // Without a credential the connector's own header stands.
    let own = Request::get(server.url("/")).header("authorization", "own").body(body("")).unwrap();
    send(&gate, own).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].matches("authorization").count(), 1);
    assert!(requests[0].contains("\r\nauthorization: Bearer t0ken\r\n"), "{}", requests[0]);
    assert!(!requests[0].contains("spile-credential"));
    assert!(requests[1].contains("\r\nauthorization: own\r\n"), "{}", requests[1]);

    let key = json!({"type": "api_key", "api_key": {"secret": "api_key"}, "name": "key", "location": "query"});
    let gate = gate_with(&[server.origin()], Limits::default(), credentials(key, &[server.origin()]));
    send(&gate, signed(&server.url("/?key=mine&a=b"), "/client/auth")).await.unwrap();
    assert!(server.requests()[2].starts_with("GET /?a=b&key=t0ken HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_credential_does_not_leave_its_origin() {
    let (bound, other) = (Server::answering(|_| ok(b"")).await, Server::answering(|_| ok(b"")).await);
    for pointer in ["/client/auth", "/resources/0/endpoint/auth", ""] {
        let bearer = credentials(json!({"token": {"secret": "api_key"}}), &[bound.origin()]);
        let gate = gate_with(&[bound.origin(), other.origin()], Limits::default(), bearer);
        let code = send(&gate, signed(&other.url("/"), pointer)).await.unwrap_err();
        assert!(matches!(code, Code::HttpRequestDenied), "{code:?}");
        assert_eq!(gate.denial().unwrap().class, Class::Policy);
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn secrets_outside_auth_are_filled_in_for_their_origin_alone() {
    let (server, elsewhere) = (Server::answering(|_| ok(b"")).await, Server::answering(|_| ok(b"")).await);
    let slot = json!({"secret": "key"});
    let mut source = json!({
        "client": {"base_url": "https://a", "headers": {"x-key": slot}},
        "resources": [{"name": "r", "endpoint": {"params": {"k": slot}, "json": {"deep": [slot]}}}],
    });
    let withheld = Withheld::take(&mut source).unwrap();
    assert_eq!(withheld.slots().into_iter().collect::<Vec<_>>(), ["key"]);
    let places = ["/client/headers/x-key", "/resources/0/endpoint/params/k", "/resources/0/endpoint/json/deep/0"];
    let [header, query, in_body] = places.map(|place| source.pointer(place).unwrap().as_str().unwrap().to_owned());

    let mut secrets = Secrets::default();
    assert_eq!(withheld.resolve(&secrets).err().unwrap().pointer.as_deref(), Some(places[0]));
    secrets.set("key", "s3cr3t \"&/".to_owned());
    let mut credentials = withheld.resolve(&secrets).unwrap();
    credentials.bind("key", [server.origin()]).unwrap();
    assert!(credentials.bind("other", []).is_err());
    let gate = gate_with(&[server.origin(), elsewhere.origin()], Limits::default(), credentials);

    let request = |server: &Server| {
        Request::post(server.url(&format!("/p/{query}/q?k={query}&l=1")))
            .header("content-type", "application/json")
            .header("x-key", &header)
            .body(body(format!("{{\"deep\":[\"{in_body}\"]}}")))
            .unwrap()
    };
    send(&gate, request(&server)).await.unwrap();
    let sent = server.requests().remove(0);
    assert!(sent.starts_with("POST /p/s3cr3t%20%22%26%2F/q?k=s3cr3t%20%22%26%2F&l=1 HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("\r\nx-key: s3cr3t \"&/\r\n"), "{sent}");
    assert!(sent.ends_with("{\"deep\":[\"s3cr3t \\\"&/\"]}"), "{sent}");
    assert_eq!(gate.redactor().redact("with s3cr3t \"&/ in it"), "with *** in it");

    let code = send(&gate, request(&elsewhere)).await.unwrap_err();
    assert!(matches!(code, Code::HttpRequestDenied), "{code:?}");
    let denial = gate.denial().unwrap();
    assert_eq!(denial.facts, [("origin", elsewhere.origin().to_string()), ("secret", "key".to_owned())]);
    let mut unknown = get(&server.url("/"));
    unknown.headers_mut().insert("x", "spile-slot-6b-".parse().unwrap());
    assert!(matches!(send(&gate, unknown).await, Err(Code::HttpRequestDenied)));
    assert_eq!((server.requests().len(), elsewhere.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_token_is_asked_for_again_where_nothing_is_said_and_once_for_all_requests() {
    let (listener, origin) = silent().await;
    let serving = tokio::spawn(async move {
        // Held open, and never answered.
        let (mut silent, _) = listener.accept().await.unwrap();
        read_request(&mut silent).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream.write_all(&ok(br#"{"access_token": "obtained"}"#)).await.unwrap();
        // A third would be one too many.
        assert!(tokio::time::timeout(Duration::ZERO, listener.accept()).await.is_err());
    });
    let server = Server::answering(|_| ok(b"page")).await;
    let auth = json!({"type": "oauth2_client_credentials", "access_token_url": format!("{origin}/"), "client_id": "me",
        "client_secret": {"secret": "api_key"}});
    let limits = Limits { first_byte_timeout: Duration::from_millis(200), ..Limits::default() };
    let gate = gate_with(&[server.origin(), origin], limits, credentials(auth, &[server.origin()]));
    let urls: Vec<String> = (0..8).map(|number| server.url(&format!("/{number}"))).collect();
    let sent = urls.iter().map(|url| send(&gate, signed(url, "/client/auth")));
    // One of them is given up while it waits for the token, which is obtained nevertheless.
    drop(tokio::time::timeout(Duration::from_millis(1), send(&gate, signed(&urls[0], "/client/auth"))).await);
    for response in futures_util::future::join_all(sent).await {
        assert_eq!(response.unwrap().status(), 200);
    }
    serving.await.unwrap();
    assert!(server.requests().iter().all(|request| request.contains("\r\nauthorization: Bearer obtained\r\n")));
    // Two for the token, eight for pages, and the one that was given up.
    assert_eq!((server.requests().len(), gate.counts().requests), (8, 11));
    assert_eq!(gate.redactor().redact("obtained"), "***");
}

#[tokio::test]
async fn a_redirect_is_the_connectors_to_follow() {
    let target = Server::answering(|_| ok(b"")).await;
    let location = target.url("/");
    let server = Server::answering(move |_| {
        format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into()
    })
    .await;
    let response = send(&gate(&[server.origin(), target.origin()]), get(&server.url("/"))).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["location"].to_str().unwrap()),
        (302, &*target.url("/"))
    );
    assert!(target.requests().is_empty());
}

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
async fn large_headers_are_refused_both_ways() {
    let server = Server::answering(|request| match request.starts_with("GET /many") {
        true => ok_with(&"a: b\r\n".repeat(200), b""),
        false => ok_with(&format!("a: {}\r\n", "b".repeat(2000)), b""),
    })
    .await;
    let gate = limited(&server, |limits| limits.header_size = 1000);
    assert!(matches!(read(&gate, &server.url("/")).await, Err(Code::HttpResponseHeaderSectionSize(Some(_)))));
    assert_eq!(gate.denial().unwrap().class, Class::Policy);
    assert!(matches!(read(&gate, &server.url("/many")).await, Err(Code::HttpResponseHeaderSectionSize(None))));
    let request = Request::get(server.url("/")).header("a", "b".repeat(2000)).body(body("")).unwrap();
    assert!(matches!(send(&gate, request).await, Err(Code::HttpRequestHeaderSectionSize(Some(_)))));
    assert_eq!(server.requests().len(), 2);
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

#[tokio::test]
async fn a_run_has_a_budget() {
    let server = Server::answering(|_| ok(b"12345")).await;
    let gate = limited(&server, |limits| limits.requests = 2);
    for _ in 0..2 {
        read(&gate, &server.url("/")).await.unwrap();
    }
    assert!(matches!(read(&gate, &server.url("/")).await, Err(Code::HttpRequestDenied)));
    assert_eq!((gate.denial().unwrap().class, server.requests().len()), (Class::Policy, 2));

    let gate = limited(&server, |limits| limits.received = 7);
    read(&gate, &server.url("/")).await.unwrap();
    assert!(matches!(read(&gate, &server.url("/")).await, Err(Code::HttpResponseBodySize(_))));

    let gate = limited(&server, |limits| limits.in_flight = 1);
    let first = send(&gate, get(&server.url("/"))).await.unwrap();
    assert!(matches!(read(&gate, &server.url("/")).await, Err(Code::ConnectionLimitReached)));
    drop(first);
    read(&gate, &server.url("/")).await.unwrap();

    let gate = limited(&server, |limits| (limits.request_size, limits.sent) = (4, 6));
    let post = |text: &'static str| Request::post(server.url("/")).body(body(text)).unwrap();
    assert!(matches!(send(&gate, post("12345")).await, Err(Code::HttpRequestBodySize(_))));
    send(&gate, post("1234")).await.unwrap();
    assert!(matches!(send(&gate, post("1234")).await, Err(Code::HttpRequestBodySize(_))));
}

/// A listener that accepts nothing: connections wait in its queue, and nothing is ever answered.
async fn silent() -> (TcpListener, Origin) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    (listener, origin)
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let (_listener, origin) = silent().await;
    let limits = Limits { first_byte_timeout: Duration::from_millis(20), ..Limits::default() };
    let gate = gate_with(std::slice::from_ref(&origin), limits, Credentials::default());
    let code = read(&gate, &format!("{origin}/")).await.unwrap_err();
    assert!(matches!(code, Code::HttpResponseTimeout), "{code:?}");
    // Time passes and comes back: it is no denial, and may be tried again.
    assert!(gate.denial().is_none());
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    for (change, expected) in [
        ((|limits: &mut Limits| limits.between_bytes_timeout = Duration::from_millis(20)) as fn(&mut _), true),
        (|limits: &mut Limits| limits.total_timeout = Duration::from_millis(200), false),
    ] {
        let (listener, origin) = silent().await;
        let stalled = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
            // The gate closes the connection.
            assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
        });
        let mut limits = Limits::default();
        change(&mut limits);
        let gate = gate_with(std::slice::from_ref(&origin), limits, Credentials::default());
        let code = read(&gate, &format!("{origin}/")).await.unwrap_err();
        assert_eq!(matches!(code, Code::ConnectionReadTimeout), expected, "{code:?}");
        assert_eq!(matches!(code, Code::HttpResponseTimeout), !expected, "{code:?}");
        stalled.await.unwrap();
    }
}

/// Sends a request with timeouts that the connector asks for, and reads the response.
async fn read_within(gate: &Gate, url: &str, options: RequestOptions) -> Result<Bytes, Code> {
    let sending = gate.clone().send_request(get(url), Some(options), Box::new(async { Ok(()) }));
    let (response, _) = Box::into_pin(sending).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

#[tokio::test]
async fn the_connector_may_ask_for_less_time_than_the_host_gives() {
    let short = Some(Duration::from_millis(20));
    let (_listener, origin) = silent().await;
    let options = RequestOptions { first_byte_timeout: short, ..RequestOptions::default() };
    let gate_of = |origin: &Origin| gate(std::slice::from_ref(origin));
    let code = read_within(&gate_of(&origin), &format!("{origin}/"), options).await.unwrap_err();
    assert!(matches!(code, Code::HttpResponseTimeout), "{code:?}");

    // A handshake that is never answered belongs to the connection.
    let tls: Origin = origin.to_string().replace("http:", "https:").parse().unwrap();
    let options = RequestOptions { connect_timeout: short, ..RequestOptions::default() };
    let code = read_within(&gate_of(&tls), &format!("{tls}/"), options).await.unwrap_err();
    assert!(matches!(code, Code::ConnectionTimeout), "{code:?}");

    let (listener, origin) = silent().await;
    let stalled = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    });
    let options = RequestOptions { between_bytes_timeout: short, ..RequestOptions::default() };
    let code = read_within(&gate_of(&origin), &format!("{origin}/"), options).await.unwrap_err();
    assert!(matches!(code, Code::ConnectionReadTimeout), "{code:?}");
    stalled.await.unwrap();
}

#[tokio::test]
async fn the_connector_may_have_a_token_renewed_but_not_without_end() {
    let given = AtomicUsize::new(0);
    let server = Server::answering(move |request| match request.starts_with("POST") {
        true => {
            let token = given.fetch_add(1, Ordering::SeqCst) + 1;
            ok(format!(r#"{{"access_token": "token-{token}"}}"#).as_bytes())
        }
        // A header of the API's own is not the host's.
        false => ok_with("spile-credential: 77\r\n", b"{}"),
    })
    .await;
    let auth = json!({"type": "oauth2_client_credentials", "access_token_url": server.url("/token"), "client_id": "me",
        "client_secret": {"secret": "api_key"}});
    let gate = gate_with(&[server.origin()], Limits::default(), credentials(auth, &[server.origin()]));
    let mut told = Vec::new();
    for credential in ["/client/auth", "/client/auth 1", "/client/auth 1", "/client/auth 2", "/client/auth 2"] {
        let response = send(&gate, signed(&server.url("/"), credential)).await.unwrap();
        told.push(response.headers()["spile-credential"].to_str().unwrap().to_owned());
    }
    // The second word of a refusal comes too early, and one of a token that is gone already asks for nothing.
    assert_eq!(told, ["1", "2", "2", "2", "2"]);
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|request| request.starts_with("POST")).count(), 2);
    assert!(requests.iter().all(|request| !request.contains("spile-credential")));

    let plain = send(&gate, get(&server.url("/"))).await.unwrap();
    assert!(!plain.headers().contains_key("spile-credential"));
}

#[tokio::test]
async fn failures_of_the_network_are_told_apart() {
    let (listener, origin) = silent().await;
    drop(listener);
    let code = read(&gate(std::slice::from_ref(&origin)), &format!("{origin}/")).await.unwrap_err();
    assert!(matches!(code, Code::ConnectionRefused), "{code:?}");

    let nowhere: Origin = "http://nowhere.invalid".parse().unwrap();
    let code = read(&gate(&[nowhere]), "http://nowhere.invalid/").await.unwrap_err();
    assert!(matches!(code, Code::DnsError { .. }), "{code:?}");

    let server = Server::answering(|request| match request.starts_with("GET /closed") {
        true => Vec::new(),
        false => b"not HTTP at all\r\n\r\n".to_vec(),
    })
    .await;
    let gate = gate(&[server.origin()]);
    let code = read(&gate, &server.url("/closed")).await.unwrap_err();
    assert!(matches!(code, Code::ConnectionTerminated), "{code:?}");
    let code = read(&gate, &server.url("/")).await.unwrap_err();
    assert!(matches!(code, Code::HttpProtocolError), "{code:?}");
}

#[tokio::test]
async fn headers_of_the_host_are_hidden_from_the_connector() {
    let mut gate = Gate::closed();
    let filter = gate.forbidden_header_filter();
    for name in ["set-cookie", "host", "accept-encoding", "connection", "transfer-encoding"] {
        let name = name.parse().unwrap();
        assert!(gate.is_forbidden_header(&name) && filter(&name), "{name}");
    }
    assert!(!gate.set_host_header());
    assert!(gate.default_scheme().is_none());
}

/// A TLS server that speaks HTTP/2 if asked, on one port of this machine, and its certificate.
async fn tls_server() -> (SocketAddr, CertificateDer<'static>) {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = key.cert.der().clone();
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into()))
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| async move {
                    Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(format!(
                        "{:?} {}",
                        request.version(),
                        request.uri()
                    )))))
                });
                let executor = hyper_util::rt::TokioExecutor::new();
                let stream = hyper_util::rt::TokioIo::new(stream);
                let _ended_by_the_client =
                    hyper::server::conn::http2::Builder::new(executor).serve_connection(stream, answer).await;
            });
        }
    });
    (address, certificate)
}

#[tokio::test]
async fn tls_is_checked_and_speaks_http_2() {
    let (address, certificate) = tls_server().await;
    let url = format!("https://localhost:{}/path", address.port());
    let origin: Origin = format!("https://localhost:{}", address.port()).parse().unwrap();
    let policy = Policy { origins: [origin.clone()].into(), private: [origin].into(), ..Policy::default() };
    let limits = Limits::default();

    let client = Client::with(&limits, ClientOptions { roots: vec![certificate], ..ClientOptions::default() }).unwrap();
    let gate = Gate::new(policy.clone(), Credentials::default(), client, limits.clone());
    assert_eq!(read(&gate, &url).await.unwrap(), format!("HTTP/2.0 {url}"));

    let gate = Gate::new(policy, Credentials::default(), Client::new(&limits).unwrap(), limits);
    let code = read(&gate, &url).await.unwrap_err();
    assert!(matches!(code, Code::TlsCertificateError), "{code:?}");
}
