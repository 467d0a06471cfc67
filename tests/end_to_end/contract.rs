//! The contract as it was released (`wit/released/VERSION.wit`) and as it stands: what was released does not change, and what is new
//! is compatible with every release of its version.

use std::{fs, path::Path};

use wit_parser::Resolve;

const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit");

#[test]
fn the_contract_keeps_what_was_released() {
    let current = fs::read_to_string(Path::new(WIT).join("connector.wit")).unwrap();
    let version = version_of(&current);
    let mut compared = 0;
    for entry in fs::read_dir(Path::new(WIT).join("released")).unwrap() {
        let file = entry.unwrap().path();
        let released = fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        assert_eq!(version_of(&released), name, "{}", file.display());
        if name == version {
            assert!(released == current, "{name} was released: give the contract a new version, and then change it");
        } else if major_and_minor(&name) == major_and_minor(version) {
            check(&released, &current).unwrap_or_else(|why| panic!("{version} is not compatible with {name}: {why:#}"));
        }
        compared += 1;
    }
    assert!(compared > 0, "nothing was released");
}

/// That the check above can fail, and when.
#[test]
fn a_change_is_compatible_where_nothing_that_a_host_uses_is_other() {
    let current = fs::read_to_string(Path::new(WIT).join("connector.wit")).unwrap();
    let changed = |from: &str, to: &str| {
        assert_eq!(current.matches(from).count(), 1, "{from}");
        check(&current, &current.replace(from, to))
    };
    changed("spec: func() -> string;", "/// Something else.\n    spec: func() -> string;").unwrap();
    changed("record wait {", "record wait {\n        more: u32,").unwrap_err();
    changed("spec: func() -> string;", "spec: func() -> option<string>;").unwrap_err();
    changed("import wasi:random/random@0.2.4;", "").unwrap_err();
}

/// Whether a host of the new contract runs a connector of the one before.
fn check(before: &str, after: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut resolve = Resolve::default();
    let (_, _) = resolve.push_dir(WIT)?;
    // Both stand beside the one that came with the packages of WASI, under versions of their own.
    let mut world = |text: &str, version: &str| {
        let text = text.replacen(&format!("@{};", version_of(text)), &format!("@{version};"), 1);
        let package = resolve.push_str("connector.wit", &text)?;
        resolve.select_world(&[package], Some("connector"))
    };
    let (before, after) = (world(before, "0.0.1")?, world(after, "0.0.2")?);
    Ok(wit_component::semver_check(resolve, before, after)?)
}

/// `0.1.0` of `package spile:connector@0.1.0;`.
fn version_of(text: &str) -> &str {
    let package = text.lines().find_map(|line| line.strip_prefix("package spile:connector@"));
    package.and_then(|line| line.strip_suffix(';')).expect("a package with a version")
}

fn major_and_minor(version: &str) -> Option<&str> {
    version.rsplit_once('.').map(|(front, _)| front)
}
