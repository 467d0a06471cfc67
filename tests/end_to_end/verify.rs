//! `spile verify` and `spile new`: our connector and a new one in Rust keep to the contract, and what breaks it is told by name.

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

/// A new connector's name, and where its pipeline looks for its API.
const NAME: &str = "my-log";
const URL: &str = "http://127.0.0.1:8307";

/// A change to the example that breaks the contract: its file, a text in it and what takes its place; and the checks that are to fail.
type Defect = (&'static str, &'static str, &'static str, &'static [&'static str]);

const DEFECTS: [Defect; 3] = [
    (
        "src/lib.rs",
        "entries.last().map_or(self.progress.after, |last| last.seq)",
        "entries.last().map_or(self.progress.after, |last| last.seq + 4)",
        &["resume"],
    ),
    ("src/lib.rs", ".take(most as usize)", ".take(most as usize + 1)", &["max-rows", "max-bytes"]),
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
    let project = Project::new(None);
    let api = project.serve();
    let verified = |project: &Project, code: i32| {
        let mut verify = verify(&project.build());
        let pipeline = project.pipeline(&api.url);
        verify.arg("--config").arg(pipeline).env("SPILE_SECRET_API_KEY", "demo-token");
        outcomes(&mut verify, code)
    };
    assert_eq!(verified(&project, 0), (21, vec![], 0));
    for defect in DEFECTS {
        let (_, failed, _) = verified(&Project::new(Some(&defect)), 2);
        assert_eq!(failed, defect.3, "{}", defect.2);
    }
}

/// What another component asks for is not sent before it is approved of.
#[test]
fn nothing_is_sent_without_approval() {
    let project = Project::new(None);
    let api = project.serve();
    let component = project.build();
    let pipeline = project.pipeline(&api.url);
    // The file itself says no more that the API may be reached: a public origin that the component names.
    let text = fs::read_to_string(&pipeline).unwrap();
    let text = text.split("policy:").next().unwrap().replace(&api.url, "https://api.example.com");
    fs::write(&pipeline, text).unwrap();
    let mut verify = verify(&component);
    verify.arg("--config").arg(pipeline).env("SPILE_SECRET_API_KEY", "demo-token");
    let (passed, failed, skipped) = outcomes(&mut verify, 2);
    assert_eq!((passed, failed, skipped), (4, vec!["describe".to_owned()], 16));
}

#[test]
fn a_new_connector_needs_a_name_and_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let new = |name: &str| {
        let output =
            Command::new(PROGRAM).args(["new", name, "--lang", "javascript"]).current_dir(folder.path()).output();
        let output = output.unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        )
    };
    for name in ["../x", "X", "1a", "a b", "/tmp/x", ""] {
        let (code, told) = new(name);
        assert!(code == 2 && told.contains("cannot name a connector"), "{name}: {told}");
    }
    let (code, told) = new("my-log");
    assert!(code == 0 && told.contains("my-log/README.md"), "{told}");
    assert!(folder.path().join("my-log/wit/connector.wit").is_file());
    let (code, told) = new("my-log");
    assert!(code == 2 && told.contains("is there already"), "{told}");
}

/// What `spile verify` is asked.
fn verify(component: &Path) -> Command {
    let mut verify = Command::new(PROGRAM);
    verify.arg("verify").arg(component).args(["--report", "json"]).current_dir(ROOT);
    // What is approved here is kept nowhere.
    verify.env("XDG_STATE_HOME", std::env::temp_dir().join(format!("spile-verify-{}", std::process::id())));
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

/// A connector as `spile new` writes it.
struct Project(TempDir);

impl Project {
    /// With a defect or without.
    fn new(defect: Option<&Defect>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let status = Command::new(PROGRAM).args(["new", NAME, "--lang", "rust"]).current_dir(folder.path()).status();
        assert!(status.unwrap().success());
        let project = Self(folder);
        if let Some((file, from, to, _)) = defect {
            let file = project.path(file);
            let source = fs::read_to_string(&file).unwrap();
            assert_eq!(source.matches(from).count(), 1, "{from}");
            fs::write(&file, source.replace(from, to)).unwrap();
        }
        project
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(NAME).join(file)
    }

    /// Its component.
    fn build(&self) -> PathBuf {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("connector");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--locked", "--target", "wasm32-unknown-unknown"])
            .current_dir(self.path(""))
            .env("CARGO_TARGET_DIR", &target)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .status()
            .unwrap();
        assert!(status.success());
        let module = fs::read(target.join("wasm32-unknown-unknown/release/connector.wasm")).unwrap();
        let component = wit_component::ComponentEncoder::default().validate(true).module(&module).unwrap().encode();
        let file = self.path("connector.wasm");
        fs::write(&file, component.unwrap()).unwrap();
        file
    }

    /// Its pipeline, for an API.
    fn pipeline(&self, url: &str) -> PathBuf {
        let file = self.path("pipeline.yaml");
        let pipeline = fs::read_to_string(&file).unwrap();
        assert!(pipeline.contains(URL));
        fs::write(&file, pipeline.replace(URL, url)).unwrap();
        file
    }

    /// Its API, on a free port.
    fn serve(&self) -> Api {
        let mut child = Command::new("node")
            .arg(self.path("api.mjs"))
            .args(["--port", "0", "--token", "demo-token", "--until-stdin-closes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect(&line).to_owned();
        Api { child, url }
    }
}

/// An API that runs while it is held.
struct Api {
    child: Child,
    url: String,
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
