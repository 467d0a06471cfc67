//! Texts that are put together: f-strings, `format`, `%`.

use super::evaluate::{Names, span};
use super::value::{Kind, Piece, Ref, Value};
use ruff_python_ast::{ConversionFlag, ExprCall, ExprFString, FStringPart, InterpolatedStringElement};
use std::ops::Range;
use std::rc::Rc;

impl Names {
    /// A text of pieces.
    pub fn joined(&self, at: Range<usize>, pieces: impl IntoIterator<Item = Piece>) -> Ref {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            let length = if let Piece::Text(text) = &piece { text.len() } else { 0 };
            if !self.room_for(length) {
                return Value::code(at, "a text too large");
            }
            match (joined.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (_, piece) => joined.push(piece),
            }
        }
        Value::new(at, Kind::Text(joined))
    }

    /// An f-string; the error says what in it is code.
    pub fn f_string(&self, literal: &ExprFString, depth: usize) -> Result<Ref, &'static str> {
        let mut pieces = Vec::new();
        for part in literal.value.iter() {
            let string = match part {
                FStringPart::Literal(text) => {
                    pieces.push(Piece::Text(text.value.to_string()));
                    continue;
                }
                FStringPart::FString(string) => string,
            };
            for element in &string.elements {
                match element {
                    InterpolatedStringElement::Literal(text) => pieces.push(Piece::Text(text.value.to_string())),
                    InterpolatedStringElement::Interpolation(part) => {
                        let as_it_is = matches!(part.conversion, ConversionFlag::None | ConversionFlag::Str);
                        if part.format_spec.is_some() || part.debug_text.is_some() || !as_it_is {
                            return Err("a formatted value");
                        }
                        let inner = self.value(&part.expression, depth + 1).pieces();
                        pieces.extend(inner.ok_or("an f-string with code in it")?);
                    }
                }
            }
        }
        Ok(self.joined(span(literal), pieces))
    }

    /// `"…{}…{name}…".format(…)`, without format specifications.
    pub fn format(&self, call: &ExprCall, template: &Ref, depth: usize) -> Option<Ref> {
        let template = template.as_text()?;
        let (mut pieces, mut rest, mut next) = (Vec::new(), template.as_str(), 0);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            pieces.push(Piece::Text(before.to_owned()));
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                pieces.push(Piece::Text(from.get(..1)?.to_owned()));
                rest = after;
                continue;
            }
            let (name, after) = from.strip_prefix('{')?.split_once('}')?;
            rest = after;
            let arguments = &call.arguments;
            let value = if name.is_empty() || name.bytes().all(|byte| byte.is_ascii_digit()) {
                let index = if name.is_empty() { next } else { name.parse().ok()? };
                next += 1;
                arguments.args.get(index)?
            } else {
                &arguments
                    .keywords
                    .iter()
                    .find(|keyword| keyword.arg.as_ref().is_some_and(|arg| arg.as_str() == name))?
                    .value
            };
            pieces.extend(self.value(value, depth + 1).pieces()?);
            if !self.room_for(64) {
                return None;
            }
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Some(self.joined(span(call), pieces))
    }

    /// `"…%s…" % …`, with `%s` and `%d` only.
    pub fn percent(&self, at: Range<usize>, template: &Ref, values: &Ref) -> Option<Ref> {
        let template = template.as_text()?;
        let values = match &values.kind {
            Kind::List(items) => items.borrow().clone(),
            _ => vec![Rc::clone(values)],
        };
        let (mut pieces, mut values) = (Vec::new(), values.into_iter());
        let mut parts = template.split('%');
        pieces.push(Piece::Text(parts.next()?.to_owned()));
        while let Some(part) = parts.next() {
            if part.is_empty() {
                pieces.push(Piece::Text(format!("%{}", parts.next()?)));
                continue;
            }
            let text = part.strip_prefix(['s', 'd'])?;
            pieces.extend(values.next()?.pieces()?);
            pieces.push(Piece::Text(text.to_owned()));
        }
        values.next().is_none().then(|| self.joined(at, pieces))
    }
}
