//! The value of an expression, as far as the file itself tells it.
//!
//! No code is run: literals, names bound to them, and the few operations on texts, lists and dicts that configurations are
//! written with. All else is [`Kind::Code`], which the conversion reports.

use super::convert;
use super::value::{Kind, Object, Origin, Piece, Ref, Value, set};
use ruff_python_ast::{BoolOp, Expr, ExprCall, ExprDict, Number, Operator, UnaryOp};
use ruff_text_size::Ranged;
use serde_json::Value as Json;
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// How deep an expression may be nested; `Document` reads 100 levels.
const DEEPEST: usize = 64;

/// How many keys a dict may have: each is looked for among all others.
const MOST_KEYS: usize = 5_000;

/// dlt's typed dicts, which may be called like classes.
const TYPED_DICTS: [&str; 20] = [
    "RESTAPIConfig",
    "RESTAPIConfigBase",
    "ClientConfig",
    "EndpointResource",
    "EndpointResourceBase",
    "Endpoint",
    "IncrementalConfig",
    "ProcessingSteps",
    "ResponseActionDict",
    "ResolveParamConfig",
    "IncrementalParamConfig",
    "PageNumberPaginatorConfig",
    "OffsetPaginatorConfig",
    "HeaderLinkPaginatorConfig",
    "JSONLinkPaginatorConfig",
    "JSONResponseCursorPaginatorConfig",
    "BearerTokenAuthConfig",
    "ApiKeyAuthConfig",
    "HttpBasicAuthConfig",
    "OAuth2ClientCredentialsConfig",
];

/// The names that are bound, innermost scope last.
pub struct Names {
    pub scopes: Vec<HashMap<String, Ref>>,
    /// What operations may still build, in bytes: a text that is doubled line by line grows without end.
    room: Cell<usize>,
}

/// Where an expression stands.
pub fn span(node: &impl Ranged) -> Range<usize> {
    node.range().start().to_usize()..node.range().end().to_usize()
}

impl Names {
    pub fn new() -> Self {
        Self { scopes: vec![HashMap::new()], room: Cell::new(16 << 20) }
    }

    pub fn get(&self, name: &str) -> Option<&Ref> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
    }

    /// The value of an expression.
    pub fn evaluate(&self, expr: &Expr) -> Ref {
        self.value(expr, 0)
    }

    /// The dotted name of a module's member, under the name that it was imported from.
    pub fn dotted(&self, expr: &Expr) -> Option<String> {
        let (mut expr, mut members) = (expr, Vec::new());
        while let Expr::Attribute(attribute) = expr {
            members.push(attribute.attr.as_str());
            expr = &attribute.value;
            if members.len() > 10 {
                return None;
            }
        }
        let Expr::Name(name) = expr else { return None };
        let mut path = match self.get(name.id.as_str()).map(|value| &value.kind) {
            None => name.id.to_string(),
            Some(Kind::Name(path)) => path.clone(),
            Some(_) => return None,
        };
        for member in members.into_iter().rev() {
            path.push('.');
            path.push_str(member);
        }
        (path.len() <= 200).then_some(path)
    }

    /// The value of an expression that stands so deep in another one.
    pub fn value(&self, expr: &Expr, depth: usize) -> Ref {
        let at = span(expr);
        if depth > DEEPEST {
            return Value::code(at, "an expression nested too deep");
        }
        let value = |expr: &Expr| self.value(expr, depth + 1);
        match expr {
            Expr::NoneLiteral(_) => Value::new(at, Kind::Single(Json::Null)),
            Expr::BooleanLiteral(literal) => Value::new(at, Kind::Single(Json::Bool(literal.value))),
            Expr::NumberLiteral(literal) => number(&literal.value, at),
            Expr::StringLiteral(literal) => self.joined(at, [Piece::Text(literal.value.to_str().to_owned())]),
            Expr::FString(literal) => self.f_string(literal, depth).unwrap_or_else(|what| Value::code(at, what)),
            Expr::List(list) => self.list(at, &list.elts, depth),
            Expr::Tuple(tuple) => self.list(at, &tuple.elts, depth),
            Expr::Dict(dict) => self.dict(dict, depth),
            Expr::Name(name) => match self.get(name.id.as_str()) {
                Some(value) => match &value.kind {
                    Kind::Defined(what) => Value::code(at, what),
                    Kind::Name(path) => Value::new(at, Kind::Name(path.clone())),
                    _ => Rc::clone(value),
                },
                None => Value::new(at, Kind::Name(name.id.to_string())),
            },
            Expr::Named(named) => value(&named.value),
            Expr::Attribute(_) => match self.dotted(expr) {
                Some(path) => Value::new(at, Kind::Name(path)),
                None => Value::code(at, "an attribute"),
            },
            Expr::UnaryOp(operation) => match (&operation.op, &value(&operation.operand).kind) {
                (UnaryOp::USub, Kind::Single(Json::Number(number))) => negative(number, at),
                _ => Value::code(at, "an operation"),
            },
            Expr::BinOp(operation) => {
                let (left, right) = (value(&operation.left), value(&operation.right));
                self.operation(at, operation.op, &left, &right)
            }
            Expr::BoolOp(operation) if operation.op == BoolOp::Or => self.first_true(at, &operation.values, depth),
            Expr::If(choice) => match value(&choice.test).truth() {
                Some(true) => value(&choice.body),
                Some(false) => value(&choice.orelse),
                None => Value::code(at, "a condition"),
            },
            Expr::Subscript(subscript) => {
                let key = value(&subscript.slice);
                if let Some(path) = self.dotted(&subscript.value)
                    && let (Some(origin), Some(key)) = (origin(&path), key.as_text())
                {
                    return Value::given(origin, key, None, at);
                }
                element(&value(&subscript.value), &key).unwrap_or_else(|| Value::code(at, "a subscript"))
            }
            Expr::Call(call) => self.call(call, at, depth),
            Expr::Lambda(_) => Value::code(at, "a lambda"),
            Expr::ListComp(_) | Expr::SetComp(_) | Expr::DictComp(_) | Expr::Generator(_) => {
                Value::code(at, "a comprehension")
            }
            Expr::Set(_) => Value::code(at, "a set"),
            Expr::BytesLiteral(_) => Value::code(at, "bytes"),
            Expr::Compare(_) | Expr::BoolOp(_) => Value::code(at, "a condition"),
            _ => Value::code(at, "code"),
        }
    }

    /// Takes what is built from the room that is left.
    pub fn room_for(&self, bytes: usize) -> bool {
        let left = self.room.get().checked_sub(bytes + 32);
        self.room.set(left.unwrap_or_default());
        left.is_some()
    }

    fn list(&self, at: Range<usize>, elements: &[Expr], depth: usize) -> Ref {
        let mut items = Vec::with_capacity(elements.len());
        for element in elements {
            let Expr::Starred(starred) = element else {
                items.push(self.value(element, depth + 1));
                continue;
            };
            match &self.value(&starred.value, depth + 1).kind {
                Kind::List(more) if self.room_for(more.borrow().len() * 8) => {
                    items.extend(more.borrow().iter().cloned())
                }
                _ => items.push(Value::code(span(element), "an unpacked value")),
            }
        }
        Value::new(at, Kind::List(items.into()))
    }

    fn dict(&self, dict: &ExprDict, depth: usize) -> Ref {
        let built = Value::new(span(dict), Kind::Dict(Vec::new().into()));
        let Kind::Dict(entries) = &built.kind else { return built };
        for item in &dict.items {
            let whole = item.key.as_ref().map_or(span(&item.value).start, |key| span(key).start)..span(&item.value).end;
            let value = self.value(&item.value, depth + 1);
            if entries.borrow().len() >= MOST_KEYS {
                built.lose(whole, "an entry of a dict with too many keys");
                break;
            }
            match &item.key {
                Some(key) => match key_text(&self.value(key, depth + 1)) {
                    Some(key) => set(&mut entries.borrow_mut(), key, value),
                    None => built.lose(whole, "a key that is no text"),
                },
                None => self.merge(&built, &value, whole),
            }
        }
        built
    }

    /// Puts the entries of one dict into another.
    pub fn merge(&self, target: &Ref, more: &Ref, at: Range<usize>) {
        match (&target.kind, &more.kind) {
            (Kind::Dict(entries), Kind::Dict(others)) if !Rc::ptr_eq(target, more) => {
                let others: Vec<(String, Ref)> = others.borrow().clone();
                let fits = entries.borrow().len() + others.len() <= MOST_KEYS;
                if !fits || !self.room_for(others.iter().map(|(key, _)| key.len() + 40).sum()) {
                    return target.lose(at, "a dict too large");
                }
                target.lost.borrow_mut().extend(more.lost.borrow().iter().cloned());
                for (key, value) in others {
                    set(&mut entries.borrow_mut(), key, value);
                }
            }
            (Kind::Dict(_), Kind::Dict(_)) => {}
            _ => target.lose(at, "an unpacked value"),
        }
    }

    /// Puts the items of one list at the end of another.
    pub fn extend(&self, target: &Ref, more: &Ref, at: Range<usize>) {
        match (&target.kind, &more.kind) {
            (Kind::List(items), Kind::List(others)) => {
                if !self.room_for(others.borrow().len() * 8) {
                    return target.lose(at, "a list too large");
                }
                // A copy, as a list may be put at its own end.
                let others = others.borrow().clone();
                items.borrow_mut().extend(others);
            }
            _ => target.lose(at, "an unpacked value"),
        }
    }

    /// `left op right`.
    pub fn operation(&self, at: Range<usize>, op: Operator, left: &Ref, right: &Ref) -> Ref {
        match (op, &left.kind, &right.kind) {
            (Operator::Add, Kind::Text(first), Kind::Text(second)) => {
                self.joined(at, first.iter().chain(second).cloned())
            }
            (Operator::Add, Kind::List(first), Kind::List(second)) => {
                let (first, second) = (first.borrow(), second.borrow());
                if !self.room_for((first.len() + second.len()) * 8) {
                    return Value::code(at, "a list too large");
                }
                Value::new(at, Kind::List(first.iter().chain(second.iter()).cloned().collect::<Vec<_>>().into()))
            }
            (Operator::BitOr, Kind::Dict(_), Kind::Dict(_)) => {
                let both = Value::new(at.clone(), Kind::Dict(Vec::new().into()));
                self.merge(&both, left, at.clone());
                self.merge(&both, right, at);
                both
            }
            (Operator::Mod, Kind::Text(_), _) => {
                self.percent(at.clone(), left, right).unwrap_or_else(|| Value::code(at, "a formatted value"))
            }
            (_, Kind::Single(Json::Number(first)), Kind::Single(Json::Number(second))) => {
                let result = first.as_i64().zip(second.as_i64()).and_then(|(first, second)| match op {
                    Operator::Add => first.checked_add(second),
                    Operator::Sub => first.checked_sub(second),
                    Operator::Mult => first.checked_mul(second),
                    _ => None,
                });
                match result {
                    Some(result) => Value::new(at, Kind::Single(result.into())),
                    None => Value::code(at, "an operation"),
                }
            }
            _ => Value::code(at, "an operation"),
        }
    }

    /// `a or b`: what a run gives keeps `b` as its default.
    fn first_true(&self, at: Range<usize>, values: &[Expr], depth: usize) -> Ref {
        let mut last = Value::code(at.clone(), "a condition");
        for (index, expr) in values.iter().enumerate() {
            let value = self.value(expr, depth + 1);
            if let (Kind::Text(pieces), Some(next)) = (&value.kind, values.get(index + 1))
                && let [Piece::Given(given)] = pieces.as_slice()
            {
                let default = given.default.clone().or_else(|| self.value(next, depth + 1).as_text());
                return Value::given(given.origin, given.path.clone(), default, at);
            }
            match value.truth() {
                Some(true) => return value,
                Some(false) => last = value,
                None => return Value::code(at, "a condition"),
            }
        }
        last
    }

    fn call(&self, call: &ExprCall, at: Range<usize>, depth: usize) -> Ref {
        let code = || Value::code(at.clone(), "a call");
        let argument = |index: usize| call.arguments.args.get(index).map(|expr| self.value(expr, depth + 1));
        let Some(path) = self.dotted(&call.func) else {
            if let Expr::Attribute(method) = &*call.func
                && method.attr.as_str() == "format"
            {
                return self.format(call, &self.value(&method.value, depth + 1), depth).unwrap_or_else(code);
            }
            return code();
        };
        let (module, name) = path.rsplit_once('.').unwrap_or(("", &path));
        if let (Some(origin), "get") | (Some(origin), "getenv") =
            (origin(if name == "getenv" { "os.environ" } else { module }), name)
        {
            let Some(key) = argument(0).and_then(|key| key.as_text()) else { return code() };
            let default = match origin {
                // The second argument of dlt's `get` is a type.
                Origin::Environment => argument(1).and_then(|default| default.as_text()),
                _ => None,
            };
            return Value::given(origin, key, default, at);
        }
        let object = convert::class(name).is_some();
        if name == "cast" {
            return argument(1).unwrap_or_else(code);
        }
        if path == "str" {
            let pieces = argument(0).and_then(|value| value.pieces());
            return pieces.map_or_else(code, |pieces| self.joined(at.clone(), pieces));
        }
        if !object && path != "dict" && !TYPED_DICTS.contains(&name) {
            return code();
        }
        let positional: Vec<Ref> = call.arguments.args.iter().map(|expr| self.value(expr, depth + 1)).collect();
        let spread = Value::new(at.clone(), Kind::Dict(Vec::new().into()));
        if !object {
            for (value, expr) in positional.iter().zip(&call.arguments.args) {
                self.merge(&spread, value, span(expr));
            }
        }
        for keyword in &call.arguments.keywords {
            let value = self.value(&keyword.value, depth + 1);
            match (&keyword.arg, &spread.kind) {
                (Some(key), Kind::Dict(entries)) if entries.borrow().len() < MOST_KEYS => {
                    set(&mut entries.borrow_mut(), key.to_string(), value);
                }
                _ => self.merge(&spread, &value, span(keyword)),
            }
        }
        if !object {
            return spread;
        }
        let named = if let Kind::Dict(entries) = &spread.kind { entries.take() } else { Vec::new() };
        let object = Value::new(at, Kind::Object(Object { class: name.to_owned(), positional, named }));
        object.lost.replace(spread.lost.take());
        object
    }
}

fn origin(path: &str) -> Option<Origin> {
    match path {
        "dlt.secrets" => Some(Origin::Secret),
        "dlt.config" => Some(Origin::Config),
        "os.environ" => Some(Origin::Environment),
        _ => None,
    }
}

fn number(number: &Number, at: Range<usize>) -> Ref {
    let number = match number {
        Number::Int(int) => int.as_i64().map(serde_json::Number::from),
        Number::Float(double) => serde_json::Number::from_f64(*double),
        Number::Complex { .. } => None,
    };
    match number {
        Some(number) => Value::new(at, Kind::Single(Json::Number(number))),
        None => Value::code(at, "a number that YAML has no form for"),
    }
}

fn negative(number: &serde_json::Number, at: Range<usize>) -> Ref {
    let negative = match number.as_i64() {
        Some(integer) => integer.checked_neg().map(serde_json::Number::from),
        None => number.as_f64().and_then(|double| serde_json::Number::from_f64(-double)),
    };
    match negative {
        Some(negative) => Value::new(at, Kind::Single(Json::Number(negative))),
        None => Value::code(at, "a number that YAML has no form for"),
    }
}

/// A key of a dict, as JSON has it. A key longer than YAML's simple keys may be is none.
pub fn key_text(key: &Ref) -> Option<String> {
    let text = match &key.kind {
        Kind::Single(Json::Number(number)) => number.to_string(),
        _ => key.as_text()?,
    };
    (text.len() <= 200).then_some(text)
}

/// An element of a list or dict.
fn element(container: &Ref, key: &Ref) -> Option<Ref> {
    match (&container.kind, &key.kind) {
        (Kind::List(items), Kind::Single(Json::Number(index))) => {
            let (items, index) = (items.borrow(), index.as_i64()?);
            let from_end = items.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
            let index = if index < 0 { from_end? } else { usize::try_from(index).ok()? };
            items.get(index).cloned()
        }
        (Kind::Dict(_), _) => container.get(&key.as_text()?),
        _ => None,
    }
}
