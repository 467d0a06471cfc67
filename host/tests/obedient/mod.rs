//! The tests' own connector: it does what it is told (`tests/guest`).

use spile_host::sandbox::{Connector, Host, HostOptions};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

/// Its core module, built once.
pub static MODULE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--package", "spile-test-guest", "--release", "--target", "wasm32-unknown-unknown"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::read(target.join("wasm32-unknown-unknown/release/spile_test_guest.wasm")).unwrap()
});

/// The component.
pub static GUEST: LazyLock<Vec<u8>> = LazyLock::new(|| component(&MODULE));

/// A host whose instances can be looked into.
pub static HOST: LazyLock<Host> =
    LazyLock::new(|| Host::new(HostOptions { memory_images: true, ..HostOptions::default() }).unwrap());

/// The connector, loaded once.
pub static CONNECTOR: LazyLock<Connector> = LazyLock::new(|| HOST.load(&GUEST).unwrap());

/// Makes a component of a core module.
pub fn component(module: &[u8]) -> Vec<u8> {
    wit_component::ComponentEncoder::default().validate(true).module(module).unwrap().encode().unwrap()
}
