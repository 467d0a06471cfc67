//! Requests that are more than one, or go where they should not.

use crate::obedient::HOST;
use crate::scripted::{Case, Kind, Place};
use crate::server::{Answer, Server, ok};
use serde_json::{Value, json};
use spile_host::sandbox::Connector;
use spile_host::{COMPONENT, Class, Error};
use std::sync::LazyLock;

/// The program's own connector.
static OWN: LazyLock<Connector> = LazyLock::new(|| HOST.load(COMPONENT).unwrap());

/// A server that answers, and one that no connector describes.
async fn two() -> (Server, Server) {
    let page = || Server::start(|_, _| Answer::Keep(ok(b"the page")));
    (page().await, page().await)
}

/// What came of requests to a server, all in one run, and how the run ended once the connector reported a failure.
async fn asked(server: &Server, asks: &[Value]) -> (Vec<String>, Error) {
    let mut steps: Vec<Value> = asks.iter().map(|ask| json!({"ask": ask})).collect();
    steps.push(json!({"fail": {"message": "the connector's own word"}}));
    let mut case = Case::steps(&steps);
    case.source["script"]["describe"]["origins"] = json!([server.base()]);
    case.private = vec![server.base()];
    let (place, mut told) = (Place::new(Kind::Parquet), Vec::new());
    let error = case.told(&place, &mut told).await.err().unwrap();
    place.has_nothing_of("hostile");
    assert_eq!(told.len(), asks.len(), "{told:?}");
    (told, error)
}

/// Of each request that a server saw: one line, one host, one framing, and nothing that was put in.
#[track_caller]
fn are_whole(server: &Server) {
    for request in server.requests() {
        let head = request.split("\r\n\r\n").next().unwrap().to_lowercase();
        let lines: Vec<&str> = head.split("\r\n").collect();
        let count = |name: &str| lines.iter().filter(|line| line.starts_with(name)).count();
        assert_eq!(count("host:"), 1, "{request:?}");
        assert!(head.contains(&format!("\r\nhost: {}", server.address)), "{request:?}");
        assert!(count("content-length:") <= 1 && count("transfer-encoding:") == 0, "{request:?}");
        assert_eq!(count("x-injected"), 0, "{request:?}");
        assert_eq!(lines[0].split(' ').count(), 3, "{request:?}");
        assert!(!head.contains(['\n', '\0']) || !head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{request:?}");
    }
}

#[tokio::test]
async fn an_authority_is_a_host_and_a_port_and_nothing_else() {
    let (server, other) = two().await;
    let (own, foreign) = (server.address.to_string(), other.address.to_string());
    let authorities = [
        format!("user@{own}"),
        format!("user:password@{own}"),
        format!("@{own}"),
        format!("{own}@{foreign}"),
        format!("{foreign}#@{own}"),
        format!("{foreign}\\@{own}"),
        format!("{own}\\@{foreign}"),
        format!("{foreign}/@{own}"),
        format!("{foreign}?@{own}"),
        format!("{own}\t"),
        format!("{own}\r\nx-injected: 1"),
        format!("{own}\n"),
        format!(" {own}"),
        format!("{own} {foreign}"),
        format!("{own},{foreign}"),
        format!("{own}:80"),
        format!("{own}%00"),
        foreign.clone(),
        "127.0.0.1:0".to_owned(),
        "127.0.0.1:99999".to_owned(),
        "127.0.0.1:-1".to_owned(),
        "127.0.0.1:".to_owned(),
        String::new(),
    ];
    let asks: Vec<Value> = authorities.iter().map(|authority| json!({"authority": authority})).collect();
    let (told, error) = asked(&server, &asks).await;
    for (authority, told) in authorities.iter().zip(&told) {
        assert!(told == "authority refused" || told.starts_with("code: "), "{authority:?}: {told}");
    }
    assert_eq!(error.class, Class::Policy, "{error}");
    assert!(!format!("{error:?}").contains("password"), "{error:?}");
    assert_eq!((server.connections(), other.connections()), (0, 0));
    // The same without the odd part is answered.
    assert!(asked(&server, &[json!({"authority": own})]).await.0[0].ends_with("the page"));
}

#[tokio::test]
async fn a_path_stays_a_path_of_its_host() {
    let (server, other) = two().await;
    let (own, foreign) = (server.address.to_string(), other.address.to_string());
    let paths = [
        format!("http://{foreign}/"),
        format!("//{foreign}/"),
        format!("/\\{foreign}/"),
        format!("\\\\{foreign}/"),
        format!("@{foreign}/"),
        format!(":80@{foreign}/"),
        format!("/@{foreign}/"),
        format!("/http://{foreign}/"),
        format!("/../..//{foreign}/"),
        format!("?@{foreign}/"),
        format!("#@{foreign}/"),
        "/a HTTP/1.1\r\nx-injected: 1\r\n\r\nGET /b".to_owned(),
        "/a\r\nx-injected: 1".to_owned(),
        "/a\nx-injected: 1".to_owned(),
        "/a\tb".to_owned(),
        "/a b".to_owned(),
        "/a\0b".to_owned(),
        "/%0d%0ax-injected:%201".to_owned(),
        "/a%00b".to_owned(),
        "/日本".to_owned(),
        "*".to_owned(),
        "a".to_owned(),
        String::new(),
    ];
    let asks: Vec<Value> = paths.iter().map(|path| json!({"authority": own, "path": path})).collect();
    let (told, _) = asked(&server, &asks).await;
    assert_eq!(other.connections(), 0, "{told:?}");
    are_whole(&server);
    let answered = told.iter().filter(|told| told.ends_with("the page")).count();
    assert_eq!(server.requests().len(), answered);
    assert!((4..paths.len()).contains(&answered), "{told:?}");
    for (path, told) in paths.iter().zip(&told).filter(|(path, _)| path.contains(['\r', '\n', '\0', '\t', ' '])) {
        assert!(told == "path refused" || told.starts_with("code: "), "{path:?}: {told}");
    }
}

#[tokio::test]
async fn methods_and_schemes_are_those_of_requests() {
    let (server, other) = two().await;
    let own = server.address.to_string();
    let mut asks = Vec::new();
    for method in
        ["CONNECT", "TRACE", "GET / HTTP/1.1\r\nx-injected: 1\r\n\r\nGET", "GET\r\n", "G ET", "", "GET\0", "日本"]
    {
        asks.push(json!({"authority": own, "method": method}));
    }
    for scheme in
        ["ftp", "file", "gopher", "data", "javascript", "ws", "unix", "http+unix", "http://x", "", "ht\ntp", "http:"]
    {
        asks.push(json!({"authority": own, "scheme": scheme}));
    }
    // Encrypted, it is another origin.
    asks.push(json!({"authority": own, "scheme": "https"}));
    let (told, error) = asked(&server, &asks).await;
    for (ask, told) in asks.iter().zip(&told) {
        assert!(told.ends_with("refused") || told.starts_with("code: "), "{ask}: {told}");
    }
    assert_eq!((error.class, server.connections(), other.connections()), (Class::Policy, 0, 0), "{told:?}");
}

#[tokio::test]
async fn headers_are_one_line_each_and_those_of_the_connection_are_the_host_s() {
    let (server, _) = two().await;
    let own = server.address.to_string();
    let headers = [
        ("x-a", "a\r\nx-injected: 1"),
        ("x-a", "a\nx-injected: 1"),
        ("x-a", "a\rx-injected: 1"),
        ("x-a", "a\0b"),
        ("x-a", "\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("x-a\r\nx-injected", "1"),
        ("x-a: 1\r\nx-injected", "1"),
        ("x a", "1"),
        ("x-a:", "1"),
        ("", "1"),
        ("x\0a", "1"),
        ("日本", "1"),
        ("host", "example.com"),
        ("Host", "example.com"),
        ("transfer-encoding", "chunked"),
        ("Transfer-Encoding", "chunked"),
        ("content-length", "0"),
        ("Content-Length", "1000"),
        ("content-length", "-1"),
        ("connection", "close"),
        ("Connection", "x-injected"),
        ("keep-alive", "1"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
        ("proxy-authorization", "Basic eA=="),
        ("Proxy-Authorization", "Basic eA=="),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("expect", "100-continue"),
        ("accept-encoding", "identity"),
    ];
    let mut asks: Vec<Value> = headers
        .iter()
        .map(|header| json!({"authority": own, "method": "POST", "headers": [header], "body": "a body"}))
        .collect();
    for headers in [
        json!([["content-length", "6"], ["X-UPPER", "a"], ["x-upper", "b"]]),
        json!([["authorization", "own"], ["cookie", "a=b"]]),
    ] {
        asks.push(json!({"authority": own, "method": "POST", "body": "a body", "headers": headers}));
    }
    let twice = json!([["content-length", "6"], ["content-length", "7"]]);
    asks.push(json!({"authority": own, "method": "POST", "body": "a body", "headers": twice}));
    let (told, _) = asked(&server, &asks).await;
    are_whole(&server);
    let requests = server.requests();
    assert!(requests.len() >= 2, "{told:?}");
    assert!(requests.iter().all(|request| request.ends_with("\r\n\r\na body")), "{requests:?}");
    assert!(
        requests.iter().any(|request| request.contains("\r\nx-upper: a\r\n") && request.contains("x-upper: b\r\n"))
    );
    for name in ["keep-alive:", "upgrade:", "http2-settings:", "proxy-", "te:", "trailer:", "expect:", "connection:"] {
        let sent = requests.iter().find(|request| request.to_lowercase().contains(&format!("\r\n{name}")));
        assert_eq!(sent, None, "{name}");
    }
    for ((name, value), told) in headers.iter().zip(&told) {
        let is_text =
            !name.is_empty() && !name.contains(['\r', '\0', ' ', ':', '日']) && !value.contains(['\r', '\n', '\0']);
        let own_length = name.eq_ignore_ascii_case("content-length");
        assert!(own_length || !is_text || told.contains("Forbidden"), "{name}: {told}");
        assert!(is_text || told.starts_with("header refused"), "{name:?} {value:?}: {told}");
    }
}

#[tokio::test]
async fn ports_of_other_protocols_are_not_reached() {
    for port in [22, 25, 6379 - 379, 6667, 995] {
        let authority = format!("example.com:{port}");
        let ask = json!({"ask": {"authority": authority}});
        let mut case = Case::steps(&[ask, json!({"fail": {"message": "the connector's own word"}})]);
        case.source["script"]["describe"]["origins"] = json!([format!("http://{authority}")]);
        let error = case.contained_at(Kind::Parquet).await;
        assert_eq!(
            (error.class, error.message.as_str()),
            (Class::Policy, "the connector may not send a request to this origin")
        );
    }
}

/// A connector that follows a redirect itself gets no further than its description.
#[tokio::test]
async fn a_redirect_is_no_way_to_another_origin() {
    let other = Server::start(|_, _| Answer::Keep(ok(b"the other page"))).await;
    let location = other.url("/else");
    let away = move |_: &str, _: usize| {
        Answer::Keep(format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into())
    };
    let server = Server::start(away).await;
    let asks = [
        json!({"authority": server.address.to_string()}),
        json!({"authority": other.address.to_string(), "path": "/else"}),
    ];
    let (told, error) = asked(&server, &asks).await;
    assert!(told[0].starts_with("302 ") && told[0].contains(&other.base()), "{told:?}");
    assert!(told[1].starts_with("code: "), "{told:?}");
    assert_eq!(error.facts[0], ("origin", other.origin().to_string()));
    assert_eq!((server.requests().len(), other.connections()), (1, 0));
}

/// Our own connector: what an API names as the next page is asked for where the file names it, and not elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_next_link_or_redirect_leads_our_own_connector_to_no_other_origin() {
    let other = Server::start(|_, _| Answer::Keep(ok(b"{\"items\": [{\"id\": 2}]}"))).await;
    let forms = [
        other.url("/next"),
        other.url("/next").replace("http://", "http://user@"),
        other.url("/next").replace("http://", "HTTP://"),
        format!("//{}/next", other.address),
        format!("\\\\{}\\next", other.address),
        format!("http:{}/next", other.address),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    for form in forms {
        for is_link in [true, false] {
            let link = form.clone();
            let server = Server::start(move |request, _| {
                Answer::Keep(match (is_link, request.starts_with("GET /items ")) {
                    (true, true) => ok(json!({"items": [{"id": 1}], "next": link}).to_string().as_bytes()),
                    (false, true) => format!("HTTP/1.1 307 X\r\nlocation: {link}\r\ncontent-length: 0\r\n\r\n").into(),
                    (_, false) => ok(b"{\"items\": []}"),
                })
            })
            .await;
            let mut case = Case::new(json!({}));
            case.connector = OWN.clone();
            case.source = json!({
                "client": {"base_url": server.base(), "auth": {"token": {"secret": "key"}}},
                "resources": [{"name": "items", "endpoint": {"path": "items", "data_selector": "items",
                    "paginator": {"type": "json_link", "next_url_path": "next"}}}],
            });
            case.private = vec![server.base()];
            case.secrets = vec![("key", "s3cr3t-s3cr3t".to_owned())];
            let place = Place::new(Kind::DuckDb);
            let outcome = case.load(&place).await;
            assert!(!server.requests().is_empty(), "{form}");
            assert_eq!(other.connections(), 0, "{form}: {:?}", outcome.err());
            // What is no other origin is a path of this one, or an error.
            if let Err(error) = outcome {
                assert!(matches!(error.class, Class::Policy | Class::Source), "{form}: {error}");
                assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
            }
            place.others_are_untouched();
        }
    }
}
