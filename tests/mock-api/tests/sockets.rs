//! The API as a client meets it, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mock_api::{Collection, MockApi, Options, RetryAfter};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// What came over the wire.
struct Reply {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a whole JSON body")
    }
}

/// Asks on a connection of its own, and reads until the server closes it: no client stands between the test and what
/// is sent.
fn get(base_url: &str, target: &str, token: Option<&str>) -> Reply {
    let mut stream = TcpStream::connect(base_url.strip_prefix("http://").unwrap()).unwrap();
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: mock\r\n{authorization}Connection: close\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("the end of the headers");
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Reply { status, headers: lines.filter_map(header).collect(), body: bytes[end + 4..].to_vec() }
}

fn ask(api: &MockApi, target: &str) -> Reply {
    get(api.base_url(), target, Some(&Options::default().token))
}

/// All records of one chain, asked for page by page until an empty one.
fn read_chain(api: &MockApi, collection: Collection, path: &str) -> Vec<Value> {
    let mut records = Vec::new();
    for page in 1.. {
        let reply = ask(api, &format!("{path}?page={page}&per_page=20"));
        assert_eq!(reply.status, 200, "{path}");
        let body = reply.json();
        assert_eq!(body["status"]["code"], 10_000);
        let rows = body[collection.selector()].as_array().unwrap();
        if rows.is_empty() {
            break;
        }
        records.extend(rows.iter().cloned());
    }
    records
}

#[test]
fn every_chain_holds_what_is_expected() {
    let api = MockApi::start(Options::default()).unwrap();
    let expected = api.expected();
    for collection in Collection::ALL {
        let paths = api.paths(collection);
        let read: Vec<Value> = paths.iter().flat_map(|path| read_chain(&api, collection, path)).collect();
        assert_eq!(read, api.records(collection));
        assert_eq!(read.len() as u64, expected.resources[collection.resource()]);
        let ids: BTreeSet<&str> = read.iter().map(|record| record["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), read.len(), "ids of {collection:?} are unique");
    }
    // Per application one page of records and the empty one after it; two full pages more of inputs, one of concepts.
    assert_eq!(api.stats().total, 2 + 3 * (2 + 2 + 3 * 2 + 2 + 4 + 2 + 3));
    assert_eq!(api.stats().by_target["/v2/users/acme/apps?page=2&per_page=20"], 1);
}

#[test]
fn refuses_without_the_token_and_beyond_its_paths() {
    let api = MockApi::start(Options::default()).unwrap();
    let apps = "/v2/users/acme/apps";
    for token in [None, Some(""), Some("mock-token2"), Some("other")] {
        let reply = get(api.base_url(), apps, token);
        assert_eq!(reply.status, 401);
        assert_eq!(reply.json()["status"]["code"], 11_102);
    }
    for (target, status) in [
        ("/v2/users/other/apps", 404),
        ("/", 404),
        ("/v2/users/acme/apps/app-9/models", 404),
        ("/v2/users/acme/apps?page=0", 400),
        ("/v2/users/acme/apps?per_page=1001", 400),
    ] {
        let reply = ask(&api, target);
        assert_eq!(reply.status, status, "{target}");
        assert!(reply.json()["status"]["description"].is_string());
    }
    assert_eq!(api.stats().by_status, BTreeMap::from([(400, 2), (401, 4), (404, 3)]));
}

#[test]
fn every_third_request_gets_429_and_its_retry_the_page() {
    let options = Options { too_many_every: 3, retry_after: Some(RetryAfter::Seconds(2)), ..Options::default() };
    let api = MockApi::start(options.clone()).unwrap();
    let statuses: Vec<u16> =
        (1..=7).map(|page| ask(&api, &format!("/v2/users/acme/apps?page={page}")).status).collect();
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429, 200]);
    let retried = ask(&api, "/v2/users/acme/apps?page=3");
    assert_eq!(retried.status, 200);

    api.set_options(Options { too_many_every: 1, ..options.clone() });
    assert_eq!(ask(&api, "/v2/users/acme/apps").headers["retry-after"], "2");
    let at_once = Options { too_many_every: 1, retry_after: Some(RetryAfter::Date(0)), ..options.clone() };
    api.set_options(at_once);
    assert!(ask(&api, "/v2/users/acme/apps").headers["retry-after"].ends_with(" GMT"));
    api.set_options(Options { too_many_every: 1, retry_after: None, ..options });
    assert!(!ask(&api, "/v2/users/acme/apps").headers.contains_key("retry-after"));
}

#[test]
fn one_collection_is_refused_for_ever() {
    let api = MockApi::start(Options { too_many_forever: Some(Collection::Datasets), ..Options::default() }).unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&api, "/v2/users/acme/apps/app-0/datasets?page=1").status, 429);
        assert_eq!(ask(&api, "/v2/users/acme/apps/app-0/models?page=1").status, 200);
    }
    assert_eq!(api.stats().by_target["/v2/users/acme/apps/app-0/datasets?page=1"], 3);
}

#[test]
fn server_errors_and_broken_bodies_heal_on_retry() {
    let api = MockApi::start(Options { error_every: 2, ..Options::default() }).unwrap();
    let statuses: Vec<u16> = [1, 2, 2, 3].map(|n| ask(&api, &format!("/v2/users/acme/apps?page={n}")).status).into();
    assert_eq!(statuses, [200, 500, 200, 500]);

    api.reset_stats();
    api.set_options(Options { truncate_every: 1, ..Options::default() });
    let target = "/v2/users/acme/apps/app-0/inputs";
    let (broken, whole) = (ask(&api, target), ask(&api, target));
    assert_eq!((broken.status, whole.status), (200, 200));
    assert_eq!(broken.headers["content-length"], whole.body.len().to_string());
    assert_eq!(broken.body, whole.body[..whole.body.len() / 2]);
    assert_eq!(api.stats().truncated, 1);
}

#[test]
fn a_revision_changes_records_and_keeps_ids() {
    let api = MockApi::start(Options::default()).unwrap();
    let read = || read_chain(&api, Collection::AppInputs, "/v2/users/acme/apps/app-0/inputs");
    let before = read();
    api.set_options(Options { revision: 1, ..api.options() });
    let after = read();
    let changed = before.iter().zip(&after).filter(|(old, new)| old != new).count();
    assert!(before.iter().zip(&after).all(|(old, new)| old["id"] == new["id"]));
    assert_eq!(changed, before.len().div_ceil(3));
}

#[test]
fn keeps_connections_and_speaks_http_2() {
    let api = MockApi::start(Options::default()).unwrap();
    let uri = format!("{}/v2/users/acme/apps?per_page=2", api.base_url());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(api.base_url().strip_prefix("http://").unwrap()).await.unwrap();
        let io = TokioIo::new(stream);
        let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..3 {
            let request = hyper::Request::get(&uri).header("authorization", "Bearer mock-token");
            let response = client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
            assert_eq!(response.version(), hyper::Version::HTTP_2);
            let body: Value = serde_json::from_slice(&response.collect().await.unwrap().to_bytes()).unwrap();
            assert_eq!(body["apps"].as_array().unwrap().len(), 2);
        }
    });
    let stats = api.stats();
    assert_eq!((stats.total, stats.connections, stats.in_flight_peak), (3, 1, 1));
}

#[test]
fn its_connections_end_with_it() {
    let api = MockApi::start(Options::default()).unwrap();
    let mut stream = TcpStream::connect(api.base_url().strip_prefix("http://").unwrap()).unwrap();
    drop(api);
    // Closed or reset, but over: an open connection would keep this read waiting.
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn the_program_says_where_it_listens_and_ends_with_its_parent() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mock-api"))
        .args(["--apps", "2", "--token", "secret", "--retry-after", "date+1", "--until-stdin-closes"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let base_url = line.trim_end().strip_prefix("listening on ").unwrap();
    assert_eq!(get(base_url, "/v2/users/acme/apps", Some("secret")).status, 200);
    assert_eq!(get(base_url, "/_expected", None).json()["resources"]["applications"], 2);
    let stats = get(base_url, "/_stats", None).json();
    assert_eq!(stats["by_target"]["/v2/users/acme/apps"], 1);
    assert_eq!((&stats["total"], &stats["by_status"]["200"]), (&1.into(), &1.into()));
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
}

#[test]
fn the_program_ends_on_a_signal() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mock-api")).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(Command::new("kill").arg(program.id().to_string()).status().unwrap().success());
    assert!(program.wait().unwrap().success());
}
