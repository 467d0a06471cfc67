//! The pages of the documents that are made from what they describe: `docs/config.md` and `docs/contract.md`.
//!
//! What is made stands between two marks in its page. `BLESS=1` writes it.

mod configuration;
mod contract;

use std::fs;

/// A text without breaks of lines, for a cell of a table.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Holds a page to what is made for it.
fn holds(page: &str, made: &str) {
    let path = format!("{}/../docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap();
    let (mark, end) = ("<!-- made by a test -->\n", "<!-- end -->\n");
    let (before, rest) = text.split_once(mark).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let whole = format!("{before}{mark}\n{made}\n{end}{after}");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &whole).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == whole, "docs/{page}: BLESS=1 writes it; look at what changed");
}

#[test]
fn the_config_reference_has_every_key() {
    holds("config.md", &configuration::of(&crate::pipeline::schema()));
}

#[test]
fn the_contract_reference_has_every_item() {
    holds("contract.md", &contract::of(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit").as_ref()));
}
