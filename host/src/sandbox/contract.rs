//! Which contract a component speaks, read from the name of what it exports before it is instantiated.

use crate::component::Artifact;
use crate::{Class, Error, Result};
use semver::{Version, VersionReq};
use wasmtime::Engine;
use wasmtime::component::Component;

/// What a connector exports, with its version after an `@`.
const INTERFACE: &str = "spile:connector/source";

/// The versions that this host runs: those that are compatible with the one it is built from.
const SUPPORTED: &str = ">=0.1.0, <0.2.0";

/// How many exports of something else are told.
const MOST_TOLD: usize = 5;

/// Fails with `Class::Config` where the component is no connector, or one of another version.
pub(super) fn check(engine: &Engine, component: &Component) -> Result<()> {
    let kind = component.component_type();
    let exports = || kind.exports(engine).map(|(name, _)| name);
    let Some(version) = exports().find_map(version_of) else {
        let exports: Vec<_> = exports().take(MOST_TOLD).collect();
        let told = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        return Err(Error::new(Class::Config, "the component is not a connector")
            .fact("exports", told)
            .advice(format!("a connector exports `{INTERFACE}`: see wit/connector.wit")));
    };
    match is_supported(version) {
        true => Ok(()),
        false => Err(Error::new(Class::Config, "the component is a connector of another version of the contract")
            .fact("version", version)
            .fact("supported", SUPPORTED)
            .advice("build it from a contract of these versions, or use a host of its version")),
    }
}

/// Why bytes are no component that this host can load.
pub(super) fn not_loaded(wasm: &[u8], error: &wasmtime::Error) -> Error {
    let is_newer = |import: &String| import.starts_with("wasi:") && import.contains("@0.3.");
    if Artifact::new(wasm.to_vec()).is_ok_and(|artifact| artifact.imports().iter().any(is_newer)) {
        return Error::new(Class::Config, "the component is for WASI 0.3, and this host runs those for WASI 0.2")
            .advice("take the build for WASI 0.2, or another host: see docs/runtimes.md");
    }
    Error::new(Class::Config, "not a WebAssembly component").fact("reason", format_args!("{error:#}"))
}

/// `0.1.0` of `spile:connector/source@0.1.0`.
fn version_of(export: &str) -> Option<&str> {
    export.strip_prefix(INTERFACE)?.strip_prefix('@')
}

fn is_supported(version: &str) -> bool {
    let supported = VersionReq::parse(SUPPORTED);
    supported.is_ok_and(|supported| Version::parse(version).is_ok_and(|version| supported.matches(&version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_the_name_of_the_export() {
        assert_eq!(version_of("spile:connector/source@0.1.7"), Some("0.1.7"));
        for other in ["spile:connector/source", "spile:connector/sources@0.1.0", "wasi:cli/run@0.2.0"] {
            assert_eq!(version_of(other), None, "{other}");
        }
        for (version, expected) in [("0.1.0", true), ("0.1.12", true), ("0.2.0", false), ("1.0.0", false), ("x", false)]
        {
            assert_eq!(is_supported(version), expected, "{version}");
        }
    }

    #[test]
    fn the_contract_that_this_host_is_built_from_is_supported() {
        let package = include_str!("../../../wit/connector.wit")
            .lines()
            .find_map(|line| line.strip_prefix("package spile:connector@"));
        assert!(is_supported(package.and_then(|line| line.strip_suffix(';')).unwrap_or_default()));
    }
}
