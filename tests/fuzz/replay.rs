//! Runs what fuzzing has kept through the same targets, with the other tests.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "src/lib.rs"]
mod targets;

use std::path::Path;

#[test]
fn what_was_kept_does_no_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for name in targets::TARGETS {
        let target = targets::target(name);
        let files = std::fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path());
        let run = |path: std::path::PathBuf| target(&std::fs::read(path).unwrap());
        assert!(files.map(run).count() > 5, "there is no corpus of {name}");
    }
}
