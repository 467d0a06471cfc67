//! What is in the memory of the connector, and how much the program needs.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    env, fs,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use mock_api::Options;
use serde_json::{Value, json};
use spile_host::{
    COMPONENT,
    gate::{Client, Gate, Origin, Policy, Secrets, Withheld},
    limits::Limits,
    pipeline::Pipeline,
    run::{self, Run},
    sandbox::{CodeCache, Host, HostOptions, OpenRequest, SourceConfig, Step},
    tenant::Tenant,
};

use crate::setting::{AS_GIVEN, Setting};

/// A token that occurs nowhere else.
const TOKEN: &str = "t0ken-5f2c91e07b";

/// A secret outside `auth` that occurs nowhere else.
const TEAM: &str = "t3am-0d81c6a94f";

/// The memory of the connector after it has read all applications and their models of a source.
async fn memory_after_a_run(mut source: Value, setting: &Setting) -> Vec<u8> {
    let origin: Origin = setting.api.base_url().parse().unwrap();
    let withheld = Withheld::take(&mut source).unwrap();
    let mut secrets = Secrets::default();
    secrets.set("api_key", TOKEN.to_owned());
    secrets.set("team", TEAM.to_owned());
    let mut credentials = withheld.resolve(&secrets).unwrap();
    for place in withheld.pointers().chain(["team"]) {
        credentials.bind(place, [origin.clone()]).unwrap();
    }
    let limits = Limits::default();
    let policy = Policy { origins: [origin.clone()].into(), private: [origin].into(), ..Policy::default() };
    let client = Client::new(&limits).unwrap();
    let gate = Gate::new(policy, credentials, client, limits.clone());

    let host = Host::new(HostOptions { memory_images: true, ..HostOptions::default() }).unwrap();
    let mut connector = host.load(COMPONENT).unwrap().start(gate, limits).await.unwrap();
    let source = SourceConfig {
        config: source.to_string(),
        params: json!({"user_id": "acme"}).to_string(),
        bindings: json!({"app_id": "applications.id", "model_id": "models.id"}).to_string(),
    };
    let resources = ["applications", "models"].map(str::to_owned).to_vec();
    let load_id = "1700000000.5".to_owned();
    let request = OpenRequest { resources, load_id, ..OpenRequest::new(source) };
    connector.open(&request).await.unwrap();
    let mut rows = 0;
    loop {
        match connector.next(1000, 1 << 20).await.unwrap() {
            Step::Batch(batch) => rows += batch.tables.iter().map(|table| table.rows.num_rows()).sum::<usize>(),
            Step::Wait(wait) => panic!("nothing is to be waited for: {}", wait.reason),
            Step::Done(_) => break,
        }
    }
    let expected = setting.api.expected().tables;
    let read = expected.iter().filter(|(name, _)| name.starts_with("applications") || name.starts_with("models"));
    assert_eq!(rows as u64, read.map(|(_, rows)| rows).sum::<u64>());
    connector.into_memory_image().await.unwrap()
}

fn holds(memory: &[u8], text: &str) -> bool {
    memory.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn the_memory_of_the_connector_holds_no_token() {
    // The API accepts the token alone, so it was sent with every request.
    let setting = Setting::new(Options { token: TOKEN.to_owned(), ..Options::default() });
    let mut source: Value = serde_json::from_str(AS_GIVEN).unwrap();
    source["client"]["base_url"] = setting.api.base_url().into();
    source["client"]["headers"] = json!({"x-team": {"secret": "team"}});
    let memory = memory_after_a_run(source.clone(), &setting).await;
    assert!(!holds(&memory, TOKEN) && !holds(&memory, TEAM));
    // What the connector does have is found: its configuration, and what it read last.
    assert!(holds(&memory, "backoff_factor") && holds(&memory, "app-0.model-2"));

    // So would the token be, had it only been somewhere in the configuration.
    source["client"]["headers"] = json!({"x-team": {"secret": "team"}, "x-trace": TOKEN});
    assert!(holds(&memory_after_a_run(source, &setting).await, TOKEN));
}

/// Counts what the Rust side of this process holds: buffers, batches, everything but the connector's own memory, which is mapped,
/// and DuckDB's, which has an allocator of its own.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;
static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

impl Counting {
    fn grow(size: usize) {
        MOST.fetch_max(HELD.fetch_add(size, Ordering::Relaxed) + size, Ordering::Relaxed);
    }
}

// SAFETY: all is done by the system's allocator; numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::grow(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::grow(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

const FILE: &str = "SPILE_TEST_FILE";

/// What DuckDB's own buffers may hold.
const DUCKDB_MIB: u64 = 128;

/// Several commits in each run.
const COMMIT_ROWS: usize = 250_000;

#[tokio::test]
#[ignore = "a run for another test, in a process of its own, so that it alone is counted"]
async fn a_run_in_a_process_of_its_own() {
    let pipeline = Pipeline::read(env::var_os(FILE).expect("only started by another test").as_ref()).unwrap();
    let host = Host::new(HostOptions { code_cache: CodeCache::of_user(), ..HostOptions::default() }).unwrap();
    let connector = host.load(COMPONENT).unwrap();
    let run = Run::new(&Tenant::new("", None), &connector, pipeline).await.unwrap();
    let mut secrets = Secrets::default();
    secrets.set("api_key", TOKEN.to_owned());
    let options = run::Options {
        resources: vec!["app_inputs".to_owned()],
        memory_limit: Some(format!("{DUCKDB_MIB}MiB")),
        // Batches wait while DuckDB commits. By the clock it would do so in the longer run only.
        commit_rows: Some(COMMIT_ROWS),
        ..run::Options::default()
    };
    let report = run.load(&secrets, &options, &mut |_| {}, std::future::pending()).await.unwrap();
    let rows = report.counts.iter().find(|counts| counts.resource == "app_inputs").unwrap().rows;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let resident: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    println!(
        "found: {rows} {} {} {}",
        report.bill.peak_memory >> 20,
        MOST.load(Ordering::Relaxed) >> 20,
        resident >> 10
    );
}

/// The most memory that a run has, in MiB.
struct Peaks {
    /// The connector's own memory.
    connector: u64,
    /// What the host's side has allocated.
    host: u64,
    /// The whole process, with its code, DuckDB, and what allocators keep in reserve.
    resident: u64,
}

impl Peaks {
    /// What a run that loads so many inputs, with ten rows each, comes to.
    fn of_run(inputs: u64) -> Self {
        let options = Options { apps: 10, inputs: inputs / 10, token: TOKEN.to_owned(), ..Options::default() };
        let setting = Setting::new(options);
        let url = setting.api.base_url();
        // A hundred records a page, so that the API is not what takes the time.
        let source = AS_GIVEN.replace("\"limit\": 20\n", "\"limit\": 100\n");
        let mut source: Value = serde_json::from_str(&source).unwrap();
        source["client"]["base_url"] = url.into();
        let pipeline = json!({
            "source": source,
            "params": {"user_id": "acme"},
            "bindings": {"app_id": "applications.id", "model_id": "models.id"},
            "destination": setting.target().to_string(),
            "policy": {"allow_private": [url]},
        });
        let output = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "memory::a_run_in_a_process_of_its_own"])
            .env(FILE, setting.file("tap.json", &pipeline.to_string()))
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let found = stdout.lines().find_map(|line| line.strip_prefix("found: "));
        let found = found.unwrap_or_else(|| panic!("{stdout}{}", String::from_utf8_lossy(&output.stderr)));
        let numbers: Vec<u64> = found.split(' ').map(|number| number.parse().unwrap()).collect();
        let [rows, connector, host, resident] = numbers[..] else { panic!("{found}") };
        assert_eq!(rows, inputs);
        println!("{inputs} records: connector {connector} MiB, host {host} MiB, process {resident} MiB");
        Self { connector, host, resident }
    }

    /// What connector and host hold: whatever they keep of the result is in it.
    fn held(&self) -> u64 {
        self.connector + self.host
    }
}

#[test]
fn memory_does_not_grow_with_the_result() {
    // Enough that buffers come to be full: with half of it neither the connector nor the batches that wait have come to their most. Of two runs each, since how full depends on when DuckDB or the machine is slow.
    const RECORDS: u64 = 100_000;
    // Compiling the component takes memory too; after this its code is in the cache.
    Peaks::of_run(100);
    let twice = |records| [(), ()].map(|()| Peaks::of_run(records));
    let small = twice(RECORDS).into_iter().max_by_key(Peaks::held).unwrap();
    let large = twice(10 * RECORDS).into_iter().min_by_key(Peaks::held).unwrap();
    // Ten times the records come to hundreds of megabytes. DuckDB has what it is given and no more; all else stays as it is.
    assert!(large.held() * 5 < small.held() * 6);
    assert!(large.resident < small.resident + DUCKDB_MIB);
}
