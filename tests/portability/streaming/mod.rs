//! The component for WASI 0.3, as it is built.

use crate::tools::STREAMING;
use spile_host::component::Artifact;
use spile_host::sandbox::{Host, HostOptions};
use std::fs;

#[test]
fn it_imports_what_the_list_says() {
    let artifact = Artifact::new(fs::read(&*STREAMING).unwrap()).unwrap();
    let mut imports: Vec<_> = artifact.imports().iter().map(|import| format!("{import}\n")).collect();
    imports.sort();
    assert_eq!(imports.concat(), include_str!("imports.txt"));
    assert!(artifact.title().starts_with("spile-streaming "), "{}", artifact.title());
}

#[test]
fn the_host_for_wasi_0_2_says_what_it_is() {
    let host = Host::new(HostOptions::default()).unwrap();
    let error = host.load(&fs::read(&*STREAMING).unwrap()).err().expect("it is for another host");
    assert!(error.to_string().contains("for WASI 0.3"), "{error}");
}
