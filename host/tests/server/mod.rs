//! A server that sends the bytes that it is told to, however wrong, and requests through a gate to it.
#![allow(dead_code, reason = "a part of several tests, of which none needs all")]

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use spile_host::gate::{Client, Credentials, Gate, Origin, Policy};
use spile_host::limits::Limits;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::{Error as Code, WasiBody, WasiHttpHooks};

/// What a server does with a request.
pub enum Answer {
    /// Sends these bytes, and waits for another request on the connection.
    Keep(Vec<u8>),
    /// Sends these bytes, and closes the connection.
    Close(Vec<u8>),
    /// Sends the first, then the second again and again, with so long between.
    Drip(Vec<u8>, Vec<u8>, Duration),
}

pub struct Server {
    pub address: SocketAddr,
    /// Each with the number of its connection.
    requests: Arc<Mutex<Vec<(usize, String)>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// `answer` gets the request and how many came before.
    pub async fn start(answer: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server =
            Self { address: listener.local_addr().unwrap(), requests: Arc::default(), connections: Arc::default() };
        let (requests, connections, answer) = (server.requests.clone(), server.connections.clone(), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, number, requests.clone(), answer.clone()));
            }
        });
        server
    }

    /// `answer` gets the request; an answer that does not frame its body is ended by closing the connection.
    pub async fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let kept = |bytes: &[u8]| bytes.starts_with(b"HTTP/1.1 200 OK\r\ncontent-length");
        Self::start(move |request, _| match answer(request) {
            bytes if kept(&bytes) => Answer::Keep(bytes),
            bytes => Answer::Close(bytes),
        })
        .await
    }

    /// Answers every request with the same.
    pub async fn of(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, _| Answer::Close(bytes.clone())).await
    }

    pub fn origin(&self) -> Origin {
        self.base().parse().unwrap()
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn requests(&self) -> Vec<String> {
        self.by_connection().into_iter().map(|(_, request)| request).collect()
    }

    /// Each request with the number of its connection.
    pub fn by_connection(&self) -> Vec<(usize, String)> {
        self.requests.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    number: usize,
    requests: Arc<Mutex<Vec<(usize, String)>>>,
    answer: Arc<impl Fn(&str, usize) -> Answer + Send + Sync>,
) {
    while let Some(request) = read_request(&mut stream).await {
        let before = requests.lock().unwrap().len();
        let answer = answer(&request, before);
        requests.lock().unwrap().push((number, request));
        match answer {
            Answer::Keep(bytes) if stream.write_all(&bytes).await.is_ok() => {}
            Answer::Keep(_) => return,
            Answer::Close(bytes) => return drop(stream.write_all(&bytes).await),
            Answer::Drip(bytes, more, pause) => {
                let mut sent = stream.write_all(&bytes).await;
                while sent.is_ok() {
                    tokio::time::sleep(pause).await;
                    sent = stream.write_all(&more).await;
                }
                return;
            }
        }
    }
}

/// Reads a request with its body, whose length must be given by `content-length`.
pub async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

pub fn ok(body: &[u8]) -> Vec<u8> {
    ok_with("", body)
}

pub fn ok_with(headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).as_bytes(), body].concat()
}

/// A gate to this server, which may be private.
pub fn gate(server: &Server, limits: Limits) -> Gate {
    let origins = [server.origin()];
    let policy = Policy { origins: origins.clone().into(), private: origins.into(), ..Policy::default() };
    Gate::new(policy, Credentials::default(), Client::new(&limits).unwrap(), limits)
}

pub async fn send(gate: &Gate, request: Request<WasiBody>) -> Result<Response<WasiBody>, Code> {
    let sending = gate.clone().send_request(request, None, Box::new(async { Ok(()) }));
    Box::into_pin(sending).await.map(|(response, _)| response)
}

pub fn get(url: &str) -> Request<WasiBody> {
    Request::get(url).body(body("")).unwrap()
}

pub fn body(bytes: impl Into<Bytes>) -> WasiBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

pub async fn read(gate: &Gate, url: &str) -> Result<Bytes, Code> {
    Ok(send(gate, get(url)).await?.into_body().collect().await?.to_bytes())
}
