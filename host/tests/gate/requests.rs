//! Which requests go out, and as what.

use crate::server::{Server, body, get, ok, ok_with, read, send};
use crate::{gate, limited};
use http::Request;
use spile_host::Class;
use spile_host::gate::{Client, Credentials, Gate, Origin, Policy};
use spile_host::limits::Limits;
use wasmtime_wasi_http::{Error as Code, WasiHttpHooks};

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
