//! Making a request of a resource, for one parent record and one page.

use super::template::{Field, Part};
use super::{Resource, bind};
use crate::auth::Placement;
use crate::error::{Error, Kind, Result};
use crate::paginate::Position;
use crate::request::Request;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

/// The fields of parents' records that a chain of requests uses, by `resource.path`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Context(BTreeMap<String, Value>);

/// The name that requests carry, where the configuration gives no other.
const USER_AGENT: &str = concat!("spile/", env!("CARGO_PKG_VERSION"));

impl Resource {
    /// This context with the fields of a record of this resource. A field that is missing or null fails: a request with
    /// "null" in it would ask for something else.
    pub fn extend(&self, context: &Context, record: &Value) -> Result<Context> {
        let mut extended = context.clone();
        for needed in &self.needed {
            let value = needed.selector.first(record);
            let Some(value) = value.filter(|value| bind::scalar(value).is_some()) else {
                let found = match value {
                    None => "is missing from",
                    Some(Value::Null) => "is null in",
                    Some(_) => "is not a single value in",
                };
                let keys: Vec<String> = match record {
                    Value::Object(fields) => fields.keys().map(|key| format!("`{key}`")).collect(),
                    _ => Vec::new(),
                };
                let message = format!("the field `{}`, which other requests need, {found} a record", needed.field.path);
                return Err(Error::new(Kind::Upstream, message)
                    .of(&self.name)
                    .advice(format!("the record has the keys {}", keys.join(", "))));
            };
            extended.0.insert(needed.field.to_string(), value.clone());
        }
        Ok(extended)
    }

    /// The request for a page.
    pub fn request(&self, context: &Context, position: &Position) -> Result<Request> {
        let mut url = Url::parse(&self.render(&self.url, context, true)?)
            .map_err(|error| Error::config(&self.pointer, format!("the URL is not valid: {error}")).of(&self.name))?;
        let paging = self.paginator.query(position);
        let paged = |name: &str| paging.iter().any(|(paged, _)| *paged == name);
        // Parameters that stand in the path are sent too, unless the paginator sets them.
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in url.query_pairs().filter(|(name, _)| !paged(name)) {
            pairs.push((name.into_owned(), value.into_owned()));
        }
        for (name, parts) in self.params.iter().filter(|(name, _)| !paged(name)) {
            pairs.push((name.clone(), self.render(parts, context, false)?));
        }
        pairs.extend(paging.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));

        let mut headers = Vec::with_capacity(self.headers.len() + 3);
        for (name, parts) in &self.headers {
            headers.push((name.clone(), self.render(parts, context, false)?));
        }
        let mut set = |name: &str, value: String, keep: bool| match headers.iter_mut().find(|(other, _)| other == name)
        {
            Some(_) if keep => {}
            Some((_, other)) => *other = value,
            None => headers.push((name.to_owned(), value)),
        };
        set("accept", "*/*".to_owned(), true);
        set("user-agent", USER_AGENT.to_owned(), true);
        let body = match &self.body {
            Some(body) => {
                let text = |parts: &[Part]| self.render(parts, context, false);
                let value = |part: &Part| match part {
                    Part::Field(field) => self.kept(field, context).cloned(),
                    part => text(std::slice::from_ref(part)).map(Value::String),
                };
                set("content-type", "application/json".to_owned(), true);
                Some(body.render(&text, &value)?.to_string().into_bytes())
            }
            None => None,
        };

        match self.placement()? {
            Some(Placement::Header(name, value)) => set(&name.to_lowercase(), value, false),
            Some(Placement::Cookie(name, value)) => set("cookie", format!("{name}={value}"), false),
            Some(Placement::Query(name, value)) => {
                pairs.retain(|(other, _)| *other != name);
                pairs.push((name, value));
            }
            None => {}
        }
        url.set_query(None);
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        Ok(Request { method: self.method, url, headers, body })
    }

    /// Where the credential goes, if one is used. Fails where a slot has no value on this side.
    fn placement(&self) -> Result<Option<Placement>> {
        let Some(auth) = &self.auth else { return Ok(None) };
        auth.placement(|_| None).map(Some).map_err(|slot| {
            Error::new(Kind::Auth, format!("the secret `{slot}` has no value here"))
                .of(&self.name)
                .advice("run the connector in a host that holds credentials, or write the value into the configuration")
        })
    }

    fn render(&self, parts: &[Part], context: &Context, in_path: bool) -> Result<String> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Field(field) => text.push_str(&self.field(field, context, in_path)?),
                Part::Variable(name) => {
                    let message = format!("nothing binds the path variable `{name}`");
                    return Err(Error::config(format!("{}/endpoint/path", self.pointer), message).of(&self.name));
                }
            }
        }
        Ok(text)
    }

    fn field(&self, field: &Field, context: &Context, in_path: bool) -> Result<String> {
        let text = bind::scalar(self.kept(field, context)?).unwrap_or_default();
        if !in_path {
            return Ok(text);
        }
        // The value came from the API, so the fault is not the configuration's.
        bind::segment(&text, &field.to_string(), "")
            .map_err(|error| Error::new(Kind::Upstream, error.message).of(&self.name))
    }

    /// The value of a parent's field.
    fn kept<'c>(&self, field: &Field, context: &'c Context) -> Result<&'c Value> {
        context
            .0
            .get(&field.to_string())
            .ok_or_else(|| Error::new(Kind::Internal, format!("the value of `{field}` was not kept")).of(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::{Context, Plan, Source};
    use crate::request::Method;
    use serde_json::{Value, json};

    #[test]
    fn a_body_is_filled_and_keeps_the_types_of_its_values() {
        let config = json!({
            "client": {"base_url": "http://h.example", "paginator": {"type": "single_page"}},
            "resource_defaults": {"endpoint": {"json": {"lang": "en"}}},
            "resources": [
                {"name": "a", "endpoint": {"json": null}},
                {"name": "b", "endpoint": {"method": "post", "path": "search", "json": {
                    "id": "{resources.a.id}", "text": "a {resources.a.id}", "{q}": ["{resources.a.ok}", 1.50, null],
                    "{{x}}": {"n": {}}}}}
            ]
        });
        let (config, params) = (config.to_string(), r#"{"q": "w"}"#);
        let plan = Plan::new(&Source { config: &config, params, bindings: "{}" }).unwrap_or_else(|e| panic!("{e:?}"));
        let (a, b) = (&plan.resources[0], &plan.resources[1]);
        assert_eq!((b.parent, b.method), (Some(0), Method::Post));
        let context = a.extend(&Context::default(), &json!({"id": 7, "ok": true})).unwrap();
        let request = b.request(&context, &b.paginator.first()).unwrap();
        assert!(request.headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
        let body: Value = serde_json::from_slice(&request.body.unwrap()).unwrap();
        assert_eq!(body, json!({"id": 7, "text": "a 7", "w": [true, 1.50, null], "{x}": {"n": {}}, "lang": "en"}));
        let request = a.request(&Context::default(), &a.paginator.first()).unwrap();
        assert_eq!((request.method, request.body), (Method::Get, None));
    }
}
