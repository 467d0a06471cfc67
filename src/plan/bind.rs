//! Binding of names: what fills each placeholder of an endpoint, and which resource is therefore the parent.

use super::body::Body;
use super::template::{self, Field, Part};
use super::{NeededField, Resource};
use crate::auth::{CREDENTIAL_HEADER, SecretText};
use crate::config::model::{Client, Endpoint};
use crate::error::{Error, Result};
use crate::request::encode_segment;
use crate::select::Selector;
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
pub struct Bound {
    pub url: Vec<Part>,
    pub params: Vec<(Vec<Part>, Vec<Part>)>,
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
        let name = names.bind(template::parse(name, &place)?, &place, Use::Query)?;
        for parts in values(value, &place)? {
            params.push((name.clone(), names.bind(parts, &place, Use::Query)?));
        }
    }

    let mut headers: Vec<(String, Vec<Part>)> = Vec::new();
    let own: BTreeSet<String> = endpoint.headers.keys().map(|name| name.to_lowercase()).collect();
    for (name, value) in &client.headers {
        check_header(name, value, &format!("/client/headers/{name}"))?;
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
        check_header(name, value, &place)?;
        let parts = match value {
            SecretText::Text(text) => names.bind(template::parse(text, &place)?, &place, Use::Header)?,
            SecretText::Slot(slot) => vec![Part::Secret(slot.secret.clone())],
        };
        headers.push((name.to_lowercase(), parts));
    }
    let place = at("json");
    let json = endpoint.json.as_ref();
    let body =
        json.map(|json| Body::object(json, &mut |text| names.bind(template::parse(text, &place)?, &place, Use::Body)));
    Ok(Bound { url, params, headers, body: body.transpose()?, unbound: names.unbound })
}

#[derive(Clone, Copy, PartialEq)]
enum Use {
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

/// The values that a query parameter is sent with: none for null, several for a list.
fn values(value: &Value, place: &str) -> Result<Vec<Vec<Part>>> {
    let one = |value: &Value| {
        if let Some(name) = slot::name_of(value) {
            return Ok(vec![Part::Secret(name.to_owned())]);
        }
        let text = scalar(value).ok_or_else(|| {
            Error::config(place, "expected a text, a number, true or false, null, or a list of these")
        })?;
        template::parse(&text, place)
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
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

fn check_header(name: &str, value: &SecretText, place: &str) -> Result<()> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(Error::config(place, format!("\"{name}\" is not a header name")));
    }
    if name.eq_ignore_ascii_case(CREDENTIAL_HEADER) {
        return Err(Error::config(place, format!("the header `{name}` is the host's")));
    }
    if let SecretText::Text(value) = value
        && value.chars().any(|c| c.is_control() && c != '\t')
    {
        return Err(Error::config(place, format!("the value of the header `{name}` holds a control character")));
    }
    Ok(())
}

/// Finds each resource's parent: of the resources whose fields it uses, the one that all others are ancestors of.
pub fn find_parents(resources: &mut [Resource]) -> Result<()> {
    let mut used: Vec<BTreeSet<usize>> = Vec::new();
    for resource in resources.iter() {
        let mut of_this = BTreeSet::new();
        for field in resource.fields() {
            let found = resources.iter().position(|other| other.name == field.resource);
            of_this.insert(found.ok_or_else(|| unknown_parent(resource, field, resources))?);
        }
        used.push(of_this);
    }
    let ancestors: Vec<BTreeSet<usize>> = (0..resources.len()).map(|index| reachable(index, &used)).collect();
    let of = |index: usize| ancestors.get(index).into_iter().flatten();
    let mut parents = Vec::new();
    for (index, resource) in resources.iter().enumerate() {
        let names = |indices: &BTreeSet<usize>| {
            let names =
                indices.iter().filter_map(|index| resources.get(*index)).map(|parent| format!("`{}`", parent.name));
            names.collect::<Vec<_>>().join(", ")
        };
        let direct = used.get(index).cloned().unwrap_or_default();
        if of(index).any(|ancestor| *ancestor == index) {
            let message = format!("`{}` depends on itself, through {}", resource.name, names(&direct));
            return Err(Error::config(
                resource.fields().map(|field| resource.place_of(field)).next().unwrap_or_default(),
                message,
            )
            .of(&resource.name)
            .advice("a resource reads the fields of one that is read before it; leave one of these placeholders out"));
        }
        let parent = direct
            .iter()
            .copied()
            .find(|parent| direct.iter().all(|other| other == parent || of(*parent).any(|ancestor| ancestor == other)));
        if parent.is_none() && !direct.is_empty() {
            let message =
                format!("`{}` uses fields of {}, which do not depend on each other", resource.name, names(&direct));
            return Err(Error::config(
                resource.fields().map(|field| resource.place_of(field)).last().unwrap_or_default(),
                message,
            )
            .of(&resource.name)
            .advice("a resource has one parent; fields of that parent's own parents can be used as well"));
        }
        parents.push(parent);
    }
    for (index, parent) in parents.into_iter().enumerate() {
        let fields: Vec<Field> =
            resources.get(index).map_or_else(Vec::new, |resource| resource.fields().cloned().collect());
        if let Some(resource) = resources.get_mut(index) {
            resource.parent = parent;
        }
        if let Some(parent) = parent.and_then(|parent| resources.get_mut(parent)) {
            parent.children.push(index);
        }
        for field in fields {
            let Some(owner) = resources.iter_mut().find(|owner| owner.name == field.resource) else { continue };
            if !owner.needed.iter().any(|needed| needed.field == field) {
                let selector = Selector::parse(&field.path, &owner.pointer)?;
                owner.needed.push(NeededField { field, selector });
            }
        }
    }
    Ok(())
}

fn unknown_parent(resource: &Resource, field: &Field, resources: &[Resource]) -> Error {
    let names = resources.iter().map(|resource| resource.name.as_str());
    let advice = match crate::config::nearest(&field.resource, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the resources are {}", names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    let message = format!("there is no resource `{}`, whose field `{}` is used", field.resource, field.path);
    Error::config(resource.place_of(field), message).of(&resource.name).advice(advice)
}

fn reachable(from: usize, used: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open: Vec<usize> = used.get(from).into_iter().flatten().copied().collect();
    while let Some(index) = open.pop() {
        if found.insert(index) {
            open.extend(used.get(index).into_iter().flatten());
        }
    }
    found
}
