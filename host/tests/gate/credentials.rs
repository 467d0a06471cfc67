//! Credentials and other secrets: where they go, and that they go nowhere else.

use crate::gate_with;
use crate::network::silent;
use crate::server::{Server, body, get, ok, ok_with, read_request, send};
use http::Request;
use serde_json::{Value, json};
use spile_host::Class;
use spile_host::gate::{Credentials, Origin, Secrets, Withheld};
use spile_host::limits::Limits;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use wasmtime_wasi_http::{Error as Code, WasiBody};

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
