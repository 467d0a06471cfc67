//! Hosts that are an address in disguise, names that change theirs, and proxies that nobody asked for.

use crate::obedient::GUEST;
use crate::scripted::{Case, Kind, Place, alive};
use crate::server::{Answer, Server, get, ok, send};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use spile_host::gate::{Client, ClientOptions, Credentials, Gate, Names, Origin, Policy};
use spile_host::limits::Limits;
use spile_host::{Class, Error};
use std::io;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use wasmtime_wasi_http::Error as Code;

/// A run whose connector describes some origins, sends one request to an authority, and reports that it failed.
async fn asks(origins: &[String], private: &[String], authority: &str) -> (Vec<String>, Error) {
    let ask = json!({"ask": {"authority": authority, "path": "/page"}});
    let mut case = Case::steps(&[ask, json!({"fail": {"message": "the connector's own word"}})]);
    case.source["script"]["describe"]["origins"] = json!(origins);
    case.private = private.to_vec();
    let (place, mut told) = (Place::new(Kind::Parquet), Vec::new());
    let error = case.told(&place, &mut told).await.err().unwrap();
    place.has_nothing_of("hostile");
    (told, error)
}

async fn page() -> Server {
    Server::start(|_, _| Answer::Keep(ok(b"the page"))).await
}

#[tokio::test]
async fn an_address_is_refused_however_it_is_written() {
    let server = page().await;
    let port = server.address.port();
    let mut before = 0;
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7F.0.0.0x1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "0x0",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:FFFF:7F00:0001]",
        "localhost",
        "LOCALHOST",
    ] {
        let authority = format!("{host}:{port}");
        // One that is described in another form than this is not granted at all.
        let origin = format!("http://{authority}").parse::<Origin>().unwrap().to_string();
        let (told, error) = asks(std::slice::from_ref(&origin), &[], &authority).await;
        assert_eq!(
            (error.class, error.message.as_str()),
            (Class::Policy, "the connector may not reach this address"),
            "{host}: {told:?}"
        );
        assert_eq!(server.connections(), before, "{host} was connected to");

        // It would have gone through: it does where the operator permits it.
        let (told, _) = asks(std::slice::from_ref(&origin), std::slice::from_ref(&origin), &authority).await;
        assert!(told[0].ends_with("the page"), "{host}: {told:?}");
        before = server.connections();
    }
    alive(&Place::new(Kind::DuckDb)).await;
}

#[tokio::test]
async fn addresses_of_every_other_refused_kind_are_refused() {
    for host in [
        "[::1]",
        "[::]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[fd00:ec2::254]",
        "[fc00::1]",
        "[ff02::1]",
        "[2001::1]",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
        "100.100.100.200",
        "168.63.129.16",
        "10.1",
        "192.168.1",
        "172.16.0.1",
        "100.64.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let origin = format!("http://{host}:8080").parse::<Origin>().unwrap().to_string();
        let (told, error) = asks(&[origin], &[], &format!("{host}:8080")).await;
        assert_eq!(
            (error.class, error.message.as_str()),
            (Class::Policy, "the connector may not reach this address"),
            "{host}: {told:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_host_is_refused_where_it_is_described_and_where_it_is_asked() {
    let server = page().await;
    let port = server.address.port();
    for host in [
        "[fe80::1%25lo]",
        "[fe80::1%lo]",
        "[::1",
        "::1",
        "127.0.0.1.5",
        "0x7f.0.0.0.1",
        "256.0.0.1",
        "127.0.0.1%00",
        "127.0.0.1\0",
        "exa mple",
        "",
        "127。0。0。1",
        "ⓛocalhost",
        "a:b@127.0.0.1",
        "127.0.0.1:80",
    ] {
        let authority = format!("{host}:{port}");
        let (told, error) = asks(&[server.base()], &[server.base()], &authority).await;
        let refused = told.first().is_none_or(|told| told == "authority refused" || told.starts_with("code: "));
        assert!(refused, "{host:?}: {told:?} {error}");

        let case = Case::new(json!({"describe": {"resources": [], "origins": [format!("http://{authority}")]}}));
        let error = case.prepared(&Place::new(Kind::Parquet)).await.err().unwrap_or_else(|| panic!("{host:?}"));
        assert_eq!(error.class, Class::Config, "{host:?}");
    }
    assert_eq!(server.connections(), 0);
}

/// Answers with the first list, then with the second.
#[derive(Debug)]
struct Changing {
    answers: [Vec<IpAddr>; 2],
    asked: AtomicUsize,
}

impl Names for Changing {
    fn addresses(&self, _host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let answer = self.answers[self.asked.fetch_add(1, Ordering::SeqCst).min(1)].clone();
        Box::pin(async { Ok(answer) })
    }
}

/// A gate to a name that has these addresses first and those then, and its names.
fn named(first: &[&str], then: &[&str], port: u16, private: bool) -> (Gate, Arc<Changing>, String) {
    let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let names = Arc::new(Changing { answers: [parse(first), parse(then)], asked: AtomicUsize::default() });
    let origin: Origin = format!("http://changing.example:{port}").parse().unwrap();
    let private = if private { [origin.clone()].into() } else { Default::default() };
    let policy = Policy { origins: [origin].into(), private, ..Policy::default() };
    let limits = Limits { connect_timeout: Duration::from_millis(300), ..Limits::default() };
    let options = ClientOptions { names: names.clone(), ..ClientOptions::default() };
    let client = Client::with(&limits, options).unwrap();
    (Gate::new(policy, Credentials::default(), client, limits), names, format!("http://changing.example:{port}/"))
}

/// Global by its form; no machine has it.
const PUBLIC: &str = "2a00:ffff:ffff:ffff::1";

#[tokio::test]
async fn a_name_that_changes_its_address_gets_nowhere_private() {
    let server = page().await;
    let port = server.address.port();
    let (gate, names, url) = named(&["127.0.0.1"], &["127.0.0.1"], port, true);
    send(&gate, get(&url)).await.unwrap();
    assert_eq!((server.connections(), names.asked.load(Ordering::SeqCst)), (1, 1), "it would go through");

    // First a public address, then a private one.
    let (gate, names, url) = named(&[PUBLIC], &["127.0.0.1"], port, false);
    let first = send(&gate, get(&url)).await.err().unwrap();
    assert!(!matches!(first, Code::DestinationIpProhibited), "{first:?}");
    assert!(gate.denial().is_none());
    for _ in 0..3 {
        let code = send(&gate, get(&url)).await.err().unwrap();
        assert!(matches!(code, Code::DestinationIpProhibited), "{code:?}");
    }
    assert!(names.asked.load(Ordering::SeqCst) >= 4);
    assert_eq!(gate.denial().unwrap().class, Class::Policy);

    // Both at once, in both orders: the public one alone is dialled, and nobody is there.
    for mixed in [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC]] {
        let (gate, _, url) = named(&mixed, &mixed, port, false);
        let code = send(&gate, get(&url)).await.err().unwrap();
        assert!(!matches!(code, Code::DestinationIpProhibited), "{code:?}");
    }
    let forms = ["::ffff:127.0.0.1", "64:ff9b::7f00:1", "::1", "0.0.0.0", "fe80::1"];
    let (gate, _, url) = named(&forms, &forms, port, false);
    assert!(matches!(send(&gate, get(&url)).await, Err(Code::DestinationIpProhibited)));
    let (gate, _, url) = named(&[], &[], port, false);
    assert!(send(&gate, get(&url)).await.is_err());
    assert_eq!(server.connections(), 1);
}

/// What the program does with a pipeline whose connector sends one request, in this environment.
fn program(api: &str, environment: &[(&str, String)], flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("guest.wasm"), &*GUEST).unwrap();
    let authority = api.trim_start_matches("http://");
    let steps: Value = json!([{"ask": {"authority": authority}}, {"done": {"state": "{}"}}]);
    let script = json!({"describe": {"resources": [{"name": "r"}], "origins": [api]}, "steps": steps});
    let pipeline =
        json!({"name": "hostile", "source": {"script": script}, "dataset": "data", "policy": {"allow_private": [api]}});
    std::fs::write(folder.path().join("case.json"), pipeline.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_spile"))
        .args(["run", "case.json", "--component", "guest.wasm"])
        .args(flags)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_not_used() {
    let (api, proxy) = (page().await, Server::start(|_, _| Answer::Keep(ok(b"the proxy's"))).await);
    let (base, address) = (api.base(), proxy.base());
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let environment = names.map(|name| (name, address.clone()));
    let said = {
        let base = base.clone();
        tokio::task::spawn_blocking(move || program(&base, &environment, &[])).await.unwrap()
    };
    assert!(said.contains("the page"), "{said}");
    assert_eq!((api.connections(), proxy.connections()), (1, 0));
    // One that a person names is.
    let said = tokio::task::spawn_blocking(move || program(&base, &[], &["--proxy", &address])).await.unwrap();
    assert!(said.contains("the proxy's"), "{said}");
    assert_eq!((api.connections(), proxy.connections()), (1, 1));
    assert!(proxy.requests()[0].starts_with(&format!("GET {}/ HTTP/1.1\r\n", api.base())), "{:?}", proxy.requests());
}
