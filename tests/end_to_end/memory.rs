//! What is in the memory of the connector, and how much the program needs.

use mock_api::Options;
use serde_json::{Value, json};
use spile_host::{
    COMPONENT,
    gate::{Client, Gate, Origin, Policy, Secrets, Withheld},
    sandbox::{Host, HostOptions, Limits, OpenRequest, SourceConfig, Step},
};

use crate::setting::{AS_GIVEN, Setting};

/// A token that occurs nowhere else.
const TOKEN: &str = "t0ken-5f2c91e07b";

/// The memory of the connector after it has read all applications and their models of a source.
async fn memory_after_a_run(mut source: Value, setting: &Setting) -> Vec<u8> {
    let origin: Origin = setting.api.base_url().parse().unwrap();
    let withheld = Withheld::take(&mut source).unwrap();
    let mut secrets = Secrets::default();
    secrets.set("api_key", TOKEN.to_owned());
    let mut credentials = withheld.resolve(&secrets).unwrap();
    for pointer in withheld.pointers() {
        credentials.bind(pointer, [origin.clone()]).unwrap();
    }
    let limits = Limits::default();
    let policy = Policy { origins: [origin.clone()].into(), private: [origin].into() };
    let client = Client::new(&limits.http).unwrap();
    let gate = Gate::new(policy, credentials, client, limits.http.clone());

    let host = Host::new(HostOptions { memory_images: true, ..HostOptions::default() }).unwrap();
    let mut connector = host.load(COMPONENT).unwrap().start(gate, limits).await.unwrap();
    let source = SourceConfig {
        config: source.to_string(),
        params: json!({"user_id": "acme"}).to_string(),
        bindings: json!({"app_id": "applications.id", "model_id": "models.id"}).to_string(),
    };
    let resources = ["applications", "models"].map(str::to_owned).to_vec();
    let load_id = "1700000000.5".to_owned();
    let request = OpenRequest { source, resources, state: None, schema: None, window: 8, load_id };
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
    let memory = memory_after_a_run(source.clone(), &setting).await;
    assert!(!holds(&memory, TOKEN));
    // What the connector does have is found: its configuration, and what it read last.
    assert!(holds(&memory, "backoff_factor") && holds(&memory, "app-0.model-2"));

    // So would the token be, had it only been somewhere in the configuration.
    source["client"]["headers"] = json!({"x-trace": TOKEN});
    assert!(holds(&memory_after_a_run(source, &setting).await, TOKEN));
}

/// The most memory that the program has, in bytes, while it reads this many inputs, a hundred a page.
fn peak(inputs: u64) -> u64 {
    let setting = Setting::new(Options { apps: 10, inputs: inputs / 10, ..Options::default() });
    let text = AS_GIVEN.replace("\"limit\": 20\n", "\"limit\": 100\n");
    let file = setting.file("tap.json", &text);
    let outcome = setting.run_bound(&file).with(["--resource", "app_inputs", "--memory-limit", "64MB"]).succeeds();
    assert_eq!(outcome.summary().of_resource("app_inputs", "rows"), inputs);
    println!("{inputs} records: at most {} MiB", outcome.peak >> 20);
    outcome.peak
}

#[test]
fn memory_does_not_grow_with_the_result() {
    let (small, large) = (peak(12_000), peak(120_000));
    assert!(large < small + small / 5, "{small} bytes grow to {large}");
}
