//! The sandbox, with a connector that does its worst.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod obedient;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use obedient::{CONNECTOR, GUEST, HOST};
use serde_json::json;
use spile_host::gate::{Client, Credentials, Gate, Origin, Policy, Secrets, Withheld};
use spile_host::limits::Limits;
use spile_host::sandbox::{CodeCache, CodeSource, Host, HostOptions, Instance, OpenRequest, SourceConfig, Step};
use spile_host::{Class, Error};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn source(config: &str) -> SourceConfig {
    SourceConfig::new(config)
}

fn request(command: &str) -> OpenRequest {
    let (state, load_id) = (Some("the state".to_owned()), "1".to_owned());
    OpenRequest { state, load_id, ..OpenRequest::new(source(command)) }
}

/// An instance that was told what to do.
async fn told(command: &str, gate: Gate, limits: Limits) -> Instance {
    let mut instance = CONNECTOR.start(gate, limits).await.unwrap();
    instance.open(&request(command)).await.unwrap();
    instance
}

async fn obey(command: &str, limits: Limits) -> Result<Step, Error> {
    told(command, Gate::closed(), limits).await.next(10, 1000).await
}

/// The instance reports this breach, and is not there any more.
async fn breaches(command: &str, limits: Limits, message: &str) {
    let mut instance = told(command, Gate::closed(), limits).await;
    let error = instance.next(10, 1000).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::Policy, message), "{command}");
    assert_eq!(error.facts[0].0, "limit");
}

#[tokio::test]
async fn a_connector_is_asked_and_answers() {
    let mut instance = CONNECTOR.start(Gate::closed(), Limits::default()).await.unwrap();
    assert_eq!(instance.spec().await.unwrap(), "{}");
    let description = instance.describe(&source("a warning")).await.unwrap();
    assert_eq!(description.origins, ["http://example.com:80"]);
    assert_eq!(description.warnings[0].message, "a warning");
    let errors = instance.describe(&source("refuse")).await.unwrap_err();
    assert_eq!(errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(instance.describe(&source("refuse without a word")).await.unwrap_err().len(), 1);
    instance.check(&source("done")).await.unwrap();

    assert_eq!(instance.next(1, 1).await.unwrap_err().message, "no reader is open");
    assert_eq!(instance.open(&OpenRequest { window: 0, ..request("done") }).await.unwrap_err().class, Class::Config);
    for _ in 0..2 {
        instance.open(&request("done")).await.unwrap();
        let Step::Done(summary) = instance.next(1, 1).await.unwrap() else { panic!("not done") };
        assert_eq!(summary.state, "the state");
    }
    assert!((1 << 16..10 << 20).contains(&instance.usage().peak_memory), "{}", instance.usage().peak_memory);
}

#[tokio::test]
async fn what_a_connector_uses_up_is_bounded() {
    let limits = Limits::default;
    let memory = Limits { memory: 8 << 20, ..limits() };
    breaches("hog", memory, "the limit on the connector's memory was reached").await;
    let cpu = Limits { cpu: Duration::from_millis(50), ..limits() };
    breaches("spin", cpu, "the limit on the connector's computing time was reached").await;
    let wall = Limits { wall: Duration::from_millis(50), ..limits() };
    breaches("sleep", wall.clone(), "the limit on the time of a run was reached").await;
    breaches("spin", wall, "the limit on the time of a run was reached").await;
    let handles = Limits { handles: 100, ..limits() };
    breaches("handles", handles, "the limit on what a connector may hold open was reached").await;
    let size = Limits { batch_size: 1000, state_size: 1000, ..limits() };
    breaches("size 1001", size.clone(), "the limit on the size of a batch was reached").await;
    breaches("state 1001", size.clone(), "the limit on the size of a state was reached").await;
    breaches(
        "size 2000000",
        size.clone(),
        "the connector handed over more in one call than a batch and a state may have",
    )
    .await;
    assert!(obey("state 1000", size).await.is_ok());
}

#[tokio::test]
async fn the_handles_of_the_component_model_are_bounded() {
    let limits = Limits { handles: 3, ..Limits::default() };
    let mut instance = told("handles", Gate::closed(), limits).await;
    let error = instance.next(1, 1).await.unwrap_err();
    assert_eq!(error.message, "the limit on what a connector may hold open was reached");
}

#[tokio::test]
async fn waiting_is_not_computing() {
    let limits = Limits { cpu: Duration::from_millis(50), ..Limits::default() };
    assert!(obey("wait 10", limits).await.is_ok());
}

#[tokio::test]
async fn an_instance_that_computes_lets_others_work() {
    // One thread: the second instance has its turn only if the first one yields.
    let limits = Limits { cpu: Duration::from_millis(500), ..Limits::default() };
    let (spinning, working) = tokio::join!(biased; obey("spin", limits), obey("done", Limits::default()));
    assert_eq!(spinning.unwrap_err().class, Class::Policy);
    assert!(working.is_ok());
}

#[tokio::test]
async fn an_instance_that_crashed_is_not_used_again() {
    let mut instance = told("crash", Gate::closed(), Limits::default()).await;
    let error = instance.next(1, 1).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::Internal, "the connector crashed"));
    assert!(error.facts.iter().any(|(label, text)| *label == "backtrace" && text.contains("wasm")), "{error}");
    assert!(instance.next(1, 1).await.unwrap_err().message.contains("has ended"));

    let mut instance = told("sleep", Gate::closed(), Limits::default()).await;
    tokio::select! {
        biased;
        _ = instance.next(1, 1) => panic!("it sleeps"),
        () = tokio::task::yield_now() => {}
    }
    assert!(instance.next(1, 1).await.unwrap_err().message.contains("has ended"));
}

#[tokio::test]
async fn a_report_becomes_an_error_of_the_host_without_secrets() {
    let credentials = credentials(&[]);
    let limits = Limits::default();
    let gate = Gate::new(Policy::default(), credentials, Client::new(&limits).unwrap(), limits.clone());
    let error = told("fail t0ken-t0ken", gate.clone(), limits.clone()).await.next(1, 1).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::Auth, "the API said ***"));
    assert_eq!((error.pointer.as_deref(), error.advice.as_deref()), (Some("/resources/0"), Some("do ***")));
    let facts = [("resource", "r"), ("url", "https://example.com/?q=***"), ("status", "401"), ("attempts", "3")];
    assert_eq!(error.facts, facts.map(|(label, text)| (label, text.to_owned())));

    let Step::Wait(wait) = told("say t0ken-t0ken", gate, limits).await.next(1, 1).await.unwrap() else { panic!() };
    assert_eq!(wait.reason, "***");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_can_go_on_on_any_thread() {
    let step = tokio::spawn(async { obey("wait 1", Limits::default()).await }).await.unwrap();
    assert!(matches!(step, Ok(Step::Done(_))));
}

/// The command that hands over this batch, announced with this number of rows.
fn rows(announced: usize, batches: &[RecordBatch]) -> String {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    let digits: String = writer.into_inner().unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("rows {announced} {digits}")
}

fn two_rows() -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let name: ArrayRef = Arc::new(StringArray::from(vec![Some("ä"), None]));
    RecordBatch::try_from_iter_with_nullable([("id", id, true), ("name", name, true)]).unwrap()
}

#[tokio::test]
async fn rows_are_read() {
    let Step::Batch(batch) = obey(&rows(2, &[two_rows()]), Limits::default()).await.unwrap() else { panic!() };
    let table = &batch.tables[0];
    assert_eq!((table.table.as_str(), table.resource.as_str(), &table.rows), ("t", "r", &two_rows()));
    assert_eq!((table.new_columns[0].name.as_str(), batch.counts[0].rows, batch.state.as_str()), ("id", 2, "{}"));
}

#[tokio::test]
async fn rows_that_are_not_what_they_should_be_are_an_error() {
    let whole = rows(2, &[two_rows()]);
    for (command, reason) in [
        (rows(3, &[two_rows()]), "3 rows were announced and 2 came"),
        (rows(4, &[two_rows(), two_rows()]), "more than one record batch"),
        ("ndjson".to_owned(), "not in Arrow's form"),
        ("size 0".to_owned(), "no record batch"),
        (whole[..whole.len() / 2].to_owned(), ""),
        (format!("rows 2 {}", "ff".repeat(100)), ""),
        (format!("rows 2 {}", "deadbeef".repeat(100)), ""),
    ] {
        let error = obey(&command, Limits::default()).await.unwrap_err();
        assert_eq!(error.message, "the connector handed over rows that cannot be read");
        assert!(error.to_string().contains(reason), "{error}");
    }
    // Bytes that someone turned over: an error or other rows, and never a panic.
    for place in 7..whole.len() {
        let mut digits = whole.clone().into_bytes();
        digits[place] = if digits[place] == b'f' { b'0' } else { b'f' };
        let turned = String::from_utf8(digits).unwrap();
        if let Err(error) = obey(&turned, Limits::default()).await {
            assert!(error.message.starts_with("the connector handed over rows"), "{error}");
        }
    }
}

fn credentials(origins: &[Origin]) -> Credentials {
    let mut secrets = Secrets::default();
    secrets.set("api_key", "t0ken-t0ken".to_owned());
    let mut source = json!({"client": {"auth": {"token": {"secret": "api_key"}}}});
    let mut credentials = Withheld::take(&mut source).unwrap().resolve(&secrets).unwrap();
    credentials.bind("/client/auth", origins.iter().cloned()).unwrap();
    credentials
}

/// Answers each connection with these bytes; the request's own text follows where they end in a blank line.
async fn server(answer: &'static str) -> Origin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            if answer.ends_with("\r\n\r\n") {
                stream.write_all(&request).await.unwrap();
            }
        }
    });
    origin
}

fn get(origin: &Origin) -> String {
    format!("get {}/path", origin.to_string().trim_start_matches("http://"))
}

/// A gate that lets requests through to this origin; the operator allowed its address.
fn gate(origin: &Origin, limits: &Limits) -> Gate {
    let policy = Policy { origins: [origin.clone()].into(), private: [origin.clone()].into(), ..Policy::default() };
    Gate::new(policy, credentials(std::slice::from_ref(origin)), Client::new(limits).unwrap(), limits.clone())
}

#[tokio::test]
async fn requests_of_a_connector_pass_the_gate_and_its_memory_holds_no_token() {
    let limits = Limits::default();
    let origin = server("HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 5\r\n\r\nhello").await;
    let mut instance = told(&get(&origin), gate(&origin, &limits), limits).await;
    let Step::Wait(wait) = instance.next(1, 1).await.unwrap() else { panic!() };
    assert_eq!(wait.reason, "200 hello true");
    let counts = instance.gate().counts();
    assert_eq!((counts.requests, counts.received), (1, 5));

    let image = instance.into_memory_image().await.unwrap();
    let holds = |text: &str| image.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("hello") && holds("spile-credential"));
    assert!(!holds("t0ken"));
}

#[tokio::test]
async fn the_host_signed_the_request() {
    let limits = Limits::default();
    // What the server was sent comes back as the body, until it closes the connection.
    let origin = server("HTTP/1.1 200 OK\r\n\r\n").await;
    let mut instance = told(&get(&origin), gate(&origin, &limits), limits).await;
    let Step::Wait(wait) = instance.next(1, 1).await.unwrap() else { panic!() };
    // The token that came back is redacted in what the person sees.
    assert!(wait.reason.contains("authorization: Bearer ***\r\n"), "{}", wait.reason);
    assert!(!wait.reason.contains("spile-credential"), "{}", wait.reason);
}

#[tokio::test]
async fn a_denial_is_what_the_person_sees() {
    let limits = Limits::default();
    let origin = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let policy = Policy { origins: [origin.clone()].into(), private: [].into(), ..Policy::default() };
    let client = Client::new(&limits).unwrap();
    let gate = Gate::new(policy, credentials(std::slice::from_ref(&origin)), client, limits.clone());
    let error = told(&get(&origin), gate, limits).await.next(1, 1).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::Policy, "the connector may not reach this address"));
    assert_eq!(error.advice.unwrap(), format!("allow it with --allow-private {origin}"));
}

#[tokio::test]
async fn a_truncated_body_is_no_end_for_the_connector() {
    let limits = Limits::default();
    let origin = server("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let error = told(&get(&origin), gate(&origin, &limits), limits).await.next(1, 1).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::Source, "incomplete HTTP response"));
}

#[tokio::test]
async fn a_response_that_is_too_large_names_the_limit() {
    let limits = Limits { response_size: 4, ..Limits::default() };
    let origin = server("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
    let error = told(&get(&origin), gate(&origin, &limits), limits).await.next(1, 1).await.unwrap_err();
    assert_eq!(
        (error.class, error.message.as_str()),
        (Class::Policy, "the limit on the size of a response was reached")
    );
}

#[test]
fn a_component_that_asks_for_more_is_not_loaded() {
    for import in
        ["wasi:filesystem/types@0.2.4", "wasi:sockets/tcp@0.2.4", "wasi:cli/environment@0.2.0", "wasi:io/poll@0.3.0"]
    {
        let wat = format!(r#"(component (import "{import}" (instance)))"#);
        let error = error_of(&wat);
        assert_eq!((error.class, &error.facts[0]), (Class::Policy, &("import", import.to_owned())));
    }
    for wat in ["(component)", "(module)", "not wasm at all"] {
        assert_eq!(error_of(wat).class, Class::Config, "{wat}");
    }
}

fn error_of(wat: &str) -> Error {
    let wasm = wat::parse_str(wat).unwrap_or_else(|_| wat.as_bytes().to_vec());
    HOST.load(&wasm).err().expect("it was loaded")
}

#[test]
fn compiled_code_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let options = HostOptions { code_cache: Some(CodeCache::at(folder.path())), ..HostOptions::default() };
    let sources = [0, 1].map(|_| Host::new(options.clone()).unwrap().load(&GUEST).unwrap().code_source());
    assert_eq!(sources, [CodeSource::Compiled, CodeSource::Cached]);
}

/// The connector that Spile ships imports no more than a connector may, and is one.
#[test]
fn the_own_connector_is_loaded() {
    let connector = HOST.load(spile_host::COMPONENT).unwrap();
    assert_eq!(connector.digest(), spile_host::COMPONENT_DIGEST);
    assert_eq!(HOST.load_built_in().unwrap().digest(), connector.digest());
}
