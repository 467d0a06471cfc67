//! The contracts as they were released (`wit/released/VERSION.wit`, `wit/streaming/released`) and as they stand: what was released
//! does not change, and what is new is compatible with every release of its version.

use std::fs;
use std::path::{Path, PathBuf};

use wit_parser::Resolve;

const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit");

/// Where a contract stands, and which package it is.
struct Contract {
    folder: &'static str,
    file: &'static str,
    package: &'static str,
}

const CONNECTOR: Contract = Contract { folder: "", file: "connector.wit", package: "spile:connector" };
const STREAMING: Contract = Contract { folder: "streaming", file: "streaming.wit", package: "spile:streaming" };

#[test]
fn the_contracts_keep_what_was_released() {
    for contract in [CONNECTOR, STREAMING] {
        let current = contract.current();
        let version = contract.version_of(&current);
        let mut compared = 0;
        for entry in fs::read_dir(contract.folder().join("released")).unwrap() {
            let file = entry.unwrap().path();
            let released = fs::read_to_string(&file).unwrap();
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            assert_eq!(contract.version_of(&released), name, "{}", file.display());
            if name == version {
                assert!(
                    released == current,
                    "{name} was released: give the contract a new version, and then change it"
                );
            } else if major_and_minor(&name) == major_and_minor(version) {
                let checked = contract.check(&released, &current);
                checked.unwrap_or_else(|why| panic!("{version} is not compatible with {name}: {why:#}"));
            }
            compared += 1;
        }
        assert!(compared > 0, "nothing was released of {}", contract.package);
    }
}

/// That the check above can fail, and when.
#[test]
fn a_change_is_compatible_where_nothing_that_a_host_uses_is_other() {
    let changed = |contract: &Contract, from: &str, to: &str| {
        let current = contract.current();
        assert_eq!(current.matches(from).count(), 1, "{from}");
        contract.check(&current, &current.replace(from, to))
    };
    for contract in [CONNECTOR, STREAMING] {
        changed(&contract, "spec: func() -> string;", "/// Something else.\n    spec: func() -> string;").unwrap();
        changed(&contract, "spec: func() -> string;", "spec: func() -> option<string>;").unwrap_err();
    }
    changed(&CONNECTOR, "record wait {", "record wait {\n        more: u32,").unwrap_err();
    changed(&CONNECTOR, "import wasi:random/random@0.2.4;", "").unwrap_err();
    changed(&STREAMING, "check: async func", "check: func").unwrap_err();
    changed(&STREAMING, "import wasi:random/random@0.3.0;", "").unwrap_err();
}

impl Contract {
    fn folder(&self) -> PathBuf {
        Path::new(WIT).join(self.folder)
    }

    fn current(&self) -> String {
        fs::read_to_string(self.folder().join(self.file)).unwrap()
    }

    /// Whether a host of the new contract runs a connector of the one before.
    fn check(&self, before: &str, after: &str) -> Result<(), Box<dyn std::error::Error>> {
        let mut resolve = Resolve::default();
        resolve.push_dir(WIT)?;
        if !self.folder.is_empty() {
            for package in ["clocks", "random", "http"] {
                resolve.push_dir(self.folder().join(format!("deps/wasi-{package}@0.3.0")))?;
            }
        }
        // Both stand beside the one that came with the packages of WASI, under versions of their own.
        let mut world = |text: &str, version: &str| {
            let text = text.replacen(&format!("@{};", self.version_of(text)), &format!("@{version};"), 1);
            let package = resolve.push_str(self.file, &text)?;
            resolve.select_world(&[package], Some("connector"))
        };
        let (before, after) = (world(before, "0.0.1")?, world(after, "0.0.2")?);
        Ok(wit_component::semver_check(resolve, before, after)?)
    }

    /// `0.1.0` of `package spile:connector@0.1.0;`.
    fn version_of<'t>(&self, text: &'t str) -> &'t str {
        let package = text.lines().find_map(|line| line.strip_prefix(&format!("package {}@", self.package)));
        package.and_then(|line| line.strip_suffix(';')).expect("a package with a version")
    }
}

fn major_and_minor(version: &str) -> Option<&str> {
    version.rsplit_once('.').map(|(front, _)| front)
}
