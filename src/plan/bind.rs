//! Binding of names: what fills each placeholder of an endpoint.

use super::body::{Body, Fields};
use super::document::Document;
use super::template::{self, Field, Part};
use crate::auth::{CREDENTIAL_HEADER, SecretText};
use crate::config::model::{Client, Endpoint, raw_string};
use crate::error::{Error, Result};
use crate::request::encode_segment;
use crate::slot;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What the run gives for names.
pub struct Given {
    /// Values, by name.
    pub params: Map<String, Value>,
    /// `parent.field`, by name.
    pub bindings: Map<String, Value>,
}

/// An endpoint with its names bound.
#[derive(Default)]
pub struct Bound {
    pub url: Vec<Part>,
    pub params: Fields,
    pub headers: Vec<(String, Vec<Part>)>,
    pub body: Option<Body>,
    /// Names that nothing binds, each with its place.
    pub unbound: Vec<(String, String)>,
}

/// Binds the names of an endpoint: by its own `params`, by the run's values, by the pipeline's bindings, in this order.
pub fn bind(client: &Client, endpoint: &Endpoint, pointer: &str, given: &Given) -> Result<Bound> {
    let at = |key: &str| format!("{pointer}/endpoint/{key}");
    let mut names = Names { endpoint, given, pointer, consumed: BTreeSet::new(), unbound: Vec::new() };

    let path = endpoint.path.as_deref().unwrap_or_default();
    let absolute = path.starts_with("http://") || path.starts_with("https://");
    let (text, place) = match (absolute, path) {
        (true, _) => (path.to_owned(), at("path")),
        (false, "") => (client.base_url.clone(), "/client/base_url".to_owned()),
        (false, _) => {
            let base = client.base_url.replace('{', "{{").replace('}', "}}");
            (format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/')), at("path"))
        }
    };
    let url = names.bind(template::parse(&text, &place)?, &place, Use::Path)?;
    fixed_origin(&url, absolute, &place)?;

    let mut params = Vec::new();
    for (name, value) in &endpoint.params {
        let place = format!("{}/{name}", at("params"));
        if names.consumed.contains(name) {
            continue;
        }
        params.extend(names.fields(name, value, &place, Use::Query)?);
    }

    let mut headers: Vec<(String, Vec<Part>)> = Vec::new();
    let own: BTreeSet<String> = endpoint.headers.keys().map(|name| name.to_lowercase()).collect();
    for (name, value) in &client.headers {
        check_header(name, Some(value.text()), &format!("/client/headers/{name}"))?;
        if !own.contains(&name.to_lowercase()) {
            let part = match value {
                SecretText::Text(text) => Part::Text(text.clone()),
                SecretText::Slot(slot) => Part::Secret(slot.secret.clone()),
            };
            headers.push((name.to_lowercase(), vec![part]));
        }
    }
    for (name, value) in &endpoint.headers {
        let place = format!("{}/{name}", at("headers"));
        check_header(name, value.as_str().or(raw_string(value)), &place)?;
        headers.push((name.to_lowercase(), names.text(value, &place, Use::Header)?));
    }
    let body = names.body(&at)?;
    Ok(Bound { url, params, headers, body, unbound: names.unbound })
}

/// Where in a request a text stands.
#[derive(Clone, Copy, PartialEq)]
pub enum Use {
    Path,
    Query,
    Header,
    Body,
}

struct Names<'a> {
    endpoint: &'a Endpoint,
    given: &'a Given,
    pointer: &'a str,
    /// Parameters of the endpoint that fill the path, and so are not sent in the query.
    consumed: BTreeSet<String>,
    unbound: Vec<(String, String)>,
}

impl Names<'_> {
    fn bind(&mut self, parts: Vec<Part>, place: &str, usage: Use) -> Result<Vec<Part>> {
        let mut bound = Vec::with_capacity(parts.len());
        for part in parts {
            bound.push(match part {
                Part::Variable(name) => match self.value_of(&name, usage)? {
                    Some(Part::Text(text)) if usage == Use::Path => Part::Text(segment(&text, &name, place)?),
                    Some(part) => part,
                    None => {
                        self.unbound.push((name.clone(), place.to_owned()));
                        Part::Variable(name)
                    }
                },
                other => other,
            });
        }
        Ok(bound)
    }

    /// The parts of a text, in one of its forms.
    fn text(&mut self, value: &Value, place: &str, usage: Use) -> Result<Vec<Part>> {
        if let Some(name) = slot::name_of(value) {
            return Ok(vec![Part::Secret(name.to_owned())]);
        }
        if let Some(text) = raw_string(value) {
            return Ok(vec![Part::Text(text.to_owned())]);
        }
        let text = value.as_str().ok_or_else(|| {
            Error::config(place, "expected a text, `{secret: name}` or `{raw_string: text}`")
                .advice("an object here has one of these two keys")
        })?;
        self.bind(template::parse(text, place)?, place, usage)
    }

    /// What a query parameter or a field of a form is sent as: nothing for null, once for each item of a list.
    fn fields(&mut self, name: &str, value: &Value, place: &str, usage: Use) -> Result<Fields> {
        let name = self.bind(template::parse(name, place)?, place, usage)?;
        let values = match value {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut fields = Fields::new();
        for value in values.iter().filter(|value| !value.is_null()) {
            let document = self.document(value, place, usage)?;
            let is_secret = |part: &&Part| match part {
                Part::Secret(_) => true,
                Part::Text(text) => slot::stand_ins(text).next().is_some(),
                _ => false,
            };
            // It would be written as its place wants it, a URL or a form, and not as JSON does.
            if !matches!(document, Document::Text(_)) && document.parts().iter().any(is_secret) {
                return Err(Error::config(place, "a secret stands within JSON, which is sent as a text here")
                    .advice("send the secret as a value of its own"));
            }
            fields.push((name.clone(), document));
        }
        Ok(fields)
    }

    fn document(&mut self, value: &Value, place: &str, usage: Use) -> Result<Document> {
        Document::parse(value, &mut |text| self.bind(template::parse(text, place)?, place, usage))
    }

    /// The body, if there is one. Of those that are not JSON an empty one is none.
    fn body(&mut self, at: &dyn Fn(&str) -> String) -> Result<Option<Body>> {
        let endpoint = self.endpoint;
        for (key, value) in [("body", &endpoint.body), ("data", &endpoint.data)] {
            let (Some(value), place) = (value, at(key)) else { continue };
            match value {
                Value::Object(fields) if key == "data" && raw_string(value).is_none() => {
                    let mut form = Fields::new();
                    for (name, value) in fields {
                        form.extend(self.fields(name, value, &format!("{place}/{name}"), Use::Body)?);
                    }
                    if !fields.is_empty() {
                        return Ok(Some(Body::Form(form)));
                    }
                }
                Value::Array(pairs) => {
                    let mut form = Fields::new();
                    for (nth, pair) in pairs.iter().enumerate() {
                        let place = format!("{place}/{nth}");
                        let [name, value] = pair.as_array().map_or(&[][..], Vec::as_slice) else {
                            return Err(Error::config(place, "expected a name and a value"));
                        };
                        let name = scalar(name).ok_or_else(|| Error::config(&place, "the name is no text"))?;
                        form.extend(self.fields(&name, value, &place, Use::Body)?);
                    }
                    if !pairs.is_empty() {
                        return Ok(Some(Body::Form(form)));
                    }
                }
                Value::String(text) if text.is_empty() => {}
                text => {
                    let parts = self.text(text, &place, Use::Body)?;
                    return Ok(Some(Body::Text { parts, key }));
                }
            }
        }
        let Some(json) = &endpoint.json else { return Ok(None) };
        let place = at("json");
        let mut bind = |text: &str| self.bind(template::parse(text, &place)?, &place, Use::Body);
        Ok(Some(Body::Json(Document::object(json, &mut bind)?)))
    }

    fn value_of(&mut self, name: &str, usage: Use) -> Result<Option<Part>> {
        if usage == Use::Path
            && let Some(value) = self.endpoint.params.get(name)
        {
            let place = format!("{}/endpoint/params/{name}", self.pointer);
            self.consumed.insert(name.to_owned());
            return param(name, value, &place).map(Some);
        }
        if let Some(value) = self.given.params.get(name) {
            let text = scalar(value)
                .ok_or_else(|| Error::config("", format!("the parameter `{name}` is not a single value")))?;
            return Ok(Some(Part::Text(text)));
        }
        let Some(binding) = self.given.bindings.get(name) else { return Ok(None) };
        let field = binding.as_str().and_then(Field::parse).ok_or_else(|| {
            Error::config("", format!("the binding of `{name}` is {binding}, which names no field"))
                .advice(format!("write `{name}: parent.field`, such as `app_id: applications.id`"))
        })?;
        Ok(Some(Part::Field(field)))
    }
}

/// A parameter of the endpoint that fills the path: a value, a secret, or one placeholder.
fn param(name: &str, value: &Value, place: &str) -> Result<Part> {
    if let Some(name) = slot::name_of(value) {
        return Ok(Part::Secret(name.to_owned()));
    }
    if let Some(text) = raw_string(value) {
        return Ok(Part::Text(text.to_owned()));
    }
    let text = scalar(value).ok_or_else(|| {
        Error::config(place, format!("`{name}` is not a single value"))
            .advice("write a value, or `{resources.parent.field}` for a field of another resource's records")
    })?;
    match template::parse(&text, place)?.as_slice() {
        [one @ (Part::Field(_) | Part::Incremental(_))] => Ok(one.clone()),
        [Part::Text(text)] => Ok(Part::Text(text.clone())),
        _ => Err(Error::config(place, format!("\"{text}\" mixes text and placeholders"))
            .advice("write the text into the path, and the placeholder alone here")),
    }
}

/// A value as a path segment. `.` and `..` would be taken for steps, and nothing for another path, by URL parsers.
pub fn segment(text: &str, name: &str, pointer: &str) -> Result<String> {
    match text {
        "" | "." | ".." => {
            let message = format!("the path variable `{name}` is \"{text}\", which would change the path");
            Err(Error::config(pointer, message))
        }
        _ => Ok(encode_segment(text)),
    }
}

/// A placeholder may not decide which origin a request goes to, nor may a base URL that is none get through.
fn fixed_origin(url: &[Part], absolute: bool, place: &str) -> Result<()> {
    let place = if absolute { place } else { "/client/base_url" };
    let Some(Part::Text(start)) = url.first() else {
        return Err(Error::config(place, "the URL does not begin with `https://` or `http://`"));
    };
    let after_scheme = start.strip_prefix("https://").or_else(|| start.strip_prefix("http://"));
    let Some(rest) = after_scheme else {
        return Err(Error::config(place, format!("\"{start}\" does not begin with `https://` or `http://`"))
            .advice("write `https://` before it"));
    };
    if url.len() > 1 && !rest.contains('/') {
        return Err(Error::config(place, "a placeholder stands in the host of the URL")
            .advice("write the host out, so that the policy can name it"));
    }
    match url::Url::parse(start) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(Error::config(place, "the URL holds a user name or a password")
                .advice("use `auth: {type: http_basic}`"))
        }
        Ok(_) => Ok(()),
        Err(error) if !start.is_ascii() => Err(Error::config(place, format!("not a URL: {error}"))
            .advice("write a host with other letters than those of ASCII in its ASCII form, `xn--…`")),
        Err(error) => Err(Error::config(place, format!("not a URL: {error}"))),
    }
}

/// A single value as text: numbers with the digits that they were written with, booleans as `true` and `false`.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        _ => None,
    }
}

fn check_header(name: &str, value: Option<&str>, place: &str) -> Result<()> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(Error::config(place, format!("\"{name}\" is not a header name")));
    }
    if name.eq_ignore_ascii_case(CREDENTIAL_HEADER) {
        return Err(Error::config(place, format!("the header `{name}` is the host's")));
    }
    if let Some(value) = value
        && value.chars().any(|c| c.is_control() && c != '\t')
    {
        return Err(Error::config(place, format!("the value of the header `{name}` holds a control character")));
    }
    Ok(())
}
