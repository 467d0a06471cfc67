//! `spile verify`: our connector and the example in Rust keep to the contract, and what breaks it is told by name.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use mock_api::{MockApi, Options};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::PROGRAM;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/connectors/rust");

/// A change to the example that breaks the contract: its file, a text in it and what takes its place; and the checks that are to fail.
type Defect = (&'static str, &'static str, &'static str, &'static [&'static str]);

const DEFECTS: [Defect; 3] = [
    (
        "src/lib.rs",
        "entries.last().map_or(self.progress.after, |last| last.seq)",
        "entries.last().map_or(self.progress.after, |last| last.seq + 4)",
        &["resume"],
    ),
    ("src/lib.rs", ".take(most as usize)", ".take(most as usize + 1)", &["max-rows"]),
    ("src/http.rs", "401 => ErrorKind::Auth,", "401 => ErrorKind::Internal,", &["401"]),
];

#[test]
fn our_connector_keeps_to_the_contract() {
    let api = MockApi::start(Options { apps: 4, ..Options::default() }).unwrap();
    let url = api.base_url();
    let component = Path::new(PROGRAM).with_file_name("spile.wasm");
    let mut verify = verify(&component);
    verify
        .args(["--config", "connectors/ai-platform.yaml", "--base-url", url, "--allow-private", url])
        .args(["--param", "user_id=acme", "--secret", "api_key=env:SPILE_TEST_KEY"])
        .env("SPILE_TEST_KEY", "mock-token");
    assert_eq!(outcomes(&mut verify, 0), (21, vec![], 0));
    // An API is asked little more than in a run, however often the source is read.
    let once = api.stats().total;
    assert!(once < 300, "{once} requests");
}

#[test]
fn without_a_source_there_is_less_to_see() {
    let component = Path::new(PROGRAM).with_file_name("spile.wasm");
    assert_eq!(outcomes(&mut verify(&component), 0), (3, vec![], 18));
    // Composed with what faces HTTP it is no connector.
    let edge = Path::new(PROGRAM).with_file_name("spile-edge.wasm");
    assert_eq!(outcomes(&mut verify(&edge), 2), (0, vec!["component".to_owned()], 20));
}

#[test]
fn what_breaks_the_contract_is_told_by_name() {
    let api = Journal::start();
    let verified = |wasm: &[u8], code: i32| {
        let folder = tempfile::tempdir().unwrap();
        let component = folder.path().join("connector.wasm");
        fs::write(&component, wasm).unwrap();
        let pipeline = fs::read_to_string(Path::new(EXAMPLE).join("pipeline.yaml")).unwrap();
        let (before, rest) = pipeline.split_once("http://").unwrap();
        let port = rest.split_once('\n').unwrap().0;
        let file = folder.path().join("pipeline.yaml");
        fs::write(&file, format!("{before}http://{rest}").replace(&format!("http://{port}"), &api.url)).unwrap();
        let mut verify = verify(&component);
        verify.arg("--config").arg(&file).env("SPILE_SECRET_API_KEY", "demo-token");
        outcomes(&mut verify, code)
    };
    assert_eq!(verified(&build(None), 0), (21, vec![], 0));
    for defect in DEFECTS {
        let (_, failed, _) = verified(&build(Some(&defect)), 2);
        assert_eq!(failed, defect.3, "{}", defect.2);
    }
}

fn verify(component: &Path) -> Command {
    let mut verify = Command::new(PROGRAM);
    verify.arg("verify").arg(component).args(["--report", "json"]).current_dir(ROOT);
    verify
}

/// How many checks passed, which failed, and how many were skipped.
fn outcomes(verify: &mut Command, code: i32) -> (usize, Vec<String>, usize) {
    let output = verify.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(output.status.code(), Some(code), "{report:#}");
    let named = |outcome: &str| {
        let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == outcome);
        checks.map(|check| check["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let failed = named("failed");
    assert_eq!(report["failed"], failed.len(), "{report:#}");
    if failed.is_empty() == (code != 0) {
        panic!("{report:#}");
    }
    (named("passed").len(), failed, named("skipped").len())
}

/// The example's component, with a defect or without.
fn build(defect: Option<&Defect>) -> Vec<u8> {
    let folder = TempDir::with_prefix("connector").unwrap();
    copy(Path::new(EXAMPLE), folder.path());
    copy(&Path::new(ROOT).join("wit"), &folder.path().join("wit"));
    if let Some((file, from, to, _)) = defect {
        let file = folder.path().join(file);
        let source = fs::read_to_string(&file).unwrap();
        assert_eq!(source.matches(from).count(), 1, "{from}");
        fs::write(&file, source.replace(from, to)).unwrap();
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("connector");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target", "wasm32-unknown-unknown"])
        .current_dir(folder.path())
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .unwrap();
    assert!(status.success());
    let module = fs::read(target.join("wasm32-unknown-unknown/release/connector.wasm")).unwrap();
    wit_component::ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// Copies a folder, but for what is built in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true if name == "target" || name == "node_modules" => {}
            true => copy(&path, &to.join(name)),
            false => drop(fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

/// The API that the example reads.
struct Journal {
    child: Child,
    url: String,
}

impl Journal {
    fn start() -> Self {
        let program = PathBuf::from(EXAMPLE).join("api.mjs");
        let mut child = Command::new("node")
            .arg(program)
            .args(["--port", "0", "--token", "demo-token", "--until-stdin-closes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect(&line).to_owned();
        Self { child, url }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
