//! From nothing to the first request on the wire: a process whose code is cached, and an instance in a host that runs.
//!
//! `cargo bench --bench start`. Medians; the request is one that a server on this machine has read.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use spile_host::{
    gate::{Client, Credentials, Gate, Origin, Policy},
    limits::Limits,
    sandbox::{CodeCache, Host, HostOptions, OpenRequest, SourceConfig},
};

/// Answers requests, one connection after another, and tells when each was read.
fn server() -> (String, std::sync::mpsc::Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell): (TcpStream, _) = (stream.unwrap(), tell.clone());
            std::thread::spawn(move || {
                let (mut request, mut piece) = (Vec::new(), [0; 4096]);
                while let Ok(length @ 1..) = stream.read(&mut piece) {
                    request.extend_from_slice(piece.get(..length).unwrap());
                    if request.ends_with(b"\r\n\r\n") {
                        let _ = tell.send(Instant::now());
                        request.clear();
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[{\"id\":1}]").unwrap();
                    }
                }
            });
        }
    });
    (url, told)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[tokio::main]
async fn main() {
    let (url, told) = server();
    let folder = tempfile::tempdir().unwrap();
    let source = json!({"client": {"base_url": url, "paginator": "single_page"}, "resources": ["r"]});
    let pipeline = json!({"name": "start", "source": source, "policy": {"allow_private": [url]}});
    std::fs::write(folder.path().join("start.json"), pipeline.to_string()).unwrap();
    let process = |_| {
        let started = Instant::now();
        let mut check = Command::new(env!("CARGO_BIN_EXE_spile"));
        let check = check.args(["check", "start.json"]).current_dir(&folder).env("XDG_STATE_HOME", folder.path());
        assert!(check.stdout(Stdio::null()).status().unwrap().success());
        told.recv().unwrap() - started
    };
    process(0);
    println!("process, code cached: {:?}", median((0..21).map(process).collect()));

    let request = OpenRequest { load_id: "1".to_owned(), ..OpenRequest::new(SourceConfig::new(source.to_string())) };
    let limits = Limits::default();
    let client = Client::new(&limits).unwrap();
    let origin: Origin = url.parse().unwrap();
    for pool in [None, Some(10)] {
        let host = Host::new(HostOptions { code_cache: CodeCache::of_user(), pool, ..HostOptions::default() }).unwrap();
        let connector = host.load_built_in().unwrap();
        let (mut starts, mut firsts) = (Vec::new(), Vec::new());
        for _ in 0..201 {
            let policy =
                Policy { origins: [origin.clone()].into(), private: [origin.clone()].into(), ..Policy::default() };
            let gate = Gate::new(policy, Credentials::default(), client.clone(), limits.clone());
            let started = Instant::now();
            let mut instance = connector.start(gate, limits.clone()).await.unwrap();
            starts.push(started.elapsed());
            instance.open(&request).await.unwrap();
            instance.next(1000, 1 << 20).await.unwrap();
            firsts.push(told.recv().unwrap() - started);
        }
        let kind = if pool.is_some() { "from a pool" } else { "on demand" };
        println!("instance {kind}: {:?} to start, {:?} to the first request", median(starts), median(firsts));
    }
}
