//! The examples: a README leads to rows, word by word in a clean folder, and their own tests pass. So does the start of the documents.

use crate::tools::{self, COMPONENT, ROOT, run};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// All that a README tells to type, in one script, and all that it says is then printed.
struct Readme {
    script: String,
    printed: String,
}

impl Readme {
    /// What stands after `<!-- not run: reason -->` is left out; what stands after `<!-- file: name -->` is written into that file.
    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap();
        let (mut script, mut printed, mut is_run) = (String::new(), String::new(), true);
        // What is shown after code of another language is not of the script.
        let mut is_of_script = false;
        let mut file = None;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.starts_with("<!-- not run: ") {
                is_run = false;
            } else if let Some(name) = line.strip_prefix("<!-- file: ") {
                file = name.strip_suffix(" -->");
            } else if let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) {
                let block: String =
                    lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
                match kind {
                    _ if file.is_some() => {
                        script += &format!("cat >{} <<'END OF FILE'\n{block}END OF FILE\n", file.take().unwrap());
                    }
                    "sh" if is_run => script += &block,
                    "text" if is_of_script => printed += &block,
                    _ => {}
                }
                is_of_script = kind == "sh" && is_run;
                is_run = true;
            }
        }
        Self { script, printed }
    }

    /// Types it in a shell, from the project's folder.
    fn follow(&self, name: &str) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("bash")
            // What it starts ends with it, whatever comes of it.
            .args(["-euo", "pipefail", "-c", &format!("trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n{}", self.script)])
            .current_dir(ROOT)
            .env("TMPDIR", folder.path())
            .env("XDG_STATE_HOME", folder.path().join("state"))
            .env("CARGO_TARGET_DIR", COMPONENT.ancestors().nth(2).unwrap())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        assert!(output.status.success(), "{name}: {}\n{out}\n{err}", output.status);
        // Counts are the same each time; ids and times are not, and are texts.
        let is_count =
            |line: &&str| line.contains(|sign: char| sign.is_ascii_digit()) && !line.contains(['\'', '"', '…']);
        let mut found = 0;
        for line in self.printed.lines().map(str::trim).filter(is_count) {
            assert!(out.contains(line) || err.contains(line), "{name}: `{line}` is not printed\n{out}\n{err}");
            found += 1;
        }
        println!("{name}: followed word by word; {found} lines are printed as it says");
        found
    }
}

#[test]
fn each_readme_leads_to_rows() {
    let hosts = Path::new(ROOT).join("examples/hosts");
    let mut names: Vec<_> =
        fs::read_dir(&hosts).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["node", "python", "rust"]);
    for name in names {
        let readme = Readme::read(&hosts.join(&name).join("README.md"));
        assert!(readme.script.contains("mock-api"), "{name}: reads the mock API");
        assert!(readme.follow(&name) > 0, "{name}: says what is printed");
    }
    // The page itself is for a person, and has tests of its own.
    Readme::read(&Path::new(ROOT).join("examples/browser/README.md")).follow("browser");
}

#[test]
fn the_start_leads_to_rows() {
    let start = Readme::read(&Path::new(ROOT).join("docs/start.md"));
    assert!(start.script.contains("spile run platform.yaml"), "reads the mock API");
    assert!(start.follow("start") > 20, "says what is printed");
}

#[test]
fn node_passes_its_own_tests() {
    own_tests(Command::new("npm").args(["test", "--silent"]).current_dir(tools::with_packages("examples/hosts/node")));
}

#[test]
fn node_passes_its_own_tests_with_streams() {
    let node = tools::streaming_node();
    let folder = tools::with_streaming();
    own_tests(Command::new(node).args(["--test", "test.js"]).env("SPILE_STREAMING", "1").current_dir(folder));
}

#[test]
fn the_page_passes_its_own_tests() {
    own_tests(Command::new("npm").args(["test", "--silent"]).current_dir(tools::with_packages("examples/browser")));
}

#[test]
fn python_passes_its_own_tests() {
    own_tests(tools::python().args(["-m", "unittest"]).current_dir(Path::new(ROOT).join("examples/hosts/python")));
}

/// As `spile new` writes it, it is built, passes its own tests under `spile`, and keeps to the contract.
#[test]
fn a_connector_in_javascript_passes_its_own_tests() {
    let packages = tools::folder("examples/connectors/javascript/node_modules");
    let place = tempfile::tempdir().unwrap();
    run(Command::new(tools::program()).args(["new", "my-log", "--lang", "javascript"]).current_dir(place.path()));
    let folder = place.path().join("my-log");
    std::os::unix::fs::symlink(packages, folder.join("node_modules")).unwrap();
    own_tests(Command::new("npm").args(["run", "--silent", "build"]).current_dir(&folder));
    own_tests(Command::new("npm").args(["test", "--silent"]).current_dir(&folder));
    let mut api = Command::new("node")
        .args(["api.mjs", "--port", "8305", "--token", "demo-token", "--until-stdin-closes"])
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let listening = BufReader::new(api.stdout.take().unwrap()).lines().next();
    assert!(listening.is_some_and(|line| line.is_ok_and(|line| line.contains("listening"))));
    let verified = Command::new(tools::program())
        .args(["verify", "connector.wasm", "--config", "pipeline.yaml"])
        .env("SPILE_SECRET_API_KEY", "demo-token")
        .current_dir(&folder)
        .status();
    drop(api.stdin.take());
    api.wait().unwrap();
    assert!(verified.unwrap().success());
}

fn own_tests(command: &mut Command) {
    let command = command.env("SPILE_MOCK_API", tools::mock_api()).env("SPILE_WASM", &*COMPONENT);
    run(command.env("SPILE", tools::program()).stdin(Stdio::null()));
}
