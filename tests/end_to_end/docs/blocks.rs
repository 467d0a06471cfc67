//! The examples of a page: its fenced blocks, and what the comment before a block says of it.

use serde::Deserialize;
use serde_json::{Map, Value};
use spile_host::pipeline::document::Document;
use std::{collections::BTreeMap, fs, path::Path};

/// A fenced block.
pub struct Block {
    /// `docs/secrets.md:19`
    pub place: String,
    /// `yaml`, `json`, `toml`, `sh` and so on.
    pub language: String,
    pub text: String,
    pub said: Said,
}

/// What a comment says.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Said {
    /// Why it is not run.
    #[serde(skip)]
    pub not_run: Option<String>,
    /// The API that it is run against; a list of them where the block has several examples.
    pub api: Value,
    /// A part of the error that it ends with.
    pub fails: Option<String>,
    /// Values of path variables.
    pub params: Map<String, Value>,
    /// Values of secrets, `file:PATH` for those of a file; a secret that is not named here has its name as value.
    pub secrets: BTreeMap<String, String>,
    /// Further arguments of the program.
    pub arguments: Vec<String>,
}

impl Block {
    /// All blocks of a page. `name` is its path in places.
    pub fn of(page: &Path, name: &str) -> Vec<Self> {
        let text = fs::read_to_string(page).unwrap();
        let mut lines = text.lines().enumerate();
        let (mut blocks, mut comment) = (Vec::new(), String::new());
        while let Some((number, line)) = lines.next() {
            let start = line.trim_start();
            if start.starts_with("<!--") {
                comment = line.to_owned();
                while !comment.contains("-->") {
                    comment = format!("{comment}\n{}", lines.next().expect("a comment ends").1);
                }
            } else if let Some(language) = start.strip_prefix("```") {
                let indent = line.len() - start.len();
                let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
                let text: String = inside.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect();
                let place = format!("{name}:{}", number + 1);
                let said = Said::read(&std::mem::take(&mut comment)).unwrap_or_else(|why| panic!("{place}: {why}"));
                blocks.push(Self { place, language: language.trim().to_owned(), text, said });
            } else if !start.is_empty() {
                comment.clear();
            }
        }
        blocks
    }

    /// The examples of a block. Where a key comes again at the margin, another one begins.
    pub fn examples(&self) -> Vec<String> {
        let mut examples = vec![String::new()];
        let mut seen: Vec<&str> = Vec::new();
        for line in self.text.split_inclusive('\n') {
            let key =
                line.split_once(':').map(|(key, _)| key).filter(|key| !key.starts_with([' ', '#', '-', '{', '[', '"']));
            if let Some(key) = key.filter(|_| self.language == "yaml") {
                if seen.contains(&key) {
                    examples.push(String::new());
                    seen.clear();
                }
                seen.push(key);
            }
            examples.last_mut().unwrap().push_str(line);
        }
        examples
    }
}

impl Said {
    fn read(comment: &str) -> Result<Self, String> {
        let Some(inside) = comment.trim().strip_prefix("<!--").and_then(|text| text.strip_suffix("-->")) else {
            return Ok(Self::default());
        };
        if let Some(why) = inside.trim().strip_prefix("not run:") {
            return Ok(Self { not_run: Some(why.trim().to_owned()), ..Self::default() });
        }
        let document = Document::parse("the comment", "yaml", inside.to_owned()).map_err(|error| error.to_string())?;
        serde_json::from_value(document.value).map_err(|error| format!("the comment before the block: {error}"))
    }
}

#[test]
fn blocks_comments_and_examples_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.md");
    let text = "<!-- not run: it is\nnone -->\n\n```yaml\na: 1\n```\n<!-- fails: x -->\nText.\n  ```yaml\n  a: 1\n  b:\n    a: 2\n  a: 3\n  ```\n\
                <!--\napi: {auth: {bearer: t}}\nparams: {p: 1}\n-->\n```json\n{}\n```\n";
    fs::write(&page, text).unwrap();
    let blocks = Block::of(&page, "page.md");
    let places: Vec<_> = blocks.iter().map(|block| (block.place.as_str(), block.language.as_str())).collect();
    assert_eq!(places, [("page.md:4", "yaml"), ("page.md:9", "yaml"), ("page.md:19", "json")]);
    assert_eq!(blocks[0].said.not_run.as_deref(), Some("it is\nnone"));
    assert!(blocks[1].said.fails.is_none());
    assert_eq!(blocks[1].examples(), ["a: 1\nb:\n  a: 2\n", "a: 3\n"]);
    assert_eq!(blocks[2].said.params["p"], 1);
    assert!(Said::read("<!-- apis: [] -->").is_err());
}
