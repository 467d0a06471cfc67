//! Runs of a connector that does as a script says (`tests/guest/src/script.rs`), and what they left behind.

use crate::obedient::CONNECTOR;
use arrow_array::{Array, Int64Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use serde_json::{Value, json};
use spile_host::destination::{self, Access, Resources, Target};
use spile_host::gate::Secrets;
use spile_host::load::Ledger;
use spile_host::pipeline::{Pipeline, document::Document};
use spile_host::run::{Event, Options, Report, Run};
use spile_host::sandbox::Connector;
use spile_host::tenant::Tenant;
use spile_host::{Class, Error};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// Where rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    DuckDb,
    Sqlite,
    Parquet,
}

pub const KINDS: [Kind; 3] = [Kind::DuckDb, Kind::Sqlite, Kind::Parquet];

/// A destination in a folder of its own, with something in it that is none of any pipeline's.
pub struct Place {
    pub folder: TempDir,
    pub kind: Kind,
}

impl Place {
    pub fn new(kind: Kind) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), kind };
        match kind {
            Kind::Parquet => std::fs::write(place.folder.path().join("keep"), "kept").unwrap(),
            Kind::DuckDb | Kind::Sqlite => {
                let mut session = destination::open(&place.target(), Access::Write, &Resources::default()).unwrap();
                session.run("CREATE TABLE keep (x VARCHAR)", &[]).unwrap();
                session.run("INSERT INTO keep VALUES ('kept')", &[]).unwrap();
            }
        }
        place
    }

    pub fn destination(&self) -> String {
        let (scheme, name) = match self.kind {
            Kind::DuckDb => ("duckdb", "out.db"),
            Kind::Sqlite => ("sqlite", "out.db"),
            Kind::Parquet => ("parquet", "out"),
        };
        format!("{scheme}:{}", self.folder.path().join(name).display())
    }

    fn target(&self) -> Target {
        Target::parse(&self.destination()).unwrap()
    }

    pub fn query(&self, sql: &str) -> Vec<RecordBatch> {
        destination::query(&self.target(), sql).unwrap()
    }

    /// What is none of any pipeline's is as it was, and there is nothing else beside it.
    #[track_caller]
    pub fn others_are_untouched(&self) {
        let beside: BTreeSet<String> = files(self.folder.path());
        match self.kind {
            Kind::Parquet => {
                assert_eq!(std::fs::read_to_string(self.folder.path().join("keep")).unwrap(), "kept");
                assert!(beside.iter().all(|name| name == "keep" || name == "out"), "{beside:?}");
            }
            Kind::DuckDb | Kind::Sqlite => {
                let kept = self.query("SELECT x FROM keep");
                assert_eq!(kept.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
                assert!(beside.iter().all(|name| name.starts_with("out.db")), "{beside:?}");
            }
        }
    }

    /// A pipeline of this name has neither state nor rows, neither staged nor published.
    #[track_caller]
    pub fn has_nothing_of(&self, name: &str) {
        self.others_are_untouched();
        let Ok(mut ledger) = Ledger::open(&self.target(), Access::Read, "data", name) else { return };
        if let Some(saved) = ledger.saved().unwrap() {
            let found = (saved.state, saved.schema, saved.staged_state, saved.staged);
            assert_eq!(found, (None, None, None, Vec::new()), "{:?}", self.kind);
            assert_eq!(ledger.tables().unwrap(), [], "{:?}", self.kind);
            assert_eq!(ledger.runs().unwrap(), [], "{:?}", self.kind);
        }
    }
}

fn files(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A pipeline whose connector follows a script.
pub struct Case {
    pub name: &'static str,
    pub dataset: &'static str,
    /// The source: `script`, and what the host looks at.
    pub source: Value,
    /// Limits, by name.
    pub limits: Value,
    /// Origins that may be private.
    pub private: Vec<String>,
    pub secrets: Vec<(&'static str, String)>,
    pub options: Options,
    pub connector: Connector,
    pub tenant: Tenant,
}

impl Case {
    pub fn new(script: Value) -> Self {
        Self {
            name: "hostile",
            dataset: "data",
            source: json!({"script": script}),
            limits: json!({}),
            private: Vec::new(),
            secrets: Vec::new(),
            options: Options::default(),
            connector: CONNECTOR.clone(),
            tenant: Tenant::with_tokens("tenant", None, None),
        }
    }

    /// Of one resource, `r`, with these steps.
    pub fn steps(steps: &[Value]) -> Self {
        Self::new(json!({"describe": {"resources": [{"name": "r"}]}, "steps": steps}))
    }

    /// Of one resource, without end.
    pub fn again(steps: &[Value]) -> Self {
        Self::new(json!({"describe": {"resources": [{"name": "r"}]}, "steps": steps, "last": "again"}))
    }

    pub fn limit(mut self, name: &str, value: Value) -> Self {
        self.limits[name] = value;
        self
    }

    pub async fn prepared(&self, place: &Place) -> Result<Run, Error> {
        let envelope = json!({"name": self.name, "source": {"client": {}}, "destination": place.destination(),
            "dataset": self.dataset, "policy": {"limits": self.limits, "allow_private": self.private}});
        let document = Document::parse("pipeline.json", "json", envelope.to_string())?;
        let mut pipeline = Pipeline::new(document, self.name)?;
        pipeline.source = self.source.clone();
        Run::new(&self.tenant, &self.connector, pipeline).await
    }

    /// Runs it. Gives what was told of waits.
    pub async fn load(&self, place: &Place) -> Result<(Report, Vec<String>), Error> {
        let mut told = Vec::new();
        let report = self.told(place, &mut told).await?;
        Ok((report, told))
    }

    /// Runs it, and keeps what was told of waits however it ends.
    pub async fn told(&self, place: &Place, told: &mut Vec<String>) -> Result<Report, Error> {
        let run = self.prepared(place).await?;
        let mut secrets = Secrets::default();
        for (name, value) in &self.secrets {
            secrets.set(name, value.clone());
        }
        let mut tell = |event: Event<'_>| {
            if let Event::Wait { reason, .. } = event {
                told.push(reason.to_owned());
            }
        };
        run.load(&secrets, &self.options, &mut tell, std::future::pending()).await
    }

    /// It fails, and leaves nothing behind.
    pub async fn refused_at(&self, place: &Place) -> Error {
        let error = match self.load(place).await {
            Err(error) => error,
            Ok((report, told)) => panic!("{:?}: it went through: {:?} {told:?}", place.kind, report.published),
        };
        place.has_nothing_of(self.name);
        error
    }

    /// Likewise, and another run goes through afterwards.
    pub async fn contained_at(&self, kind: Kind) -> Error {
        let place = Place::new(kind);
        let error = self.refused_at(&place).await;
        alive(&place).await;
        error
    }

    /// Likewise, with DuckDB.
    pub async fn contained(&self) -> Error {
        self.contained_at(Kind::DuckDb).await
    }

    /// Likewise, by a limit.
    pub async fn reaches(&self, limit: &str) -> Error {
        let error = self.contained().await;
        assert_eq!((error.class, error.limit), (Class::Policy, Some(limit)), "{error}");
        error
    }
}

/// The host goes on: a run of a well-behaved connector goes through.
pub async fn alive(place: &Place) {
    let batch = json!({"batch": {"tables": [table("r", &ids(2))]}});
    let case = Case { name: "good", dataset: "good", ..Case::steps(&[batch, json!({"done": {"state": "{}"}})]) };
    let (report, _) = case.load(place).await.unwrap();
    assert_eq!(report.published.tables[0].inserted, 2);
    place.others_are_untouched();
}

/// Rows with an `id`.
pub fn ids(count: i64) -> RecordBatch {
    columns(vec![("id", Arc::new(Int64Array::from_iter_values(0..count)))])
}

pub fn columns(columns: Vec<(&str, Arc<dyn Array>)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true))).unwrap()
}

/// A table of a batch as a script tells it.
pub fn table(name: &str, rows: &RecordBatch) -> Value {
    json!({"table": name, "rows": rows.num_rows(), "arrow": hex(&ipc(rows))})
}

/// A batch of one table of the resource `r`.
pub fn batch(rows: &RecordBatch) -> Value {
    json!({"batch": {"tables": [table("r", rows)]}})
}

pub fn ipc(rows: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema()).unwrap();
    writer.write(rows).unwrap();
    writer.into_inner().unwrap()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
