//! The program, as a person calls it.

use std::{
    env,
    ffi::OsStr,
    fs::{self, DirBuilder, File},
    io::{Read as _, Seek as _},
    os::unix::{fs::DirBuilderExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memmem;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::NamedTempFile;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_spile");

/// Shorter values could be found by chance.
const SHORTEST_SECRET: usize = 8;

/// A cache folder for `XDG_CACHE_HOME`, below this one: the compiled component is in it, which takes seconds to make, and nothing else of the user's.
pub fn own_cache(folder: &Path) -> PathBuf {
    let own = folder.join("cache");
    let code = own.join("spile/code");
    DirBuilder::new().recursive(true).mode(0o700).create(&code).unwrap();
    let of_user = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let of_user = of_user.unwrap_or_else(|| Path::new(&env::var_os("HOME").unwrap()).join(".cache"));
    for file in fs::read_dir(of_user.join("spile/code")).into_iter().flatten().flatten() {
        let own = code.join(file.file_name());
        // On another file system it is copied. One that is gone meanwhile is compiled.
        let _ = fs::hard_link(file.path(), &own).or_else(|_| fs::copy(file.path(), &own).map(drop));
    }
    own
}

/// A call in the making. Home and cache folders are those of the test, so that the compiled component is found.
///
/// After a run, whatever came of it, no secret that it was given is in the connector's memory, in what was printed, or in a file that it wrote.
pub struct Call {
    command: Command,
    secrets: Secrets,
}

/// What a call was given, and where the connector's memory is to be found after it.
struct Secrets {
    values: Vec<String>,
    /// Whether rows are read, so that there is a memory to look into.
    is_run: bool,
    image: NamedTempFile,
    /// Where it runs.
    directory: PathBuf,
}

/// What a call writes: databases, their logs, files of rows, tapes, answers.
const WRITTEN: [&str; 7] = ["duckdb", "wal", "sqlite", "parquet", "har", "tmp", "answers"];

/// The files that a call may have written into a folder, or below it.
fn written(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, is_folder) = (entry.path(), entry.file_type().is_ok_and(|kind| kind.is_dir()));
        if is_folder {
            found.extend(written(&path));
        } else if path.extension().is_some_and(|ending| WRITTEN.iter().any(|written| ending == *written)) {
            found.push(path);
        }
    }
    found
}

impl Secrets {
    /// No value is in the memory of the connector, as it is or in the form of a URL or a header.
    #[track_caller]
    fn are_not_in(&self, outcome: &Outcome) {
        let image = fs::read(self.image.path()).unwrap();
        assert!(!self.is_run || outcome.code != 0 || image.len() > 1 << 20, "there is no memory to look into");
        let files = if self.values.is_empty() { Vec::new() } else { written(&self.directory) };
        for value in &self.values {
            let percent = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
            for form in [value.clone(), percent, STANDARD.encode(value)] {
                assert!(memmem::find(&image, form.as_bytes()).is_none(), "{form} is in the memory of the connector");
                let printed = outcome.stdout.contains(&form) || outcome.stderr.contains(&form);
                assert!(!printed, "{form} was printed: {outcome:?}");
                for path in &files {
                    let is_there = fs::read(path).is_ok_and(|file| memmem::find(&file, form.as_bytes()).is_some());
                    assert!(!is_there, "{form} is in {}", path.display());
                }
            }
        }
    }
}

impl Call {
    /// `spile ARGUMENTS…` with this working directory.
    pub fn new(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        let image = NamedTempFile::new().unwrap();
        command.args(arguments).current_dir(directory).stdin(Stdio::null()).env("SPILE_MEMORY_IMAGE", image.path());
        let is_run = arguments.first() == Some(&"run");
        Self { command, secrets: Secrets { values: Vec::new(), is_run, image, directory: directory.to_owned() } }
    }

    pub fn with(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable. `SPILE_TEST_…` and `SPILE_SECRET_…` hold secrets, which are looked for after the run.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        let is_secret = name.starts_with("SPILE_TEST_") || name.starts_with("SPILE_SECRET_");
        if is_secret && value.len() >= SHORTEST_SECRET {
            self.secrets.values.push(value.to_owned());
        }
        self.command.env(name, value);
        self
    }

    /// Starts it. Its output goes to files that have no name: nobody has to read it while it runs.
    pub fn start(mut self) -> Running {
        let [stdout, stderr] = [(), ()].map(|()| tempfile::tempfile().unwrap());
        self.command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
        Running { process: self.command.spawn().expect("the program starts"), stdout, stderr, secrets: self.secrets }
    }

    /// Runs it to its end.
    pub fn outcome(self) -> Outcome {
        self.start().end()
    }

    /// Runs it to its end, which must be a good one.
    pub fn succeeds(self) -> Outcome {
        self.outcome().ended_with(0)
    }
}

/// A call that is running. It is killed where a test gives up.
pub struct Running {
    process: Child,
    stdout: File,
    stderr: File,
    secrets: Secrets,
}

impl Running {
    pub fn signal(&self, signal: i32) {
        let id = self.process.id().try_into().unwrap();
        // SAFETY: no memory is involved, and the id is that of a child which was not waited for yet.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
    }

    #[track_caller]
    pub fn end(mut self) -> Outcome {
        let status = self.process.wait().unwrap();
        let text = |file: &mut File| {
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            text
        };
        let code = status.code().or_else(|| Some(-status.signal()?)).unwrap();
        let outcome = Outcome { code, stdout: text(&mut self.stdout), stderr: text(&mut self.stderr) };
        self.secrets.are_not_in(&outcome);
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both are without effect on a process that was waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What came of a call.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code, or the number of the signal that ended it, made negative.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    #[track_caller]
    pub fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The errors must hold these texts.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is missing in:\n{}", self.stderr);
        }
        self
    }

    /// No output may hold this text.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "{self:?}");
        self
    }

    /// The JSON of `--summary json`.
    #[track_caller]
    pub fn summary(&self) -> Summary {
        Summary(serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout)))
    }
}

pub struct Summary(pub Value);

impl Summary {
    /// A count of a resource.
    pub fn of_resource(&self, resource: &str, count: &str) -> u64 {
        let found = self.list("resources").iter().find(|item| item["resource"] == resource);
        found.and_then(|item| item[count].as_u64()).unwrap_or_else(|| panic!("no {count} of {resource}: {}", self.0))
    }

    /// A count over all resources.
    pub fn of_all(&self, count: &str) -> u64 {
        self.list("resources").iter().map(|item| item[count].as_u64().unwrap()).sum()
    }

    /// A count of each table.
    pub fn of_tables(&self, count: &str) -> Vec<(String, u64)> {
        let pair = |item: &Value| (item["table"].as_str().unwrap().to_owned(), item[count].as_u64().unwrap());
        let mut pairs: Vec<_> = self.list("tables").iter().map(pair).collect();
        pairs.sort();
        pairs
    }

    fn list(&self, key: &str) -> &[Value] {
        self.0[key].as_array().unwrap_or_else(|| panic!("no {key}: {}", self.0))
    }
}
