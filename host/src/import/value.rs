//! What is known of a Python value without running Python.

use serde_json::Value as Json;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// A value as Python has it: several names may stand for one, and a change of it is seen through all of them.
pub type Ref = Rc<Value>;

/// A value, and where it is written.
pub struct Value {
    /// Bytes of the file.
    pub span: Range<usize>,
    pub kind: Kind,
    /// What belongs to this value and is code: parts of a list or dict that cannot be carried over.
    pub lost: RefCell<Vec<Lost>>,
}

/// Code in the place of a value.
#[derive(Clone)]
pub struct Lost {
    /// Bytes of the file.
    pub span: Range<usize>,
    /// What it is, for a person: "a lambda".
    pub what: &'static str,
}

pub enum Kind {
    /// None, a truth value or a number.
    Single(Json),
    /// A text: an f-string or a concatenation may hold what a run gives.
    Text(Vec<Piece>),
    /// A list or tuple.
    List(RefCell<Vec<Ref>>),
    /// A dict with texts as keys.
    Dict(RefCell<Vec<(String, Ref)>>),
    /// One of dlt's auth and paginator objects.
    Object(Object),
    /// A dotted name from elsewhere: a module, a class, a function.
    Name(String),
    /// A name that stands for something else than a value, such as a function: told where it is used.
    Defined(&'static str),
    /// What only a run of Python could tell.
    Code(&'static str),
}

/// A part of a text.
#[derive(Clone)]
pub enum Piece {
    Text(String),
    Given(Rc<Given>),
}

/// A text that is not in the file, but given to each run.
pub struct Given {
    pub origin: Origin,
    /// Its name there: `sources.shop.api_key`.
    pub path: String,
    /// What stands for it where nothing is given.
    pub default: Option<String>,
    /// Bytes of the file.
    pub span: Range<usize>,
}

/// Who gives it.
#[derive(Clone, Copy, PartialEq)]
pub enum Origin {
    /// `dlt.secrets`
    Secret,
    /// `dlt.config`
    Config,
    /// `os.environ`
    Environment,
    /// A parameter of the function that makes the source.
    Argument,
}

/// A call of one of dlt's classes.
pub struct Object {
    pub class: String,
    pub positional: Vec<Ref>,
    pub named: Vec<(String, Ref)>,
}

impl Value {
    pub fn new(span: Range<usize>, kind: Kind) -> Ref {
        Rc::new(Self { span, kind, lost: RefCell::default() })
    }

    pub fn code(span: Range<usize>, what: &'static str) -> Ref {
        Self::new(span, Kind::Code(what))
    }

    pub fn defined(what: &'static str) -> Ref {
        Self::new(0..0, Kind::Defined(what))
    }

    pub fn given(origin: Origin, path: impl Into<String>, default: Option<String>, span: Range<usize>) -> Ref {
        let given = Given { origin, path: path.into(), default, span: span.clone() };
        Self::new(span, Kind::Text(vec![Piece::Given(Rc::new(given))]))
    }

    /// The text, where all of it stands in the file.
    pub fn as_text(&self) -> Option<String> {
        let Kind::Text(pieces) = &self.kind else { return None };
        pieces.iter().map(|piece| if let Piece::Text(text) = piece { Some(text.as_str()) } else { None }).collect()
    }

    /// What this is in a text, as `str()` makes it.
    pub fn pieces(&self) -> Option<Vec<Piece>> {
        let text = match &self.kind {
            Kind::Text(pieces) => return Some(pieces.clone()),
            Kind::Single(Json::Null) => "None".to_owned(),
            Kind::Single(Json::Bool(boolean)) => if *boolean { "True" } else { "False" }.to_owned(),
            // A double's text differs between languages.
            Kind::Single(Json::Number(number)) if number.is_i64() => number.to_string(),
            _ => return None,
        };
        Some(vec![Piece::Text(text)])
    }

    /// Whether Python takes it for true. What a run gives counts as given.
    pub fn truth(&self) -> Option<bool> {
        match &self.kind {
            Kind::Single(Json::Null) => Some(false),
            Kind::Single(Json::Bool(boolean)) => Some(*boolean),
            Kind::Single(Json::Number(number)) => number.as_f64().map(|number| number != 0.0),
            Kind::Text(pieces) => {
                Some(pieces.iter().any(|piece| !matches!(piece, Piece::Text(text) if text.is_empty())))
            }
            Kind::List(items) if self.lost.borrow().is_empty() => Some(!items.borrow().is_empty()),
            Kind::Dict(entries) if self.lost.borrow().is_empty() => Some(!entries.borrow().is_empty()),
            _ => None,
        }
    }

    /// The value at a key of a dict.
    pub fn get(&self, key: &str) -> Option<Ref> {
        let Kind::Dict(entries) = &self.kind else { return None };
        entries.borrow().iter().find(|(name, _)| name == key).map(|(_, value)| Rc::clone(value))
    }

    /// Notes that a part of this value is code.
    pub fn lose(&self, span: Range<usize>, what: &'static str) {
        self.lost.borrow_mut().push(Lost { span, what });
    }
}

/// Sets a key, as Python does: a key that is there keeps its place.
pub fn set(entries: &mut Vec<(String, Ref)>, key: String, value: Ref) {
    match entries.iter_mut().find(|(name, _)| *name == key) {
        Some((_, old)) => *old = value,
        None => entries.push((key, value)),
    }
}
