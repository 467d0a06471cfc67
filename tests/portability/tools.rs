//! Where the runtimes are: `scripts/setup-portability.sh` finds or fetches them, into the user's cache folder.

use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::{env, fs};

/// The project's folder.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The one component that all read with.
pub static COMPONENT: LazyLock<PathBuf> = LazyLock::new(|| {
    let file = built("spile.wasm");
    assert!(fs::read(&file).unwrap() == spile_host::COMPONENT, "another component is beside the program");
    file
});

/// The same, composed with what faces HTTP.
static SERVED: LazyLock<PathBuf> = LazyLock::new(|| built("spile-edge.wasm"));

/// The same engine behind the contract for WASI 0.3, built from the sources as they are.
pub static STREAMING: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_BIN_EXE_spile")).ancestors().nth(2).unwrap();
    spile_component::streaming(Path::new(ROOT), target).unwrap()
});

/// The folder of what was set up.
static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| Path::new(&env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from);
    let folder = cache.join("spile/portability");
    assert!(folder.is_dir(), "the runtimes are not set up: run scripts/setup-portability.sh");
    folder
});

fn built(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_BIN_EXE_spile")).with_file_name(name);
    assert!(file.is_file(), "{} is not built", file.display());
    file
}

/// In hexadecimal.
fn digest_of(component: &[u8]) -> String {
    Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The version of a crate that is built with.
pub fn locked(name: &str) -> String {
    let lock: toml_edit::DocumentMut = fs::read_to_string(Path::new(ROOT).join("Cargo.lock")).unwrap().parse().unwrap();
    let packages = lock["package"].as_array_of_tables().unwrap();
    let package = packages.iter().find(|package| package["name"].as_str() == Some(name)).unwrap();
    package["version"].as_str().unwrap().to_owned()
}

/// The version of a npm package that was set up.
fn installed(folder: &Path, name: &str) -> String {
    let manifest = fs::read_to_string(folder.join("node_modules").join(name).join("package.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    manifest["version"].as_str().unwrap().to_owned()
}

/// Tests run side by side, and several of them read in Node.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The copy of a folder of the project beside its npm packages, with the component as a module of JavaScript in `component`.
pub fn with_packages(folder: &str) -> PathBuf {
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let example = copied(folder);
    transpile(&example, &COMPONENT, &[], "digest");
    example
}

/// Makes a module of JavaScript of a component, as the example does. It takes seconds, so it is done once for a component, whose digest
/// is noted in a file.
fn transpile(example: &Path, component: &Path, options: &[&str], noted: &str) {
    let digest = digest_of(&fs::read(component).unwrap());
    let noted = example.join("component").join(noted);
    if fs::read_to_string(&noted).unwrap_or_default() != digest {
        let mut transpile = Command::new("npm");
        transpile.args(["run", "--silent", "transpile", "--"]).args(options).arg(component);
        run(transpile.current_dir(example));
        fs::write(noted, digest).unwrap();
    }
}

/// Node, with the example's library.
pub fn node_runner() -> Command {
    let example = with_packages("examples/hosts/node");
    let mut command = Command::new("node");
    command.arg(copied("tests/portability/node").join("runner.mjs")).arg(example.join("component/spile.js"));
    command
}

/// A Node that runs components of WASI 0.3, with the example's library.
pub fn streaming_runner() -> Command {
    let mut command = Command::new(streaming_node());
    let component = with_streaming().join("component/spile-streaming.js");
    command.arg(copied("tests/portability/node").join("runner.mjs")).arg(component).arg("--streaming");
    command
}

/// The example for Node, with the component of WASI 0.3 too.
pub fn with_streaming() -> PathBuf {
    let example = with_packages("examples/hosts/node");
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    transpile(&example, &STREAMING, &["--streaming"], "digest-streaming");
    example
}

/// The one that was set up; where there is none for this machine, its own, which must be of version 24.
pub fn streaming_node() -> PathBuf {
    let node = TOOLS.join("streaming/node_modules/.bin/node");
    if node.is_file() { node } else { "node".into() }
}

/// Python that has what the example needs.
pub fn python() -> Command {
    let mut command = Command::new(TOOLS.join("python/bin/python"));
    // Nothing is to be left beside the sources.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Python, with the example's library.
pub fn python_runner() -> Command {
    let mut command = python();
    command.arg(Path::new(ROOT).join("tests/portability/python/runner.py")).arg(&*COMPONENT);
    command
}

/// Where the npm packages of a folder of the project are, and its copy.
pub fn folder(path: &str) -> PathBuf {
    TOOLS.join("node").join(path)
}

/// The copy of a folder of the project beside its npm packages.
fn copied(path: &str) -> PathBuf {
    copy(path, &folder(""));
    folder(path)
}

/// The program.
pub fn program() -> PathBuf {
    built("spile")
}

/// The mock API, which is built with the workspace.
pub fn mock_api() -> PathBuf {
    built("mock-api")
}

/// The connector behind HTTP, on a port of localhost.
pub fn serve(port: u16) -> Command {
    let mut command = Command::new("node");
    command.arg(TOOLS.join("jco/node_modules/@bytecodealliance/jco/dist/jco.js"));
    command.arg("serve").arg(&*SERVED).args(["--port", &port.to_string()]);
    command
}

/// What serves.
pub fn server_name() -> String {
    format!("HTTP (jco {})", installed(&TOOLS.join("jco"), "@bytecodealliance/jco"))
}

/// Copies the files of a folder of the project that are kept in it into a folder of the same path elsewhere.
fn copy(folder: &str, root: &Path) {
    let files = Command::new("git").args(["ls-files", folder]).current_dir(ROOT).output().unwrap();
    assert!(files.status.success());
    for file in String::from_utf8(files.stdout).unwrap().lines() {
        let (from, to) = (fs::read(Path::new(ROOT).join(file)).unwrap(), root.join(file));
        // One that is there is left alone: it may be read just now.
        if fs::read(&to).ok().as_ref() != Some(&from) {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(to, from).unwrap();
        }
    }
}

/// Fails where it does.
pub fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?} ends with {status}");
}
