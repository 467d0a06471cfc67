//! `spile new`: a connector of one's own, from the examples that the project keeps and tests.

use super::args::{Language, New};
use crate::{Class, Error, Result};
use std::fs;
use std::path::Path;

/// The name of the examples. It stands in them for nothing else.
const EXAMPLE: &str = "journal";

/// What stands between these lines of a file is for the project's own folder.
const OWN: [&str; 2] = ["<!-- only in Spile's own folder -->\n", "<!-- end -->\n"];

/// A file: its path in the new folder, and its text.
type File = (&'static str, &'static str);

macro_rules! files {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../", $folder, "/", $path)))),*]
    };
}

const RUST: &[File] = files!("examples/connectors/rust":
    ".gitignore", "Cargo.lock", "Cargo.toml", "README.md", "api.mjs", "pipeline.yaml", "src/configuration.json", "src/contract.rs",
    "src/http.rs", "src/lib.rs", "src/page.rs", "src/progress.rs", "src/rows.rs",
);

const JAVASCRIPT: &[File] = files!("examples/connectors/javascript":
    ".gitignore", ".npmrc", "README.md", "api.mjs", "build.mjs", "connector.js", "contract.js", "http.js", "package-lock.json",
    "package.json", "pipeline.yaml", "progress.js", "rows.js", "test.mjs",
);

/// The contract, and what it builds on.
const CONTRACT: &[File] = files!("wit":
    "connector.wit", "deps/wasi-clocks@0.2.4/monotonic-clock.wit", "deps/wasi-clocks@0.2.4/wall-clock.wit",
    "deps/wasi-http@0.2.4/handler.wit", "deps/wasi-http@0.2.4/types.wit", "deps/wasi-io@0.2.4/error.wit",
    "deps/wasi-io@0.2.4/poll.wit", "deps/wasi-io@0.2.4/streams.wit", "deps/wasi-random@0.2.4/random.wit",
);

/// What differs where the contract stands in the folder itself.
const CHANGES: [(&str, &str); 2] = [("\"wit\": \"../../../wit\"", "\"wit\": \"wit\""), ("/wit\n", "")];

/// Writes the folder; gives what to tell.
pub(super) fn write(args: &New) -> Result<String> {
    let name = args.name.as_str();
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit() || matches!(sign, '-' | '_'));
    if !is_name {
        return Err(Error::new(Class::Config, format!("`{name}` cannot name a connector"))
            .advice("write lower-case letters, digits, `-` and `_`, beginning with a letter"));
    }
    let folder = Path::new(name);
    if folder.exists() {
        return Err(Error::new(Class::Config, format!("`{name}` is there already"))
            .advice("choose another name, or another folder to be in"));
    }
    let files = match args.lang {
        Language::Rust => RUST,
        Language::Javascript => JAVASCRIPT,
    };
    for (path, text) in files {
        put(&folder.join(path), &renamed(text, name))?;
    }
    for (path, text) in CONTRACT {
        put(&folder.join("wit").join(path), text)?;
    }
    Ok(format!(
        "{name}: a connector that reads an example's API. {name}/README.md says how it is built, run and changed.\n"
    ))
}

fn put(path: &Path, text: &str) -> Result<()> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    made.map_err(|error| Error::new(Class::Config, format!("failed to write {}: {error}", path.display())))
}

/// An example's file under another name, and for a folder of its own.
fn renamed(text: &str, name: &str) -> String {
    let mut own = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OWN[0]) {
        own.push_str(before);
        rest = after.split_once(OWN[1]).map_or("", |(_, after)| after);
    }
    own.push_str(rest);
    CHANGES.iter().fold(own.replace(EXAMPLE, name), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::process::Command;

    #[test]
    fn every_file_of_an_example_is_in_what_is_written() {
        for (folder, files) in [("examples/connectors/rust", RUST), ("examples/connectors/javascript", JAVASCRIPT)] {
            assert_eq!(files.iter().map(|(path, _)| (*path).to_owned()).collect::<BTreeSet<_>>(), kept(folder));
        }
        // A connector needs neither what was released nor the contract for WASI 0.3.
        let is_needed = |path: &String| !path.starts_with("released/") && !path.starts_with("streaming/");
        let contract: BTreeSet<_> = kept("wit").into_iter().filter(is_needed).collect();
        assert_eq!(CONTRACT.iter().map(|(path, _)| (*path).to_owned()).collect::<BTreeSet<_>>(), contract);
    }

    /// The files of a folder that the project keeps.
    fn kept(folder: &str) -> BTreeSet<String> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let files = Command::new("git").args(["ls-files", folder]).current_dir(root).output().unwrap();
        let files = String::from_utf8(files.stdout).unwrap();
        files.lines().map(|path| path.strip_prefix(&format!("{folder}/")).unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_written_has_its_own_name_and_contract() {
        for (path, text) in RUST.iter().chain(JAVASCRIPT) {
            let text = renamed(text, "my-log");
            assert!(!text.contains(EXAMPLE) && !text.contains("only in Spile's own folder"), "{path}");
            assert!(!text.contains("../wit"), "{path}");
        }
    }
}
