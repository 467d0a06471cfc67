//! Bad configurations, and what a person is told of each.
//!
//! A case is a file `tests/bad-configs/NAME.{yaml,json,toml}`, and `NAME.txt` beside it, which is what the program prints to
//! standard error. `BLESS=1` rewrites the texts. The connector is asked natively, since that takes no time; that the
//! component says the same is seen with some of them through the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use spile_connector::plan::{Plan, Source};
use spile_host::cli::diagnostic;
use spile_host::pipeline::source::own;
use spile_host::pipeline::{Parted, Pipeline, document::Document};
use spile_host::{Class, Error};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bad-configs");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|ending| ending != "txt")).collect();
    cases.sort();
    assert!(cases.len() >= 75);
    cases
}

/// What the program does up to its first request, with the native connector.
fn check(document: Document) -> (Vec<Error>, Option<Error>) {
    let pipeline = match Pipeline::new(document, "stem") {
        Ok(pipeline) => pipeline,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let warnings = pipeline.warnings().into_iter().map(|warning| pipeline.locate(warning)).collect();
    let Parted { source, withheld: _, mut defects } = pipeline.part();
    let source = Source { config: &source.config, params: &source.params, bindings: &source.bindings };
    match Plan::new(&source) {
        Ok(plan) if defects.is_empty() => {
            let resources = plan.resources.iter().enumerate();
            let unbound: BTreeSet<(usize, &str)> = resources
                .flat_map(|(index, resource)| resource.unbound.iter().map(move |(name, _)| (index, name.as_str())))
                .collect();
            (warnings, pipeline.unbound(unbound))
        }
        plan => {
            defects.extend(plan.err().into_iter().flatten().map(own));
            (warnings, pipeline.refused(defects))
        }
    }
}

#[test]
fn every_case_is_told_as_expected() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut different = Vec::new();
    for case in cases() {
        let ending = case.extension().unwrap().to_str().unwrap();
        let name = case.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&case).unwrap();
        let told = match Document::parse(name, ending, text) {
            Ok(document) => {
                let (warnings, error) = check(document);
                let error = error.unwrap_or_else(|| panic!("nothing is wrong with {name}"));
                assert_eq!(error.class, Class::Config, "{name}");
                for error in std::iter::once(&error).chain(&error.more) {
                    assert!(error.places.len() == 1, "{name}: {error} has no place");
                }
                diagnostic::warnings_in_log(&warnings) + &diagnostic::in_log(&error)
            }
            Err(error) => diagnostic::in_log(&error),
        };
        assert!(!told.contains("hunter2"), "{name} shows a credential:\n{told}");
        let expected = case.with_extension("txt");
        if bless {
            fs::write(&expected, &told).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != told {
            different.push(format!("{name}:\n{told}"));
        }
    }
    assert!(different.is_empty(), "BLESS=1 rewrites what is expected:\n{}", different.join("\n"));
}

#[test]
fn the_program_says_the_same() {
    for name in ["many-defects.yaml", "wrong-auth-types.yaml", "older-incremental.yaml", "not-yaml.yaml"] {
        let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bad-configs").join(name);
        let program = Command::new(env!("CARGO_BIN_EXE_spile"))
            .args(["check", name])
            .current_dir(case.parent().unwrap())
            .output()
            .unwrap();
        assert_eq!(program.status.code(), Some(2), "{name}");
        assert_eq!(
            String::from_utf8(program.stderr).unwrap(),
            fs::read_to_string(case.with_extension("txt")).unwrap(),
            "{name}"
        );
    }
}
