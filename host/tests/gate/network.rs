//! A network that fails or takes too long, and TLS.

use crate::server::{Server, get, read, read_request};
use crate::{gate, gate_with};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use spile_host::gate::{Client, ClientOptions, Credentials, Gate, Origin, Policy};
use spile_host::limits::Limits;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wasmtime_wasi_http::{Error as Code, RequestOptions, WasiHttpHooks};

/// A listener that accepts nothing: connections wait in its queue, and nothing is ever answered.
pub async fn silent() -> (TcpListener, Origin) {
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
