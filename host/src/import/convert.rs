//! From dlt's objects to the dialect: auth and paginator objects become their dict form, what a run gives becomes a secret
//! or a parameter, and code becomes a comment.

use super::SourceFile;
use super::value::{Given, Kind, Lost, Object, Origin, Piece, Ref};
use super::yaml::{Comment, Line, Node, Yaml};
use crate::{Class, Error};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::ops::Range;

/// How deep a configuration may be nested; `Document` reads 100 levels.
const DEEPEST: usize = 64;

/// How many values a configuration may have: one list in itself twice, and so on, is a small text and a large value.
const MOST_VALUES: usize = 50_000;

/// How many warnings are told one by one.
const MOST_WARNINGS: usize = 100;

/// How much of the source text a comment quotes, in characters.
const QUOTED: usize = 160;

/// dlt's classes: their name, their `type` in the dialect, and their parameters in dlt's order (1.31).
const CLASSES: [(&str, &str, &[&str]); 13] = [
    ("BearerTokenAuth", "bearer", &["token"]),
    ("APIKeyAuth", "api_key", &["name", "api_key", "location"]),
    ("HttpBasicAuth", "http_basic", &["username", "password"]),
    (
        "OAuth2ClientCredentials",
        "oauth2_client_credentials",
        &[
            "access_token",
            "access_token_url",
            "client_id",
            "client_secret",
            "access_token_request_data",
            "default_token_expiration",
        ],
    ),
    (
        "OAuthJWTAuth",
        "jwt_bearer",
        &[
            "token",
            "client_id",
            "private_key",
            "auth_endpoint",
            "scopes",
            "headers",
            "private_key_passphrase",
            "default_token_expiration",
        ],
    ),
    ("SinglePagePaginator", "single_page", &[]),
    (
        "PageNumberPaginator",
        "page_number",
        &["base_page", "page", "page_param", "total_path", "maximum_page", "stop_after_empty_page"],
    ),
    (
        "OffsetPaginator",
        "offset",
        &["limit", "offset", "offset_param", "limit_param", "total_path", "maximum_offset", "stop_after_empty_page"],
    ),
    ("JSONLinkPaginator", "json_link", &["next_url_path"]),
    // dlt's older name.
    ("JSONResponsePaginator", "json_link", &["next_url_path"]),
    ("HeaderLinkPaginator", "header_link", &["links_next_key"]),
    ("HeaderCursorPaginator", "header_cursor", &["cursor_key", "cursor_param"]),
    ("JSONResponseCursorPaginator", "cursor", &["cursor_path", "cursor_param", "cursor_body_path"]),
];

/// The `type` of a class of dlt's, and its positional parameters.
pub fn class(name: &str) -> Option<(&'static str, &'static [&'static str])> {
    CLASSES.iter().find(|(class, ..)| *class == name).map(|(_, kind, parameters)| (*kind, *parameters))
}

/// The fields of `auth` that a slot can fill.
const SLOT_FIELDS: [&str; 11] = [
    "token",
    "api_key",
    "username",
    "password",
    "client_id",
    "client_secret",
    "access_token",
    "access_token_url",
    "auth_endpoint",
    "private_key",
    "private_key_passphrase",
];

/// Those among them that may be written out.
const OPEN_FIELDS: [&str; 4] = ["username", "client_id", "access_token_url", "auth_endpoint"];

/// The parts of an endpoint whose texts may hold placeholders.
const BOUND: [&str; 5] = ["path", "params", "headers", "json", "data"];

/// What a configuration needs beside itself.
pub struct Converter<'a> {
    file: &'a SourceFile,
    /// Values that are to be filled in, by name, in the order in which they occur.
    pub params: Vec<(String, Node)>,
    /// The slots, with where their values are, where the file says it.
    pub secrets: Vec<(String, Option<String>)>,
    pub warnings: Vec<Error>,
    /// The places that were warned of.
    told: BTreeSet<(usize, usize)>,
    /// Warnings beyond those that are told.
    untold: usize,
    values: usize,
    /// The keys from the configuration to the value.
    path: Vec<String>,
}

/// What stands in the place of a value that is not carried over.
type Left = Vec<Comment>;

impl<'a> Converter<'a> {
    pub fn new(file: &'a SourceFile) -> Self {
        Self {
            file,
            params: Vec::new(),
            secrets: Vec::new(),
            warnings: Vec::new(),
            told: BTreeSet::new(),
            untold: 0,
            values: 0,
            path: Vec::new(),
        }
    }

    /// The configuration in the dialect.
    pub fn convert(&mut self, config: &Ref) -> Result<Node, Error> {
        let node = self.node(config);
        if self.values > MOST_VALUES {
            let message = format!("the configuration has more than {MOST_VALUES} values");
            return Err(Error { places: vec![self.file.place(&config.span)], ..Error::new(Class::Config, message) });
        }
        if self.untold > 0 {
            let message = format!("{} more places are not carried over", self.untold);
            self.warnings.push(Error::new(Class::Config, message).advice("see the comments in the YAML"));
        }
        node.map_err(|_| {
            let message = "the configuration is not written out in the file";
            Error { places: vec![self.file.place(&config.span)], ..Error::new(Class::Config, message) }
                .advice("pass a dict, or a variable that a dict was assigned to before")
        })
    }

    /// An argument of the call that is not carried over: only its comment.
    pub fn leave_argument(&mut self, name: &str, value: &Ref) -> Vec<Comment> {
        self.path.push(name.to_owned());
        let left = self.leave(&value.span, "an argument of the call", None);
        self.path.pop();
        left.into_iter().map(|comment| comment.under(name)).collect()
    }

    fn node(&mut self, value: &Ref) -> Result<Node, Left> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(Vec::new());
        }
        if self.path.len() > DEEPEST {
            return Err(self.leave(&value.span, "a value nested too deep", None));
        }
        match &value.kind {
            Kind::Single(single) => Ok(Node::scalar(single.clone())),
            Kind::Text(pieces) => self.text(pieces, &value.span),
            Kind::List(items) => {
                // A copy, as a list may hold itself.
                let items = items.borrow().clone();
                let mut lines = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    self.path.push(index.to_string());
                    match self.node(item) {
                        Ok(node) => lines.push(Line::Part(node)),
                        Err(left) => lines.extend(left.into_iter().map(Line::Comment)),
                    }
                    self.path.pop();
                }
                lines.extend(self.lost(value).into_iter().map(Line::Comment));
                self.whole(lines, Yaml::List)
            }
            Kind::Dict(entries) => {
                let mut lines = self.entries(&entries.borrow().clone());
                lines.extend(self.lost(value).into_iter().map(Line::Comment));
                self.whole(lines, Yaml::Map)
            }
            Kind::Object(object) => self.object(object, value),
            Kind::Name(_) => Err(self.leave(&value.span, "a name that the file gives no value", None)),
            Kind::Defined(what) | Kind::Code(what) => Err(self.leave(&value.span, what, None)),
        }
    }

    fn entries(&mut self, entries: &[(String, Ref)]) -> Vec<Line<(String, Node)>> {
        let mut lines = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            self.path.push(key.clone());
            match self.node(value) {
                Ok(node) => lines.push(Line::Part((key.clone(), node))),
                Err(left) => lines.extend(left.into_iter().map(|comment| Line::Comment(comment.under(key)))),
            }
            self.path.pop();
        }
        lines
    }

    /// A list or object; where all of it is left out, the comments alone, for an empty step or rule would be an error.
    fn whole<T>(&self, lines: Vec<Line<T>>, yaml: fn(Vec<Line<T>>) -> Yaml) -> Result<Node, Left> {
        let gone = !lines.is_empty() && lines.iter().all(|line| matches!(line, Line::Comment(_)));
        // The connector's own words are better for `client` and `resources`.
        if gone && self.path.len() > 1 {
            return Err(lines
                .into_iter()
                .filter_map(|line| if let Line::Comment(comment) = line { Some(comment) } else { None })
                .collect());
        }
        Ok(Node { yaml: yaml(lines), note: None })
    }

    fn lost(&mut self, value: &Ref) -> Left {
        let lost: Vec<Lost> = value.lost.borrow().clone();
        lost.iter().flat_map(|lost| self.leave(&lost.span, lost.what, None)).collect()
    }

    fn object(&mut self, object: &Object, value: &Ref) -> Result<Node, Left> {
        let Some((kind, parameters)) = class(&object.class) else {
            return Err(self.leave(&value.span, "a call", None));
        };
        let mut entries: Vec<(String, Ref)> =
            parameters.iter().map(|name| (*name).to_owned()).zip(object.positional.iter().cloned()).collect();
        entries.extend(object.named.iter().cloned());
        let mut lines = vec![Line::Part(("type".to_owned(), Node::scalar(kind)))];
        lines.extend(self.entries(&entries));
        for extra in object.positional.iter().skip(parameters.len()) {
            let left = self.leave(&extra.span, "an argument that the class does not have", None);
            lines.extend(left.into_iter().map(Line::Comment));
        }
        lines.extend(self.lost(value).into_iter().map(Line::Comment));
        Ok(Node::map(lines))
    }

    fn text(&mut self, pieces: &[Piece], at: &Range<usize>) -> Result<Node, Left> {
        if let [Piece::Given(given)] = pieces
            && (given.origin == Origin::Secret || self.takes_slot())
        {
            return Ok(self.slot(given));
        }
        if self.takes_slot() && self.path.last().is_some_and(|field| !OPEN_FIELDS.contains(&field.as_str())) {
            self.warn_of_credential(at);
        }
        let bound = self.is_bound();
        let (mut text, mut notes) = (String::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Given(given) if given.origin == Origin::Secret => {
                    let advice = "a secret must be a value of its own: write `auth` with `{secret: NAME}`";
                    return Err(self.leave(at, "a secret inside a text", Some(advice)));
                }
                Piece::Given(given) if bound => text.push_str(&format!("{{{}}}", self.param(given))),
                Piece::Given(given) => {
                    let Some(default) = &given.default else {
                        let note = format!("fill in, {}", self.file.quote(&given.span, QUOTED));
                        let what = match self.path.last().map(String::as_str) {
                            Some("base_url") => "write it into the YAML, or give --base-url",
                            _ => "write it into the YAML",
                        };
                        self.warn(&given.span, format!("fill in `{}`", self.path.join(".")), Some(what));
                        return Err(vec![Comment::new(note)]);
                    };
                    text.push_str(default);
                    notes.push(format!("the default of {}", self.file.quote(&given.span, QUOTED)));
                    let message = format!("the default is taken for `{}`", self.path.join("."));
                    self.warn(&given.span, message, None);
                }
            }
        }
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        Ok(Node { yaml: Yaml::Scalar(text.into()), note })
    }

    /// Whether the value is one of `auth`'s that a slot can fill.
    fn takes_slot(&self) -> bool {
        match self.path.as_slice() {
            [.., auth, field] => auth == "auth" && SLOT_FIELDS.contains(&field.as_str()),
            _ => false,
        }
    }

    /// Whether the value stands where placeholders are bound.
    fn is_bound(&self) -> bool {
        let endpoint = self.path.iter().position(|key| key == "endpoint");
        let part = endpoint.map(|at| self.path.get(at + 1).map(String::as_str));
        // An endpoint that is a text is its path.
        part.is_some_and(|part| part.is_none_or(|part| BOUND.contains(&part)))
    }

    fn slot(&mut self, given: &Given) -> Node {
        let slot = identifier(&given.path);
        let name = if given.origin == Origin::Environment { slot.to_lowercase() } else { slot };
        let place = (given.origin == Origin::Environment).then(|| format!("env:{}", given.path));
        match self.secrets.iter_mut().find(|(other, _)| *other == name) {
            Some((_, known)) => *known = known.take().or(place),
            None => self.secrets.push((name.clone(), place)),
        }
        let renamed = given.origin == Origin::Secret && name != given.path;
        let mut slot = Node::map(vec![Line::Part(("secret".to_owned(), Node::scalar(name)))]);
        slot.note = renamed.then(|| self.file.quote(&given.span, QUOTED));
        slot
    }

    fn param(&mut self, given: &Given) -> String {
        let name = identifier(&given.path);
        if !self.params.iter().any(|(other, _)| *other == name) {
            let quote = self.file.quote(&given.span, QUOTED);
            let node = match &given.default {
                Some(default) => Node {
                    note: Some(format!("fill in, or keep the default, {quote}")),
                    ..Node::scalar(default.as_str())
                },
                None => {
                    let advice = format!("write it under `params`, or give --param {name}=VALUE");
                    self.warn(&given.span, format!("fill in `{name}`"), Some(&advice));
                    Node { note: Some(format!("fill in, {quote}")), ..Node::scalar(Json::Null) }
                }
            };
            self.params.push((name.clone(), node));
        }
        name
    }

    /// Warns of code, and gives the comment for its place.
    fn leave(&mut self, at: &Range<usize>, what: &str, advice: Option<&str>) -> Left {
        let key = self.path.join(".");
        let place = if key.is_empty() { String::new() } else { format!(" at `{key}`") };
        self.warn(at, format!("not carried over{place}: {what}"), advice);
        vec![Comment::new(format!("not carried over, {}", self.file.quote(at, QUOTED)))]
    }

    /// A credential is no text to show, so the line that it stands in is not.
    fn warn_of_credential(&mut self, at: &Range<usize>) {
        if self.warnings.len() < MOST_WARNINGS && self.told.insert((at.start, at.end)) {
            let message = format!("a credential is written out at `{}`", self.path.join("."));
            let warning = Error::new(Class::Config, message).fact("place", self.file.place(at));
            self.warnings.push(warning.advice("write `{secret: NAME}`, and give it with --secret NAME=env:VARIABLE"));
        }
    }

    /// Each place in the file is told once.
    fn warn(&mut self, at: &Range<usize>, message: String, advice: Option<&str>) {
        if !self.told.insert((at.start, at.end)) {
            return;
        }
        if self.warnings.len() >= MOST_WARNINGS {
            self.untold += 1;
            return;
        }
        let mut warning = Error::new(Class::Config, message);
        warning.advice = advice.map(str::to_owned);
        warning.places.push(self.file.place(at));
        self.warnings.push(warning);
    }
}

/// A name as slots and path variables have it: dots and all else become underscores.
pub fn identifier(path: &str) -> String {
    path.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
}
