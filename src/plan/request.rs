//! Making a request of a resource, for one parent record and one page.

use super::template::{Field, Part};
use super::{Resource, bind, body};
use crate::auth::{Auth, Placement};
use crate::error::{Error, Kind, Result};
use crate::incremental::{Bound, Range};
use crate::paginate::{Paginator, Place, Position, Setting};
use crate::request::{Request, USER_AGENT, origin};
use crate::shape::identity;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;
use url::Url;

/// What a chain of requests is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Context {
    /// The fields of parents' records that it uses, by `resource.path`.
    fields: BTreeMap<String, Value>,
    /// From where to where it reads. The state holds the cursors that it comes from.
    #[serde(skip)]
    pub range: Option<Rc<Range>>,
}

/// The configured headers that a link to another origin is followed with: any other one may hold a credential.
const OPEN_HEADERS: [&str; 4] = ["accept", "accept-language", "content-type", "user-agent"];

impl Context {
    /// This context with a range to read.
    #[must_use]
    pub fn with_range(self, range: Rc<Range>) -> Self {
        Self { range: Some(range), ..self }
    }

    fn bound(&self, bound: Bound) -> Option<&Value> {
        self.range.as_ref()?.value(bound)
    }

    /// Tells the chains of a resource apart that belong to different parents: the fields that its requests use.
    pub fn key(&self, resource: &Resource) -> String {
        let used: BTreeMap<String, &Value> = resource
            .fields()
            .map(ToString::to_string)
            .filter_map(|name| Some((name.clone(), self.fields.get(&name)?)))
            .collect();
        identity::of_record(&json!(used))
    }
}

impl Resource {
    /// This context with the fields of a record of this resource. A field that is missing or null fails: a request with
    /// "null" in it would ask for something else.
    pub fn extend(&self, context: &Context, record: &Value) -> Result<Context> {
        let mut extended = Context { fields: context.fields.clone(), range: None };
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
            extended.fields.insert(needed.field.to_string(), value.clone());
        }
        Ok(extended)
    }

    /// The request for a page, signed unless its token has to be obtained first. `detected` is the paginator of a chain where the
    /// configuration has none.
    pub fn request(&self, context: &Context, position: &Position, detected: Option<&Paginator>) -> Result<Request> {
        let own = self.render(&self.url, context, true)?.ok_or_else(|| self.no_beginning())?;
        let own = Url::parse(&own)
            .map_err(|error| Error::config(&self.pointer, format!("the URL is not valid: {error}")).of(&self.name))?;
        let mut url = match position {
            // It was made from a URL.
            Position::Link(link) => Url::parse(link).map_err(|error| {
                Error::new(Kind::Internal, format!("the link is not valid: {error}")).of(&self.name)
            })?,
            _ => own.clone(),
        };
        let is_own = origin(&url) == origin(&own);
        let settings =
            self.paginator.as_ref().or(detected).map_or_else(Vec::new, |paginator| paginator.settings(position));
        let mut paging: Vec<(&str, String)> = Vec::new();
        for setting in &settings {
            if let Place::Query(name) = setting.place {
                paging.push((name, bind::scalar(&setting.value).unwrap_or_default()));
            }
        }
        let paged = |name: &str| paging.iter().any(|(paged, _)| *paged == name);
        // Parameters that stand in the path are sent too, unless the paginator sets them.
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in url.query_pairs().filter(|(name, _)| !paged(name)) {
            pairs.push((name.into_owned(), value.into_owned()));
        }
        // A link has all the parameters that it needs.
        let params = if matches!(position, Position::Link(_)) { &[] } else { self.params.as_slice() };
        for (name, parts) in params {
            let name = self.render(name, context, false)?.filter(|name| !paged(name));
            if let (Some(name), Some(value)) = (name, self.render(parts, context, false)?) {
                pairs.push((name, value));
            }
        }
        pairs.extend(paging.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));

        let mut headers = Vec::with_capacity(self.headers.len() + 3);
        for (name, parts) in self.headers.iter().filter(|(name, _)| is_own || OPEN_HEADERS.contains(&name.as_str())) {
            headers.extend(self.render(parts, context, false)?.map(|value| (name.clone(), value)));
        }
        let body = self.body(context, &settings)?;
        let of_body = body.as_ref().map(|_| ("content-type", "application/json"));
        for (name, value) in [("accept", "*/*"), ("user-agent", USER_AGENT)].into_iter().chain(of_body) {
            if headers.iter().all(|(other, _)| other != name) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }

        // A link is followed as it is written, its order and its escapes too, where nothing has to be put into it.
        if !matches!(position, Position::Link(_)) {
            url.set_query(None);
            if !pairs.is_empty() {
                url.query_pairs_mut().extend_pairs(pairs);
            }
        }
        let body = body.map(|body| body.to_string().into_bytes());
        let mut request = Request { method: self.method, url, headers, body };
        if let Some(placement) = self.placement()? {
            self.sign(&mut request, placement);
        }
        Ok(request)
    }

    /// Puts a credential on a request. No other origin is shown it.
    pub fn sign(&self, request: &mut Request, placement: Placement) {
        if self.origin() == origin(&request.url) {
            placement.put(request);
        }
    }

    /// A position as it is kept: a link without the parameter that the credential stands in. APIs repeat it in their links; it
    /// is put there anew for each request, and must not get into the state.
    pub fn without_credential(&self, position: Position) -> Position {
        let (Position::Link(link), Some(name)) = (&position, self.auth.as_ref().and_then(Auth::parameter)) else {
            return position;
        };
        let Ok(mut url) = Url::parse(link) else { return position };
        let is_credential = |pair: &&str| {
            url::form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(written, _)| written == name)
        };
        let query = url.query().unwrap_or_default();
        if !query.split('&').any(|pair| is_credential(&pair)) {
            return position;
        }
        let rest = query.split('&').filter(|pair| !is_credential(pair)).collect::<Vec<_>>().join("&");
        url.set_query((!rest.is_empty()).then_some(&rest));
        Position::Link(url.into())
    }

    /// The JSON body, if the request has one.
    fn body(&self, context: &Context, settings: &[Setting<'_>]) -> Result<Option<Value>> {
        let text = |parts: &[Part]| self.render(parts, context, false);
        let value = |part: &Part| match part {
            Part::Field(field) => self.kept(field, context).cloned().map(Some),
            Part::Incremental(bound) => Ok(context.bound(*bound).cloned()),
            part => Ok(text(std::slice::from_ref(part))?.map(Value::String)),
        };
        let mut body = self.body.as_ref().map(|body| body.render(&text, &value)).transpose()?.flatten();
        for setting in settings {
            if let Place::Body(path) = setting.place
                && !body::set(body.get_or_insert(Value::Null), path, setting.value.clone())
            {
                let message = format!("the body has something else than an object on the way to `{}`", path.join("."));
                return Err(Error::config(format!("{}/endpoint/json", self.pointer), message).of(&self.name));
            }
        }
        Ok(body)
    }

    /// Where the credential goes, if one is used that has not to be obtained first. Fails where a slot has no value on this side.
    fn placement(&self) -> Result<Option<Placement>> {
        match &self.auth {
            Some(auth) if self.token.is_none() => {
                let filled = auth.filled(|_| None).map_err(|slot| no_value(&slot).of(&self.name))?;
                Ok(filled.placement())
            }
            _ => Ok(None),
        }
    }

    /// A text with its placeholders filled; none where one of them has no value.
    fn render(&self, parts: &[Part], context: &Context, in_path: bool) -> Result<Option<String>> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Field(field) => text.push_str(&self.field(field, context, in_path)?),
                Part::Incremental(bound) => match context.bound(*bound).and_then(bind::scalar) {
                    Some(value) if in_path => text.push_str(&self.segment(&value, bound.name())?),
                    Some(value) => text.push_str(&value),
                    None => return Ok(None),
                },
                Part::Secret(slot) => return Err(no_value(slot).of(&self.name)),
                Part::Variable(name) => {
                    let message = format!("nothing binds the path variable `{name}`");
                    return Err(Error::config(format!("{}/endpoint/path", self.pointer), message).of(&self.name));
                }
            }
        }
        Ok(Some(text))
    }

    fn field(&self, field: &Field, context: &Context, in_path: bool) -> Result<String> {
        let text = bind::scalar(self.kept(field, context)?).unwrap_or_default();
        if !in_path {
            return Ok(text);
        }
        self.segment(&text, &field.to_string())
    }

    /// A value as a segment of the path. It came from the API, so the fault is not the configuration's.
    fn segment(&self, text: &str, name: &str) -> Result<String> {
        bind::segment(text, name, "").map_err(|error| Error::new(Kind::Upstream, error.message).of(&self.name))
    }

    /// The error of a path that needs a cursor where there is none.
    fn no_beginning(&self) -> Error {
        let message = "the path needs a value of `incremental`, and there is none yet";
        Error::config(format!("{}/endpoint/incremental", self.pointer), message)
            .of(&self.name)
            .advice("give `initial_value`")
    }

    /// The value of a parent's field.
    fn kept<'c>(&self, field: &Field, context: &'c Context) -> Result<&'c Value> {
        context
            .fields
            .get(&field.to_string())
            .ok_or_else(|| Error::new(Kind::Internal, format!("the value of `{field}` was not kept")).of(&self.name))
    }
}

/// The error of a slot that has no value on this side.
pub(super) fn no_value(slot: &str) -> Error {
    Error::new(Kind::Auth, format!("the secret `{slot}` has no value here"))
        .advice("run the connector in a host that holds credentials, or write the value into the configuration")
}

#[cfg(test)]
mod tests {
    use crate::paginate::Position;
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
                {"name": "b", "endpoint": {"method": "post", "path": "search", "params": {"{q}{resources.a.id}": 1}, "json": {
                    "id": "{resources.a.id}", "text": "a {resources.a.id}", "{q}": ["{resources.a.ok}", 1.50, null],
                    "{{x}}": {"n": {}}}}}
            ]
        });
        let (config, params) = (config.to_string(), r#"{"q": "w"}"#);
        let plan = Plan::new(&Source { config: &config, params, bindings: "{}" }).unwrap_or_else(|e| panic!("{e:?}"));
        let (a, b) = (&plan.resources[0], &plan.resources[1]);
        assert_eq!((b.parent, b.method), (Some(0), Method::Post));
        let context = a.extend(&Context::default(), &json!({"id": 7, "ok": true})).unwrap();
        let request = b.request(&context, &Position::First, None).unwrap();
        assert_eq!(request.url.as_str(), "http://h.example/search?w7=1");
        assert!(request.headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
        let body: Value = serde_json::from_slice(&request.body.unwrap()).unwrap();
        assert_eq!(body, json!({"id": 7, "text": "a 7", "w": [true, 1.50, null], "{x}": {"n": {}}, "lang": "en"}));
        let request = a.request(&Context::default(), &Position::First, None).unwrap();
        assert_eq!((request.method, request.body), (Method::Get, None));
    }

    fn plan(config: Value) -> Plan {
        let source = Source { config: &config.to_string(), params: "{}", bindings: "{}" };
        Plan::new(&source).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    fn link(url: &str) -> Position {
        Position::Link(url.to_owned())
    }

    #[test]
    fn a_link_takes_the_place_of_url_and_parameters_but_not_of_method_body_and_headers() {
        let plan = plan(json!({
            "client": {"base_url": "http://h.example", "headers": {"x-team": "t", "accept": "application/json"},
                "paginator": "json_link", "auth": {"type": "api_key", "name": "k", "api_key": "zz", "location": "query"}},
            "resources": [{"name": "a", "endpoint": {"method": "POST", "json": {"q": 1}, "params": {"lang": "en"}}}]
        }));
        let of = |position| plan.resources[0].request(&Context::default(), &position, None).unwrap();
        let first = of(Position::First);
        assert_eq!(first.url.as_str(), "http://h.example/a?lang=en&k=zz");
        // Reference, worked example 2; the key is not sent twice.
        for url in ["http://h.example/b?tok=2", "http://h.example/b?tok=2&k=old"] {
            let followed = of(link(url));
            assert_eq!(followed.url.as_str(), "http://h.example/b?tok=2&k=zz");
            let rest = (followed.method, followed.body, followed.headers);
            assert_eq!(rest, (first.method, first.body.clone(), first.headers.clone()));
        }
    }

    #[test]
    fn a_link_to_another_origin_carries_no_credential() {
        for auth in
            [json!({"type": "bearer", "token": "zz"}), json!({"type": "brokered", "credential": "/client/auth"})]
        {
            let plan = plan(json!({
                "client": {"base_url": "http://h.example", "auth": auth, "headers": {"x-key": "zz", "accept": "a/b"}},
                "resources": [{"name": "a", "endpoint": {"paginator": {"type": "json_response"}}}]
            }));
            assert_eq!(plan.warnings[0].pointer.as_deref(), Some("/resources/0/endpoint/paginator"));
            assert_eq!(plan.warnings[0].advice.as_deref(), Some("write `json_link`"));
            let names = |url: &str| {
                let request = plan.resources[0].request(&Context::default(), &link(url), None).unwrap();
                request.headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
            };
            assert_eq!(names("http://h.example/?p=2").len(), 4);
            let written = "http://h.example/?$skip=2&b=%2f%20&flag";
            let followed = plan.resources[0].request(&Context::default(), &link(written), None).unwrap();
            assert_eq!(followed.url.as_str(), written);
            for other in ["https://h.example/", "http://h.example:81/", "http://evil.example/"] {
                assert_eq!(names(other), ["accept", "user-agent"], "{other}");
            }
        }
    }

    #[test]
    fn a_secret_outside_auth_is_named_and_never_guessed() {
        let slot = json!({"secret": "k"});
        let config = |value: Value| {
            json!({"client": {"base_url": "http://h.example", "headers": {"x-a": value}}, "resources": [
                {"name": "a", "endpoint": {"path": "p/{v}/x", "method": "POST", "headers": {"x-b": value},
                    "params": {"q": value, "v": value, "l": ["x", value]}, "json": {"d": {"e": [value]}, "f": value}}}]})
        };
        let described = plan(config(slot.clone())).describe();
        let slots: Vec<_> = described.slots.iter().map(|slot| (slot.name.as_str(), &slot.origins[..])).collect();
        assert_eq!(slots, [("k", &["http://h.example:80".to_owned()][..])]);
        assert_eq!(described.resources[0].url, "http://h.example/p/{secret: k}/x");
        let error = plan(config(slot)).resources[0].request(&Context::default(), &Position::First, None).unwrap_err();
        assert_eq!((error.kind, &*error.message), (crate::error::Kind::Auth, "the secret `k` has no value here"));

        // Where a host took it out, its stand-in is sent as it is, in every place.
        let mark = crate::slot::stand_in("k");
        let made = plan(config(json!(mark)));
        let request = made.resources[0].request(&Context::default(), &Position::First, None).unwrap();
        let url = format!("http://h.example/p/{mark}/x?q={mark}&l=x&l={mark}");
        assert_eq!(request.url.as_str(), url);
        let sent = request.headers.iter().filter(|(_, value)| *value == mark).count();
        assert_eq!(sent, 2);
        let body: Value = serde_json::from_slice(&request.body.unwrap()).unwrap();
        assert_eq!(body, json!({"d": {"e": [mark]}, "f": mark}));
        assert_eq!(made.describe().slots[0].name, "k");
    }

    #[test]
    fn a_host_in_other_letters_is_refused() {
        // The first letter is Cyrillic.
        for (base, is_good) in [("https://аpple.example", false), ("https://xn--bcher-kva.example/ü", true)] {
            let config = json!({"client": {"base_url": base}, "resources": ["a"]}).to_string();
            match Plan::new(&Source { config: &config, params: "{}", bindings: "{}" }) {
                Ok(_) => assert!(is_good, "{base}"),
                Err(errors) => {
                    assert!(!is_good, "{base}: {errors:?}");
                    assert_eq!(errors[0].pointer.as_deref(), Some("/client/base_url"));
                    assert!(errors[0].advice.as_deref().is_some_and(|advice| advice.contains("xn--")), "{errors:?}");
                }
            }
        }
    }

    #[test]
    fn a_cursor_is_set_in_the_body() {
        let plan = plan(json!({
            "client": {"base_url": "http://h.example"},
            "resources": [{"name": "a", "endpoint": {"json": {"q": "x"},
                "paginator": {"type": "cursor", "cursor_path": "cur", "cursor_body_path": "page.after"}}}]
        }));
        let request = plan.resources[0].request(&Context::default(), &Position::Cursor(json!("c1")), None).unwrap();
        assert_eq!(request.body.unwrap(), br#"{"q":"x","page":{"after":"c1"}}"#);
    }
}
