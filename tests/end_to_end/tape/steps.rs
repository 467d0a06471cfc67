//! The connector without a destination: each step that it hands over is the same in every replay.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use arrow_ipc::writer::StreamWriter;
use mock_api::{MockApi, Options, RetryAfter};
use serde_json::{Value, json};
use spile_host::{
    COMPONENT, Error,
    gate::{
        Client, Gate, Origin, Policy, Secrets, Tape, Withheld,
        tape::{Beginning, Part},
    },
    limits::Limits,
    sandbox::{CodeCache, Connector, Host, HostOptions, OpenRequest, SourceConfig, Step},
};

use super::{
    TIMES,
    har::{assert_har, entries, having, read},
};
use crate::setting::AS_GIVEN;

/// A run without a destination: the connector's own words, and all that it hands over.
struct Reader {
    connector: Connector,
    source: Value,
    window: u32,
}

impl Reader {
    fn new(source: Value, window: u32) -> Self {
        let host = Host::new(HostOptions { code_cache: CodeCache::of_user(), ..HostOptions::default() }).unwrap();
        Self { connector: host.load(COMPONENT).unwrap(), source, window }
    }

    /// The AI-platform source at this URL.
    fn of_platform(text: &str, url: &str, window: u32) -> Self {
        let mut source: Value = serde_json::from_str(text).unwrap();
        source["client"]["base_url"] = url.into();
        Self::new(source, window)
    }

    /// Reads to the end, or to the first error. Gives each step: rows as Arrow's bytes, and all else as texts.
    async fn read(&self, tape: Tape) -> (Vec<Vec<u8>>, Option<String>) {
        let (mut source, limits) = (self.source.clone(), Limits::default());
        let withheld = Withheld::take(&mut source).unwrap();
        let origin: Origin = source["client"]["base_url"].as_str().unwrap().parse().unwrap();
        let policy = Policy { origins: [origin.clone()].into(), private: [origin.clone()].into(), ..Policy::default() };
        let gate = if tape.is_replay() {
            Gate::replaying(Policy { private: [].into(), ..policy }, limits.clone(), tape.clone())
        } else {
            let mut secrets = Secrets::default();
            secrets.set("api_key", Options::default().token);
            let mut credentials = withheld.resolve(&secrets).unwrap();
            credentials.bind("/client/auth", [origin]).unwrap();
            let client = Client::new(&limits).unwrap();
            Gate::new(policy, credentials, client, limits.clone()).recording(tape.clone())
        };
        let mut instance = self.connector.start(gate, limits).await.unwrap();
        tape.begin(&Beginning { load_id: "1".to_owned(), parts: vec![(Part::Config, source.to_string())] }).unwrap();
        let bindings = json!({"app_id": "applications.id", "model_id": "models.id"});
        let source = SourceConfig {
            config: source.to_string(),
            params: json!({"user_id": Options::default().user}).to_string(),
            bindings: bindings.to_string(),
        };
        let request = OpenRequest { window: self.window, load_id: "1".to_owned(), ..OpenRequest::new(source) };
        instance.open(&request).await.unwrap();
        let mut steps = Vec::new();
        let outcome = loop {
            let step = match instance.next(100, 1 << 16).await {
                Ok(step) => step,
                Err(error) => break Err(error),
            };
            steps.push(bytes(&step));
            match step {
                Step::Wait(wait) if !tape.is_replay() => {
                    let now = jiff::Timestamp::now().as_millisecond().unsigned_abs();
                    tokio::time::sleep(Duration::from_millis(wait.until.saturating_sub(now))).await;
                }
                Step::Done(_) => break Ok(()),
                _ => {}
            }
        };
        let warning = tape.end(outcome.as_ref().err()).unwrap();
        assert!(warning.is_none(), "{warning:?}");
        (steps, outcome.err().map(|error: Error| error.to_string()))
    }

    /// Records, and plays what was recorded, again and again.
    async fn is_repeated(&self, folder: &Path) -> (Vec<Vec<u8>>, Option<String>, Value) {
        let path = folder.join("run.har");
        let (steps, error) = self.read(Tape::record(&path).unwrap()).await;
        let har = read(&path);
        assert_har(&har);
        let started = Instant::now();
        for _ in 0..TIMES {
            let again = self.read(Tape::replay(&path).unwrap()).await;
            assert!(again.0 == steps, "{} and {} steps", again.0.len(), steps.len());
            assert_eq!(again.1, error);
        }
        println!("{} steps, {} entries; {TIMES} replays in {:?}", steps.len(), entries(&har).len(), started.elapsed());
        (steps, error, har)
    }
}

/// All that a step says.
fn bytes(step: &Step) -> Vec<u8> {
    match step {
        Step::Batch(batch) => {
            let mut bytes = Vec::new();
            for rows in &batch.tables {
                let mut writer = StreamWriter::try_new(&mut bytes, &rows.rows.schema()).unwrap();
                writer.write(&rows.rows).unwrap();
                writer.finish().unwrap();
                let said =
                    (&rows.table, &rows.resource, &rows.parent, &rows.roots, &rows.new_columns, &rows.widened_columns);
                bytes.extend(format!("{said:?}").into_bytes());
            }
            bytes.extend(format!("{:?}", (&batch.state, &batch.schema, &batch.changes, &batch.counts)).into_bytes());
            bytes
        }
        other => format!("{other:?}").into_bytes(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replay_is_the_recorded_run_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let api = MockApi::start(Options { apps: 9, inputs: 45, ..Options::default() }).unwrap();
    for window in [1, 8] {
        let (steps, error, har) =
            Reader::of_platform(AS_GIVEN, api.base_url(), window).is_repeated(folder.path()).await;
        assert_eq!(error, None);
        assert!(steps.len() > 5 && entries(&har).len() > 100, "{} {}", steps.len(), entries(&har).len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_has_the_faults_of_the_recorded_run() {
    let folder = tempfile::tempdir().unwrap();
    let retry_after = Some(RetryAfter::Seconds(1));
    let faults = Options { too_many_every: 23, error_every: 7, truncate_every: 11, retry_after, ..Options::default() };
    let api = MockApi::start(faults).unwrap();
    let text = AS_GIVEN.replace("\"backoff_factor\": 2", "\"backoff_factor\": 0.01").replace("429\n", "429, 500\n");
    for window in [1, 8] {
        let (_, error, har) = Reader::of_platform(&text, api.base_url(), window).is_repeated(folder.path()).await;
        assert_eq!(error, None);
        for status in [429, 500] {
            assert!(having(&har, "/response/status", &status.into()) > 1, "{status}");
        }
        assert!(having(&har, "/response/_error", &"HttpResponseIncomplete".into()) > 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_fails_as_the_recorded_run_did() {
    let folder = tempfile::tempdir().unwrap();
    let impatient = AS_GIVEN.replace("\"backoff_factor\": 2", "\"backoff_factor\": 0.01");
    let slow = Options { latency_ms: 2000, ..Options::default() };
    let api = MockApi::start(slow).unwrap();
    let late = {
        let mut source: Value = serde_json::from_str(&impatient).unwrap();
        source["client"]["timeouts"] = json!({"first_byte": 0.2});
        source.to_string()
    };
    for (text, url, code) in [
        // The first port of all: nothing has been listening there for decades.
        (&impatient, "http://127.0.0.1:1", "ConnectionRefused"),
        (&late, api.base_url(), "HttpResponseTimeout"),
    ] {
        let (_, error, har) = Reader::of_platform(text, url, 4).is_repeated(folder.path()).await;
        assert!(error.unwrap().contains("attempts: 4"));
        assert_eq!(having(&har, "/response/_error", &code.into()), 4, "{har:#}");
    }
}
