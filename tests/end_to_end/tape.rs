//! Runs that are recorded, and the same runs again from their tapes.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use arrow_ipc::writer::StreamWriter;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mock_api::{MockApi, Options, RetryAfter, scripted::ScriptedApi};
use serde_json::{Value, json};
use spile_host::{
    COMPONENT, Error,
    destination::Target,
    gate::{
        Client, Gate, Origin, Policy, Secrets, Tape, Withheld,
        tape::{Beginning, Part},
    },
    sandbox::{CodeCache, Connector, Extent, Host, HostOptions, Limits, OpenRequest, SourceConfig, Step},
};

use crate::{
    program::{Call, Outcome},
    setting::{AS_GIVEN, DATASET, SHIPPED, Setting},
    tables::Tables,
};

/// How often a tape is played.
const TIMES: usize = 10;

/// A secret that every encoding changes.
const SECRET: &str = "t0ken+with a \"blank\"";

fn read(tape: &Path) -> Value {
    serde_json::from_slice(&fs::read(tape).unwrap()).unwrap()
}

/// Panics where a document is not HAR 1.2: every field that the format demands, with its type, and no field of its own that does not
/// begin with `_`.
#[track_caller]
fn assert_har(document: &Value) {
    type Fields<'f> = &'f [(&'f str, &'f str)];
    fn check(place: &str, value: &Value, demanded: Fields<'_>, optional: &[&str]) {
        let object = value.as_object().unwrap_or_else(|| panic!("{place} is no object"));
        for (name, kind) in demanded {
            let is_right = match (*kind, object.get(*name)) {
                (_, None) => panic!("{place} has no {name}"),
                ("text", Some(value)) => value.is_string(),
                ("count", Some(value)) => value.as_i64().is_some_and(|count| count >= -1),
                ("time", Some(value)) => value.as_f64().is_some_and(|time| time >= 0.0),
                ("list", Some(value)) => value.is_array(),
                ("object", Some(value)) => value.is_object(),
                ("instant", Some(value)) => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
                (other, _) => panic!("{other}"),
            };
            assert!(is_right, "{place}/{name} is {}", object[*name]);
        }
        for name in object.keys() {
            let is_known = demanded.iter().any(|(known, _)| known == name) || optional.contains(&name.as_str());
            assert!(is_known || name.starts_with('_'), "{place}/{name}");
        }
    }
    const FIELD: Fields<'_> = &[("name", "text"), ("value", "text")];
    check("", document, &[("log", "object")], &[]);
    let log = &document["log"];
    check(
        "log",
        log,
        &[("version", "text"), ("creator", "object"), ("entries", "list")],
        &["pages", "browser", "comment"],
    );
    assert_eq!(log["version"], "1.2");
    check("creator", &log["creator"], &[("name", "text"), ("version", "text")], &[]);
    let mut orders = BTreeSet::new();
    for entry in log["entries"].as_array().unwrap() {
        let demanded: Fields<'_> = &[
            ("startedDateTime", "instant"),
            ("time", "time"),
            ("request", "object"),
            ("response", "object"),
            ("cache", "object"),
            ("timings", "object"),
        ];
        check("entry", entry, demanded, &["pageref", "serverIPAddress", "connection", "comment"]);
        check("timings", &entry["timings"], &[("send", "time"), ("wait", "time"), ("receive", "time")], &[]);
        let both: Fields<'_> = &[
            ("httpVersion", "text"),
            ("cookies", "list"),
            ("headers", "list"),
            ("headersSize", "count"),
            ("bodySize", "count"),
        ];
        let request = &entry["request"];
        let of_request: Fields<'_> = &[("method", "text"), ("url", "text"), ("queryString", "list")];
        check("request", request, &[of_request, both].concat(), &["postData"]);
        for field in ["headers", "queryString"].iter().flat_map(|list| request[list].as_array().unwrap()) {
            check("field", field, FIELD, &[]);
        }
        if let Some(post) = request.get("postData") {
            check("postData", post, &[("mimeType", "text"), ("text", "text")], &["params"]);
        }
        let response = &entry["response"];
        let of_response: Fields<'_> =
            &[("status", "count"), ("statusText", "text"), ("content", "object"), ("redirectURL", "text")];
        check("response", response, &[of_response, both].concat(), &[]);
        response["headers"].as_array().unwrap().iter().for_each(|field| check("field", field, FIELD, &[]));
        check("content", &response["content"], &[("size", "count"), ("mimeType", "text")], &["text", "encoding"]);
        assert_eq!(response["status"] == 0, response["content"]["size"] == 0 && response.get("_error").is_some());
        orders.insert(entry["_order"].as_u64().unwrap());
    }
    assert!(orders.iter().copied().eq(0..log["entries"].as_array().unwrap().len() as u64), "{orders:?}");
}

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
        let policy = Policy { origins: [origin.clone()].into(), private: [origin.clone()].into() };
        let gate = if tape.is_replay() {
            Gate::replaying(Policy { private: [].into(), ..policy }, limits.http.clone(), tape.clone())
        } else {
            let mut secrets = Secrets::default();
            secrets.set("api_key", Options::default().token);
            let mut credentials = withheld.resolve(&secrets).unwrap();
            credentials.bind("/client/auth", [origin]).unwrap();
            let client = Client::new(&limits.http).unwrap();
            Gate::new(policy, credentials, client, limits.http.clone()).recording(tape.clone())
        };
        let mut instance = self.connector.start(gate, limits).await.unwrap();
        tape.begin(&Beginning { load_id: "1".to_owned(), parts: vec![(Part::Config, source.to_string())] }).unwrap();
        let bindings = json!({"app_id": "applications.id", "model_id": "models.id"});
        let request = OpenRequest {
            source: SourceConfig {
                config: source.to_string(),
                params: json!({"user_id": Options::default().user}).to_string(),
                bindings: bindings.to_string(),
            },
            resources: Vec::new(),
            state: None,
            schema: None,
            window: self.window,
            load_id: "1".to_owned(),
            extent: Extent::default(),
        };
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

fn entries(har: &Value) -> &[Value] {
    har["log"]["entries"].as_array().unwrap()
}

/// How many entries have this value at a JSON pointer.
fn having(har: &Value, pointer: &str, value: &Value) -> usize {
    entries(har).iter().filter(|entry| entry.pointer(pointer) == Some(value)).count()
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

/// A recorded run of the program, into a database.
struct Recorded {
    setting: Setting,
    tape: PathBuf,
    outcome: Outcome,
}

impl Recorded {
    fn new(options: Options, arguments: &[&str]) -> Self {
        let setting = Setting::new(options);
        let tape = setting.folder().join("run.har");
        let outcome = setting.run(SHIPPED).with(["--record", "run.har"]).with(arguments).outcome();
        Self { setting, tape, outcome }
    }

    /// The API goes.
    fn alone(&mut self) -> &mut Self {
        let url = self.setting.api.base_url().to_owned();
        let other = MockApi::start(self.setting.api.options()).unwrap();
        drop(std::mem::replace(&mut self.setting.api, other));
        let address = url.strip_prefix("http://").unwrap();
        let gone = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_ok() {
            assert!(Instant::now() < gone, "the API is still there");
        }
        self
    }

    /// The call that replays it, without a secret and without leave to reach this machine.
    fn replay(&self, url: &str, database: &str) -> Call {
        let user = format!("user_id={}", self.setting.api.options().user);
        Call::new(self.setting.folder(), &["run", SHIPPED, "--base-url", url, "--param", &user])
            .with(["--to", &format!("duckdb:{database}"), "--dataset", DATASET, "--summary", "json"])
            .with(["--replay", "run.har"])
    }
}

#[test]
fn the_program_replays_without_network_and_secrets() {
    let options = Options { apps: 5, token: SECRET.to_owned(), user: "a/b ü".to_owned(), ..Options::default() };
    let mut recorded = Recorded::new(options, &[]);
    let url = recorded.setting.api.base_url().to_owned();
    let summary =
        std::mem::replace(&mut recorded.outcome, Outcome { code: 0, stdout: String::new(), stderr: String::new() });
    let summary = summary.ended_with(0).summary();
    let tables = recorded.setting.tables();
    tables.assert_equal(&Tables::of_api(&recorded.setting.api));

    assert_eq!(fs::metadata(&recorded.tape).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&recorded.tape).unwrap();
    let percent = "t0ken%2Bwith%20a%20%22blank%22";
    for secret in [SECRET, "t0ken", percent, &STANDARD.encode(SECRET)] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(!text.contains("authorization") && !text.contains("spile-credential"));
    let har = read(&recorded.tape);
    assert_har(&har);
    assert_eq!(entries(&har).len() as u64, summary.of_all("requests"));
    assert_eq!(entries(&har)[0]["request"]["_credential"], "/client/auth");
    assert!(entries(&har).iter().all(|entry| entry["response"]["content"]["text"].is_string()));

    recorded.alone();
    for nth in 0..TIMES {
        let database = format!("{nth}.duckdb");
        let again = recorded.replay(&url, &database).succeeds().summary();
        assert_eq!(again.0["load_id"], summary.0["load_id"]);
        assert_eq!(again.of_tables("total"), summary.of_tables("total"));
        assert_eq!(again.of_all("requests"), summary.of_all("requests"));
        let target = Target::DuckDb { path: recorded.setting.folder().join(database) };
        assert!(Tables::of_database(&target, DATASET) == tables);
    }
    assert_eq!(recorded.setting.api.stats().total, 0);
    // Where the run is already there, it is not done again.
    let twice = recorded.replay(&url, "0.duckdb").outcome().ended_with(2);
    twice.says(&["not the one that the recorded run began with", "as it was before the recorded run"]);
    // Nor does the attempt leave anything behind.
    let target = Target::DuckDb { path: recorded.setting.folder().join("0.duckdb") };
    assert!(Tables::of_database(&target, DATASET) == tables);
}

#[test]
fn a_tape_of_another_run_says_what_differs() {
    let recorded = Recorded::new(Options { apps: 1, ..Options::default() }, &[]);
    let url = recorded.setting.api.base_url().to_owned();
    recorded.replay(&url, "same.duckdb").succeeds();
    for (arguments, texts) in [
        (&["--window", "4"][..], &["window: 8 on the tape, 4 now", "--window"][..]),
        (&["--commit-rows", "7"], &["batches: /rows is 20000 on the tape, 7 now"]),
        (&["--resource", "models"], &["resources: /0 is nothing on the tape, \"models\" now"]),
        (&["--param", "user_id=other"], &["params: /user_id is \"acme\" on the tape, \"other\" now", "--param"]),
        (&["--full-refresh"], &["extent: /full_refresh is false on the tape, true now"]),
        (&["--base-url", "http://127.0.0.1:1"], &["config: /client/base_url is", "record anew"]),
    ] {
        // A flag that comes again counts instead of the one before.
        let call = if arguments[0] == "--base-url" {
            recorded.replay(arguments[1], "other.duckdb")
        } else {
            recorded.replay(&url, "other.duckdb").with(arguments)
        };
        call.outcome().ended_with(2).says(texts).says(&["the tape is of another run"]);
    }
    // The destination was not touched.
    assert!(!recorded.setting.folder().join("other.duckdb").exists());
    let check = recorded.setting.call("check", SHIPPED).with(["--replay", "run.har"]);
    check.outcome().ended_with(2).says(&["command: run on the tape, check now"]);
    for (path, why) in [(".", "it is not a file"), ("/dev/null", "it is not a file"), ("no/run.har", "No such file")] {
        let call = recorded.setting.run(SHIPPED).with(["--record", path]);
        call.outcome().ended_with(2).says(&[&format!("failed to write the tape {path}"), why]);
    }
    let both = recorded.replay(&url, "other.duckdb").with(["--record", "other.har"]);
    both.outcome().ended_with(2).says(&["cannot be used with"]);
}

#[test]
fn a_damaged_tape_is_a_clear_error() {
    let recorded = Recorded::new(Options { apps: 1, ..Options::default() }, &[]);
    let url = recorded.setting.api.base_url().to_owned();
    let whole = fs::read_to_string(&recorded.tape).unwrap();
    let fails = |text: &str, code: i32, texts: &[&str]| {
        fs::write(&recorded.tape, text).unwrap();
        recorded.replay(&url, "out2.duckdb").outcome().ended_with(code).says(texts);
        let _ = fs::remove_file(recorded.setting.folder().join("out2.duckdb"));
    };
    for size in [0, 1, whole.len() / 2, whole.len() - 4] {
        let end = (0..=size).rev().find(|end| whole.is_char_boundary(*end)).unwrap();
        fails(&whole[..end], 2, &["run.har is damaged", "EOF", "record anew"]);
    }
    fails(r#"{"log": {"version": "1.2", "entries": []}}"#, 2, &["run.har is no tape of a run", "--record"]);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut har: Value = serde_json::from_str(&whole).unwrap();
        change(&mut har["log"]);
        har.to_string()
    };
    let without_one = changed(&|log| drop(log["entries"].as_array_mut().unwrap().pop()));
    fails(&without_one, 2, &["run.har is damaged", "requests are there"]);
    // Another record in a response.
    let other = whole.replacen("app-", "apq-", 1);
    assert_ne!(other, whole);
    fails(&other, 4, &["the connector"]);
    let shorter = changed(&|log| {
        let line = log["_answers"][0].as_str().unwrap();
        log["_answers"] = json!([line[..line.len() / 2].rsplit_once(' ').unwrap().0]);
    });
    fails(&shorter, 4, &["the tape ends here, and the connector goes on", "after: GET http://"]);
    let longer = changed(&|log| log["_answers"].as_array_mut().unwrap().push(json!("m7")));
    fails(&longer, 4, &["the connector is through, and the tape goes on"]);
    let garbled = changed(&|log| {
        let line = log["_answers"][0].as_str().unwrap().replace(" p", " p9");
        log["_answers"][0] = line.into();
    });
    fails(&garbled, 4, &["another way than on the tape", "after: "]);
    // The same in another form is the same tape.
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&whole).unwrap()).unwrap();
    fs::write(&recorded.tape, pretty).unwrap();
    recorded.replay(&url, "out2.duckdb").succeeds();
    fs::remove_file(&recorded.tape).unwrap();
    recorded.replay(&url, "out2.duckdb").outcome().ended_with(2).says(&["failed to read the tape run.har"]);
}

#[test]
fn a_request_that_is_not_on_the_tape_is_shown_with_the_nearest_one() {
    let recorded = Recorded::new(Options { apps: 1, ..Options::default() }, &[]);
    let url = recorded.setting.api.base_url().to_owned();
    let whole = fs::read_to_string(&recorded.tape).unwrap();
    for (from, to) in [("/apps?page=1&", "/apps?page=7&"), ("/apps?page=1&", "/apples?page=1&")] {
        fs::write(&recorded.tape, whole.replace(from, to)).unwrap();
        let request = format!("request: GET {url}/v2/users/acme/apps?page=1&per_page=20");
        recorded.replay(&url, "out2.duckdb").outcome().ended_with(4).says(&[
            "not on the tape",
            &request,
            "nearest: GET",
            to,
        ]);
        fs::remove_file(recorded.setting.folder().join("out2.duckdb")).unwrap();
    }
}

#[test]
fn a_run_that_failed_or_was_interrupted_leaves_a_whole_tape() {
    let failing = Options { too_many_forever: Some(mock_api::Collection::AppConcepts), ..Options::default() };
    let failing = Options { retry_after: Some(RetryAfter::Seconds(0)), ..failing };
    let mut recorded = Recorded::new(failing, &[]);
    let url = recorded.setting.api.base_url().to_owned();
    assert_eq!(recorded.outcome.code, 4);
    assert_har(&read(&recorded.tape));
    let said = |stderr: &str| -> Vec<String> {
        let lines =
            stderr.lines().filter(|line| ["429", "attempts", "app_concepts"].iter().any(|part| line.contains(part)));
        lines.map(str::to_owned).collect()
    };
    let again = recorded.alone().replay(&url, "again.duckdb").outcome().ended_with(4);
    assert!(!said(&again.stderr).is_empty());
    assert_eq!(said(&again.stderr), said(&recorded.outcome.stderr));

    let setting = Setting::new(Options { latency_ms: 20, ..Options::default() });
    let running = setting.run(SHIPPED).with(["--record", "run.har"]).start();
    let running = setting.wait_until(running, |stats| stats.total > 20);
    assert!(!setting.folder().join("run.har").exists(), "a tape has its name when it is whole");
    running.signal(libc::SIGINT);
    let outcome = running.end().ended_with(130);
    let tape = setting.folder().join("run.har");
    assert_har(&read(&tape));
    assert!(entries(&read(&tape)).len() > 10);
    let left = fs::read_dir(setting.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(left.into_iter().all(|name| !name.starts_with(".tmp")), "the file in the making is gone");
    let url = setting.api.base_url().to_owned();
    let recorded = Recorded { setting, tape, outcome };
    let again = recorded.replay(&url, "again.duckdb").outcome().ended_with(4);
    again.says(&["the tape ends here", "the recorded run ended early: interrupted", "after: GET http://"]);
}

#[test]
fn a_check_and_a_preview_are_replayed_too() {
    let setting = Setting::new(Options::default());
    for (command, arguments) in [("check", &[][..]), ("preview", &["applications", "--rows", "2"])] {
        let call = |tape: &str| setting.call(command, SHIPPED).with(arguments).with([tape, "run.har"]);
        let recorded = call("--record").succeeds();
        assert_har(&read(&setting.folder().join("run.har")));
        setting.api.reset_stats();
        assert_eq!(call("--replay").succeeds().stdout, recorded.stdout);
        assert_eq!(setting.api.stats().total, 0);
    }
}

/// An API that sends back what it was sent, in a body and in a header.
#[test]
fn a_secret_that_comes_back_is_not_on_the_tape() {
    let echo = json!({"routes": [{"path": "/things", "answers": [
        {"headers": {"x-echo": SECRET, "set-cookie": "session=cr1spy"}, "body": [{"id": 1, "token": SECRET}]},
    ]}]});
    let api = ScriptedApi::start(serde_json::from_value(echo).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pipeline = json!({
        "name": "echo",
        "source": {
            "client": {"base_url": api.base_url(), "auth": {"type": "bearer", "token": {"secret": "api_key"}}},
            "resources": [{"name": "things", "endpoint": {"path": "things", "paginator": "single_page"}}],
        },
    });
    fs::write(folder.path().join("echo.json"), pipeline.to_string()).unwrap();
    let call = |database: &str| {
        Call::new(folder.path(), &["run", "echo.json", "--allow-private", api.base_url(), "--to", database])
            .env("SPILE_SECRET_API_KEY", SECRET)
    };
    let recorded = call("duckdb:a.duckdb").with(["--record", "run.har"]).succeeds();
    recorded.says(&["secrets that the API sent back were taken out of the tape", "responses: 1"]);
    let text = fs::read_to_string(folder.path().join("run.har")).unwrap();
    assert!(!text.contains("t0ken") && !text.contains("cr1spy"), "{text}");
    assert_har(&serde_json::from_str(&text).unwrap());
    call("duckdb:b.duckdb").with(["--replay", "run.har"]).succeeds().says(&["were not held against them"]);
}

/// A token that the host obtains, and renews after a refusal; a secret within a body that is sent in several pieces.
#[test]
fn what_the_host_puts_in_is_not_on_the_tape() {
    let script = json!({
        "tokens": [{"path": "/token", "answer": {"access_token": "$token"}}],
        "routes": [{"path": "/things", "method": "POST", "auth": {"issued": "header.authorization"}, "answers": [
            {"times": 1, "status": 401},
            {"times": 1, "status": 401},
            {"body": [{"id": 1}, {"id": 2}]},
        ]}],
    });
    let api = ScriptedApi::start(serde_json::from_value(script).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let json = json!({"key": {"secret": "key"}, "text": "long".repeat(10_000)});
    let auth = json!({
        "type": "oauth2_client_credentials",
        "access_token_url": format!("{}/token", api.base_url()),
        "client_id": "me",
        "client_secret": {"secret": "key"},
    });
    let endpoint = json!({"path": "things", "method": "POST", "json": json, "paginator": "single_page",
        "response_actions": [{"status_code": 401, "action": "refresh_auth"}]});
    let source = json!({
        "client": {"base_url": api.base_url(), "auth": auth},
        "resources": [{"name": "things", "endpoint": endpoint}],
    });
    fs::write(folder.path().join("things.json"), json!({"name": "things", "source": source}).to_string()).unwrap();
    let call = |tape: &str| Call::new(folder.path(), &["run", "things.json", "--summary", "json", tape, "run.har"]);
    let recorded = call("--record")
        .with(["--allow-private", api.base_url(), "--to", "duckdb:a.duckdb"])
        .env("SPILE_SECRET_KEY", SECRET)
        .succeeds()
        .summary();
    let asked = api.asked().len();
    let text = fs::read_to_string(folder.path().join("run.har")).unwrap();
    assert!(!text.contains("t0ken") && !text.contains("token-") && !text.contains("/token\""), "{text}");
    let har = read(&folder.path().join("run.har"));
    assert_har(&har);
    assert_eq!(having(&har, "/response/status", &401.into()), 1, "the host asked again by itself the first time");
    assert_eq!(having(&har, "/response/_credential", &"2".into()), 1);
    let post = entries(&har)[0]["request"]["postData"]["text"].as_str().unwrap();
    assert!(post.len() > 40_000 && post.contains("spile-slot-"));
    for database in ["duckdb:b.duckdb", "duckdb:c.duckdb"] {
        let again = call("--replay").with(["--to", database]).succeeds().summary();
        assert_eq!(again.of_tables("total"), recorded.of_tables("total"));
    }
    assert_eq!(api.asked().len(), asked);

    // Another body than the recorded one.
    let other = text.replace("spile-slot-", "spile-slut-");
    fs::write(folder.path().join("run.har"), other).unwrap();
    let call = call("--replay").with(["--to", "duckdb:d.duckdb"]);
    call.outcome().ended_with(4).says(&["not on the tape", "it has another body than on the tape"]);
}

#[test]
fn a_replay_that_broke_off_is_done_anew_in_the_same_place() {
    const COMMITS: [&str; 2] = ["--commit-rows", "20"];
    let recorded = Recorded::new(Options { apps: 6, ..Options::default() }, &COMMITS);
    let url = recorded.setting.api.base_url().to_owned();
    let whole = read(&recorded.tape);
    let mut shorter = whole.clone();
    let answers: Vec<&str> =
        whole["log"]["_answers"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let answers = answers.join(" ");
    shorter["log"]["_answers"] = json!([answers[..answers.len() * 9 / 10].rsplit_once(' ').unwrap().0]);
    fs::write(&recorded.tape, shorter.to_string()).unwrap();
    for _ in 0..2 {
        let call = recorded.replay(&url, "again.duckdb").with(COMMITS);
        call.outcome().ended_with(4).says(&["the tape ends here", "after: GET http://"]);
    }
    fs::write(&recorded.tape, whole.to_string()).unwrap();
    recorded.replay(&url, "again.duckdb").with(COMMITS).succeeds();
    let target = Target::DuckDb { path: recorded.setting.folder().join("again.duckdb") };
    Tables::of_database(&target, DATASET).assert_equal(&recorded.setting.tables());
}

#[test]
fn what_the_policy_denied_is_denied_in_a_replay() {
    let next = "http://127.0.0.1:1/things";
    let script = json!({"routes": [{"path": "/things", "answers": [{"body": {"data": [{"id": 1}], "next": next}}]}]});
    let api = ScriptedApi::start(serde_json::from_value(script).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let endpoint = json!({"path": "things", "data_selector": "data",
        "paginator": {"type": "json_link", "next_url_path": "next"}});
    let source =
        json!({"client": {"base_url": api.base_url()}, "resources": [{"name": "things", "endpoint": endpoint}]});
    fs::write(folder.path().join("things.json"), json!({"name": "things", "source": source}).to_string()).unwrap();
    let denied = |tape: &str, arguments: &[&str]| {
        let call = Call::new(folder.path(), &["run", "things.json", tape, "run.har"]).with(arguments);
        call.outcome().ended_with(6).says(&["may not send a request to this origin", "origin: http://127.0.0.1:1"])
    };
    denied("--record", &["--to", "duckdb:a.duckdb", "--allow-private", api.base_url()]);
    let har = read(&folder.path().join("run.har"));
    assert_har(&har);
    assert_eq!(having(&har, "/_denial/class", &"Policy".into()), 1);
    assert_eq!(having(&har, "/request/url", &next.into()), 1);
    denied("--replay", &["--to", "duckdb:b.duckdb"]);
}

#[test]
fn a_run_that_began_with_a_state_is_replayed_where_that_state_is() {
    let setting = Setting::new(Options { apps: 2, ..Options::default() });
    setting.run(SHIPPED).succeeds();
    let database = |name: &str| setting.folder().join(name);
    fs::copy(database("out.duckdb"), database("before.duckdb")).unwrap();
    setting.api.set_options(Options { revision: 1, ..setting.api.options() });
    let outcome = setting.run(SHIPPED).with(["--record", "run.har"]).succeeds();
    let (tables, tape, url) = (setting.tables(), database("run.har"), setting.api.base_url().to_owned());
    let before = database("before.duckdb");
    let recorded = Recorded { setting, tape, outcome };
    recorded.replay(&url, "new.duckdb").outcome().ended_with(2).says(&["not the one that the recorded run began with"]);
    recorded.replay(&url, "before.duckdb").succeeds();
    Tables::of_database(&Target::DuckDb { path: before }, DATASET).assert_equal(&tables);
}
