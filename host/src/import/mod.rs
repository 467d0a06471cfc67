//! From a Python file that uses dlt's `rest_api_source` to a pipeline file: `spile import`.
//!
//! Python is never run. The file is parsed ([`python`]), the configuration that it passes to dlt is taken as far as the file
//! itself tells it ([`evaluate`]), turned into the dialect ([`convert`]), and written as YAML ([`yaml`]). What only a run of
//! Python could tell stands in the YAML as a comment in its place, and is warned of.
//!
//! | in Python | in the pipeline |
//! |---|---|
//! | `dlt.secrets["a.b"]`, a parameter with the default `dlt.secrets.value` | `{secret: a_b}` |
//! | `dlt.config["a.b"]`, `os.environ["A"]`, in an endpoint | `{a_b}`, and `a_b` under `params`, to be filled in |
//! | `os.environ["A"]` in `auth` | `{secret: a}`, and `a: env:A` under `secrets` |
//! | an auth or paginator object | its dict form |
//! | all other code | a comment |

mod convert;
mod evaluate;
mod python;
mod text;
mod value;
mod yaml;

use crate::error::FilePlace;
use crate::{Class, Error, Result};
use convert::Converter;
use python::Candidate;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use value::Kind;
use yaml::{Comment, Line, Node};

/// The largest file that is read, in bytes: a configuration written by a person is far smaller.
const LARGEST: usize = 1 << 20;

/// Stack that one level of a syntax tree can need when it is dropped, in bytes; a tree is never deeper than its text is long.
const STACK_PER_LEVEL: usize = 512;

/// What a Python file says.
pub struct Imported {
    /// The pipeline file.
    pub yaml: String,
    /// What is not carried over or is to be filled in, each with its place in the Python file.
    pub warnings: Vec<Error>,
}

/// Reads a Python file. `choice` names one source of several, by its name, its variable, its function or its line.
pub fn read(path: &Path, choice: Option<&str>) -> Result<Imported> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(Class::Config, format!("failed to read {name}: {error}")).advice("give the path of a Python file")
    })?;
    parse(&name, &text, choice)
}

/// Reads the text of a Python file with this name.
pub fn parse(name: &str, text: &str, choice: Option<&str>) -> Result<Imported> {
    if text.len() > LARGEST {
        let message = format!("{name} is larger than {} MiB", LARGEST >> 20);
        return Err(Error::new(Class::Config, message).advice("give a file that holds the configuration alone"));
    }
    let file = SourceFile::new(name, text);
    stacker::grow((1 << 20) + text.len() * STACK_PER_LEVEL, || {
        let candidates = python::candidates(text).map_err(|error| {
            let at = error.location.start().to_usize()..error.location.end().to_usize();
            file.error(format!("{name} is not valid Python: {}", error.error), &at)
        })?;
        pipeline(&file, choose(&file, &candidates, choice)?)
    })
}

/// The source that is meant. Calls count before dicts that only look like a configuration.
fn choose<'a>(file: &SourceFile, candidates: &'a [Candidate], choice: Option<&str>) -> Result<&'a Candidate> {
    let plain = |candidate: &&Candidate| matches!(candidate.config.kind, Kind::Dict(_));
    let mut sources: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.called).filter(plain).collect();
    if sources.is_empty() {
        sources = candidates.iter().filter(plain).collect();
    }
    let Some(first) = sources.first() else {
        return Err(match candidates.first() {
            Some(unclear) => file
                .error("the configuration of this source is made by code", &unclear.span)
                .advice("pass a dict, or a variable that a dict was assigned to before"),
            None => Error::new(Class::Config, format!("{} makes no REST source", file.name)).advice(
                "a call of `rest_api_source` or `rest_api_resources` with a dict is looked for, or a dict annotated as `RESTAPIConfig`",
            ),
        });
    };
    let list = || -> Vec<String> {
        let one = |source: &&Candidate| {
            let names = if source.names.is_empty() { String::new() } else { format!(" ({})", source.names.join(", ")) };
            format!("line {}{names}", file.line(source.span.start))
        };
        sources.iter().take(20).map(one).collect()
    };
    let meant: Vec<&&Candidate> = match choice {
        None => sources.iter().collect(),
        Some(choice) => {
            let line: Option<usize> = choice.parse().ok();
            let is_meant = |source: &&&Candidate| {
                Some(file.line(source.span.start)) == line || source.names.iter().any(|name| name == choice)
            };
            sources.iter().filter(is_meant).collect()
        }
    };
    match (meant.as_slice(), choice) {
        ([one], _) => Ok(one),
        ([], Some(choice)) => Err(file
            .error(format!("{} makes no source \"{choice}\"", file.name), &first.span)
            .fact("sources", list().join("; "))
            .advice("give --source with a name or a line of these")),
        (several, _) => Err(file
            .error(format!("{} makes {} sources", file.name, several.len()), &first.span)
            .fact("sources", list().join("; "))
            .advice("choose one with --source and its name or its line")),
    }
}

/// The pipeline file of a source.
fn pipeline(file: &SourceFile, source: &Candidate) -> Result<Imported> {
    let mut converter = Converter::new(file);
    let config = converter.convert(&source.config)?;
    let left: Vec<Comment> =
        source.others.iter().flat_map(|(name, value)| converter.leave_argument(name, value)).collect();

    let stem = Path::new(&file.name).file_stem().and_then(|stem| stem.to_str()).unwrap_or("pipeline");
    let name = source.name.as_deref().unwrap_or(stem);
    let mut head = vec![Comment::new(format!("From {}, line {}.", file.name, file.line(source.span.start)))];
    let asked: Vec<String> = converter
        .secrets
        .iter()
        .filter(|(_, place)| place.is_none())
        .map(|(slot, _)| format!("--secret {slot}=env:VARIABLE"))
        .collect();
    if !asked.is_empty() {
        head.push(Comment::new(format!("Give {}", asked.join(" "))));
    }
    head.extend(left);

    let part = |key: &str, node: Node| Line::Part((key.to_owned(), node));
    let mut entries = vec![part("name", Node::scalar(name))];
    if !converter.params.is_empty() {
        let params = converter.params.drain(..).map(Line::Part).collect();
        entries.push(part("params", Node::map(params)));
    }
    let places: Vec<_> =
        converter.secrets.iter().filter_map(|(slot, place)| Some(part(slot, Node::scalar(place.clone()?)))).collect();
    if !places.is_empty() {
        entries.push(part("secrets", Node::map(places)));
    }
    entries.push(part("source", config));
    Ok(Imported { yaml: yaml::document(&head, &entries), warnings: converter.warnings })
}

/// The Python file, and where its lines begin.
struct SourceFile {
    name: String,
    text: Arc<str>,
    lines: Vec<usize>,
}

impl SourceFile {
    fn new(name: &str, text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { name: name.to_owned(), text: Arc::from(text), lines: std::iter::once(0).chain(ends).collect() }
    }

    /// The line of a byte, from 1.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at)
    }

    fn place(&self, span: &Range<usize>) -> FilePlace {
        let line = self.line(span.start);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or_default();
        let column = self.text.get(start..span.start).unwrap_or_default().chars().count() + 1;
        let (file, text) = (self.name.clone(), Arc::clone(&self.text));
        FilePlace { file, text, span: span.clone(), line, column, pointer: String::new() }
    }

    fn error(&self, message: impl Into<String>, span: &Range<usize>) -> Error {
        Error { places: vec![self.place(span)], ..Error::new(Class::Config, message) }
    }

    /// `line 12: lambda r: r["x"]`, in one line and at most so many characters of the text.
    fn quote(&self, span: &Range<usize>, most: usize) -> String {
        let text = self.text.get(span.clone()).unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().take(most).collect();
        let mut text: String = words.join(" ");
        if let Some((end, _)) = text.char_indices().nth(most) {
            text.truncate(end);
            text.push('…');
        }
        format!("line {}: {text}", self.line(span.start))
    }
}
