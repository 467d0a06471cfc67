//! `spile import`: golden cases, and files made to harm.
//!
//! A case is a folder under `cases`: `source.py`; `choice.txt`, the source that is asked for, where there are several;
//! `expected.yaml`, which is absent where the import fails; `expected.txt`, the warnings or the error; and `source.json`, the
//! source that the YAML must hold, where that is known from elsewhere. `BLESS=1` rewrites the expected files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use spile_host::import::{self, Imported};
use spile_host::pipeline::{Pipeline, document::Document};
use spile_host::{Class, Error};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 12);
    cases
}

fn told(kind: &str, error: &Error) -> String {
    let place = error.places.first().map(|place| format!("{place}: ")).unwrap_or_default();
    let advice = error.advice.as_ref().map(|advice| format!("\n  {advice}")).unwrap_or_default();
    format!("{place}{kind}: {error}{advice}\n")
}

#[test]
fn cases_are_as_expected() {
    let bless = std::env::var_os("BLESS").is_some();
    for case in cases() {
        let text = fs::read_to_string(case.join("source.py")).unwrap();
        let choice = fs::read_to_string(case.join("choice.txt")).ok();
        let (yaml, messages) = match import::parse("source.py", &text, choice.as_deref()) {
            Ok(Imported { yaml, warnings }) => {
                (Some(yaml), warnings.iter().map(|warning| told("warning", warning)).collect())
            }
            Err(error) => {
                assert_eq!(error.class, Class::Config);
                (None, told("error", &error))
            }
        };
        if let Some(yaml) = &yaml {
            let pipeline = Pipeline::new(Document::parse("expected.yaml", "yaml", yaml.clone()).unwrap(), "stem");
            let pipeline = pipeline.unwrap_or_else(|error| panic!("{}: {error}", case.display()));
            if let Ok(source) = fs::read_to_string(case.join("source.json")) {
                assert_eq!(pipeline.source, serde_json::from_str::<Value>(&source).unwrap(), "{}", case.display());
            }
        }
        let files = [("expected.yaml", yaml.unwrap_or_default()), ("expected.txt", messages)];
        for (file, found) in files {
            let path = case.join(file);
            match (bless, found.is_empty()) {
                (true, true) => drop(fs::remove_file(&path)),
                (true, false) => fs::write(&path, &found).unwrap(),
                (false, _) => {
                    let expected = fs::read_to_string(&path).unwrap_or_default();
                    assert_eq!(found, expected, "{}; BLESS=1 rewrites it", path.display());
                }
            }
        }
    }
}

fn spile(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_spile")).args(arguments).output().unwrap()
}

#[test]
fn an_imported_file_is_described_by_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = folder.path().join("ai.yaml");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/cases/ai_platform/source.py");
    let imported = spile(&["import", source.to_str().unwrap(), "--output", yaml.to_str().unwrap()]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    assert!(imported.stdout.is_empty() && imported.stderr.is_empty());
    let described = spile(&["describe", yaml.to_str().unwrap(), "--param", "user_id=me", "--json"]);
    assert!(described.status.success(), "{}", String::from_utf8_lossy(&described.stderr));
    let described = String::from_utf8(described.stdout).unwrap();
    assert!(described.contains("model_versions") && described.contains("api_key"), "{described}");
}

#[test]
fn the_program_shows_places_and_ends_with_2() {
    let case = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/cases").join(name).join("source.py");
        spile(&["import", path.to_str().unwrap()])
    };
    let broken = case("syntax_error");
    assert_eq!(broken.status.code(), Some(2));
    let message = String::from_utf8(broken.stderr).unwrap();
    assert!(message.contains("is not valid Python") && message.contains("source.py:6:"), "{message}");
    let code = case("code");
    assert_eq!(code.status.code(), Some(0));
    assert!(String::from_utf8(code.stderr).unwrap().contains("source.py:21:"));
    assert!(String::from_utf8(code.stdout).unwrap().contains(r#"# not carried over, line 21: lambda r: r["x"]"#));
    let several = case("several");
    assert_eq!(several.status.code(), Some(2));
}

/// An import of a hostile text ends: in YAML that can be read, or in an error of class config.
fn survives(text: &str) {
    match import::parse("hostile.py", text, None) {
        Ok(imported) => drop(Document::parse("f", "yaml", imported.yaml).unwrap()),
        Err(error) => assert_eq!(error.class, Class::Config, "{error}"),
    }
}

#[test]
fn deep_and_large_files_end_in_order() {
    let source = |value: &str| {
        format!("rest_api_source({{'client': {{'base_url': 'https://a.b'}}, 'resources': [], 'x': {value}}})\n")
    };
    let deep = 100_000;
    for (open, close) in
        [("[", "]"), ("(", ")"), ("{'a': ", "}"), ("f(", ")"), ("-", ""), ("not ", ""), ("lambda: ", ""), ("[*", "]")]
    {
        survives(&source(&format!("{}1{}", open.repeat(deep), close.repeat(deep))));
        survives(&source(&format!("{}1", open.repeat(deep))));
    }
    for chain in ["+1", "**1", ".a", "[0]", "()", " or 1", " if 1 else 1", "+'a'", "|{}"] {
        survives(&source(&format!("a{}", chain.repeat(deep / 2))));
    }
    let nested: String = (0..1000).map(|depth| format!("{}if x:\n", " ".repeat(depth))).collect();
    survives(&format!("{nested}{}pass\n", " ".repeat(1000)));
    survives(&format!("{}x\n", "if x:\n pass\nel".repeat(deep / 4)));
    survives(&"[".repeat(1 << 20));
    survives(&"-".repeat(1 << 20));
    survives(&"f'{".repeat(20_000));
    survives(&"x".repeat((1 << 20) + 1));
}

#[test]
fn small_files_do_not_make_large_values() {
    let doubled = |first: &str, line: &str| {
        let lines = format!("{line}\n").repeat(5000);
        survives(&format!("a = {first}\n{lines}rest_api_source({{'client': {{}}, 'resources': [a, a]}})\n"));
    };
    doubled("'xy'", "a = a + a");
    doubled("'xy'", "a += a");
    doubled("'xy'", "a = f'{a}{a}'");
    doubled("'xy'", "a = '%s%s' % (a, a)");
    doubled("'xy'", "a = '{0}{0}'.format(a)");
    doubled("[1]", "a = [a, a]");
    doubled("[1]", "a = [*a, *a]");
    doubled("[1]", "a += a");
    doubled("[1]", "a.extend(a)");
    doubled("[1]", "a.append(a)");
    doubled("{'x': 1}", "a = {'x': a, 'y': a}");
    doubled("{'x': 1}", "a['z'] = a");
}
