//! Our host: the gate signs the requests, and rows come as Arrow.

use crate::Runtime;
use crate::case::Reading;
use crate::outcome::{End, Outcome};
use serde_json::{Value, json};
use spile_connector::shape::encode::ndjson;
use spile_host::gate::{Client, Gate, Origin, Policy, Secrets, Withheld};
use spile_host::limits::Limits;
use spile_host::sandbox::{CodeCache, Connector, Extent, Host, HostOptions, OpenRequest, SourceConfig, Step};
use spile_host::{Error, Result};
use tokio::runtime;
use url::Url;

pub struct Ours {
    connector: Connector,
    runtime: runtime::Runtime,
}

impl Ours {
    pub fn new() -> Self {
        let host = Host::new(HostOptions { code_cache: CodeCache::of_user(), ..HostOptions::default() }).unwrap();
        let runtime = runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { connector: host.load_built_in().unwrap(), runtime }
    }

    async fn run(&self, reading: &Reading<'_>, base_url: &str, outcome: &mut Outcome) -> Result<()> {
        let case = reading.case;
        let mut config = case.config(base_url);
        let mut secrets = Secrets::default();
        case.secrets.iter().for_each(|(name, value)| secrets.set(name, value.clone()));
        let withheld = Withheld::take(&mut config)?;
        let origin = Origin::of(&Url::parse(config["client"]["base_url"].as_str().unwrap()).unwrap())?;
        let mut credentials = withheld.resolve(&secrets)?;
        let slots: Vec<_> = credentials.pointers().map(str::to_owned).chain(withheld.slots()).collect();
        for slot in slots {
            // A slot that stands in `auth` only is bound with that.
            let _ = credentials.bind(&slot, [origin.clone()]);
        }
        let source = SourceConfig {
            config: config.to_string(),
            params: json!(case.params).to_string(),
            bindings: case.bindings().to_string(),
        };
        let mut request = OpenRequest {
            resources: reading.resource.into_iter().map(str::to_owned).collect(),
            load_id: "1".to_owned(),
            extent: Extent { until: case.until.clone(), ..Extent::default() },
            ..OpenRequest::new(source)
        };
        let limits = Limits::default();
        let policy = Policy {
            origins: [origin.clone()].into_iter().collect(),
            private: [origin].into_iter().collect(),
            ..Policy::default()
        };
        let gate = Gate::new(policy, credentials, Client::new(&limits)?, limits.clone());
        let mut stop_after = case.stop_after;
        'readers: loop {
            let mut instance = self.connector.start(gate.clone(), limits.clone()).await?;
            instance.open(&request).await?;
            for read in 1.. {
                match instance.next(case.batch_rows, 1 << 20).await? {
                    Step::Batch(batch) => {
                        for table in &batch.tables {
                            outcome.push_rows(&table.table, table.parent.is_none(), &ndjson(&table.rows).unwrap());
                        }
                        outcome.push_state(&batch.state);
                        request.state = Some(batch.state);
                        request.schema = batch.schema.or(request.schema);
                        if stop_after.is_some_and(|stop_after| stop_after == read) {
                            stop_after = None;
                            continue 'readers;
                        }
                    }
                    Step::Wait(wait) => {
                        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
                        tokio::time::sleep(std::time::Duration::from_millis(wait.until.saturating_sub(now))).await;
                    }
                    Step::Done(summary) => {
                        outcome.push_state(&summary.state);
                        outcome.end = End::Done(summary.warnings.into_iter().map(|warning| warning.message).collect());
                        return Ok(());
                    }
                }
            }
        }
    }
}

impl Runtime for Ours {
    fn name(&self) -> String {
        format!("Spile {} (wasmtime {})", env!("CARGO_PKG_VERSION"), crate::tools::locked("wasmtime"))
    }

    fn read(&mut self, reading: &Reading, base_url: &str) -> Option<Outcome> {
        let mut outcome = Outcome::new();
        if let Err(error) = self.runtime.block_on(self.run(reading, base_url, &mut outcome)) {
            outcome.fail(error.kind.unwrap_or("of the host"), facts(&error));
        }
        Some(outcome)
    }
}

fn facts(error: &Error) -> impl Iterator<Item = (&'static str, Value)> {
    let told = error.facts.iter().map(|(label, text)| match *label {
        "status" | "attempts" => (*label, json!(text.parse::<u64>().unwrap())),
        _ => (*label, json!(without_stand_ins(text))),
    });
    let own = [("message", json!(error.message)), ("pointer", json!(error.pointer)), ("advice", json!(error.advice))];
    own.into_iter().chain(told)
}

/// The connector never had the secret; others hide it.
fn without_stand_ins(text: &str) -> String {
    match text.split_once("spile-slot-").and_then(|(before, rest)| Some((before, rest.split_once('-')?.1))) {
        Some((before, after)) => format!("{before}***{}", without_stand_ins(after)),
        None => text.to_owned(),
    }
}
