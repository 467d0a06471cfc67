//! Making a request of a resource, for one parent record and one page.

use super::bind::{self, Use};
use super::body::{Body, Fields};
use super::document::{self, Document};
use super::template::{Field, Part};
use super::{Context, Resource};
use crate::auth::{Auth, Placement};
use crate::config::model::OnMissing;
use crate::error::{Error, Kind, Result};
use crate::paginate::{Paginator, Place, Position, Setting};
use crate::request::{Request, USER_AGENT, encode_separator, names_credential, origin};
use crate::slot;
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

/// The configured headers that a link to another origin is followed with: any other one may hold a credential.
const OPEN_HEADERS: [&str; 4] = ["accept", "accept-language", "content-type", "user-agent"];

impl Resource {
    /// What expressions see as `params`: the query of a request, without credentials. A parameter that is sent several times is
    /// a list.
    pub fn shown_params(&self, url: &Url) -> Value {
        let credential = self.auth.as_ref().and_then(Auth::parameter);
        let mut params: Map<String, Value> = Map::new();
        for (name, value) in url.query_pairs() {
            let is_secret = credential.is_some_and(|credential| credential == name)
                || names_credential(&name)
                || slot::stand_ins(&value).next().is_some();
            if is_secret {
                continue;
            }
            let value = Value::from(value.into_owned());
            match params.get_mut(name.as_ref()) {
                None => drop(params.insert(name.into_owned(), value)),
                Some(Value::Array(values)) => values.push(value),
                Some(one) => *one = Value::Array(vec![one.take(), value]),
            }
        }
        Value::Object(params)
    }

    /// The request for a page, signed unless its token has to be obtained first. `detected` is the paginator of a chain where the
    /// configuration has none.
    pub fn request(&self, context: &Context, position: &Position, detected: Option<&Paginator>) -> Result<Request> {
        let own = self.render(&self.url, context, Use::Path)?.ok_or_else(|| self.unfilled(&self.url, "its URL"))?;
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
        if !matches!(position, Position::Link(_)) {
            let params = self.pairs(&self.params, context, Use::Query)?;
            pairs.extend(params.into_iter().filter(|(name, _)| !paged(name)));
        }
        pairs.extend(paging.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));

        let mut headers = Vec::with_capacity(self.headers.len() + 3);
        for (name, parts) in self.headers.iter().filter(|(name, _)| is_own || OPEN_HEADERS.contains(&name.as_str())) {
            headers.extend(self.render(parts, context, Use::Header)?.map(|text| (name.clone(), text)));
        }
        let body = self.body(context, &settings)?;
        let of_body = body.as_ref().and_then(|(kind, _)| *kind).map(|kind| ("content-type", kind));
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
        let body = body.map(|(_, text)| text.into_bytes());
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

    /// The body, if the request has one, with its type, if that is known.
    fn body(&self, context: &Context, settings: &[Setting<'_>]) -> Result<Option<(Option<&'static str>, String)>> {
        let json = match &self.body {
            Some(Body::Form(fields)) => {
                let pairs = self.pairs(fields, context, Use::Body)?;
                let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                return Ok(Some((Some("application/x-www-form-urlencoded"), form)));
            }
            Some(Body::Text { parts, key }) => {
                let text = self.render(parts, context, Use::Body)?.ok_or_else(|| self.unfilled(parts, key))?;
                return Ok(Some((None, text)));
            }
            Some(Body::Json(document)) => self.document(document, context, Use::Body)?,
            None => None,
        };
        let mut json = json;
        for setting in settings {
            if let Place::Body(path) = setting.place
                && !document::set(json.get_or_insert(Value::Null), path, setting.value.clone())
            {
                let message = format!("the body has something else than an object on the way to `{}`", path.join("."));
                return Err(Error::config(format!("{}/endpoint/json", self.pointer), message).of(&self.name));
            }
        }
        Ok(json.map(|json| (Some("application/json"), json.to_string())))
    }

    /// Query parameters, or the fields of a form, that have a value.
    fn pairs(&self, fields: &Fields, context: &Context, usage: Use) -> Result<Vec<(String, String)>> {
        let mut pairs = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let value = match value {
                Document::Text(parts) => self.render(parts, context, usage)?,
                value => self.document(value, context, usage)?.map(|value| as_text(&value)),
            };
            pairs.extend(self.render(name, context, usage)?.zip(value));
        }
        Ok(pairs)
    }

    /// A JSON document; none where all that it is has no value.
    fn document(&self, document: &Document, context: &Context, usage: Use) -> Result<Option<Value>> {
        let text = |parts: &[Part]| self.render(parts, context, usage);
        let value = |part: &Part| match part {
            Part::Field(field) => Ok(Some(self.kept(field, context)?.cloned().unwrap_or_default())),
            Part::Incremental(bound) => Ok(context.bound(*bound).cloned()),
            part => Ok(text(std::slice::from_ref(part))?.map(Value::String)),
        };
        document.render(&text, &value)
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
    fn render(&self, parts: &[Part], context: &Context, usage: Use) -> Result<Option<String>> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Field(field) => match self.field(field, context, usage)? {
                    Some(value) => text.push_str(&value),
                    None => return Ok(None),
                },
                Part::Incremental(bound) => match context.bound(*bound) {
                    Some(value) => text.push_str(&self.written(bound.name(), value, usage)?),
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

    /// What a parent's field is in a text: of several records, their values in one.
    fn field(&self, field: &Field, context: &Context, usage: Use) -> Result<Option<String>> {
        let Some(value) = self.kept(field, context)? else { return Ok(None) };
        match (&self.batch, value) {
            (Some(batch), Value::Array(values)) if batch.parent == field.resource => {
                let there = values.iter().filter(|value| !value.is_null());
                let texts = there.map(|value| self.text_of(field, value, usage)).collect::<Result<Vec<_>>>()?;
                let separator = match usage {
                    Use::Path => encode_separator(&batch.separator),
                    _ => batch.separator.clone(),
                };
                Ok((!texts.is_empty()).then(|| texts.join(&separator)))
            }
            (_, value) => self.text_of(field, value, usage).map(Some),
        }
    }

    /// The value of a parent's field as a text. The value came from the API, so the fault is not the configuration's.
    fn text_of(&self, field: &Field, value: &Value, usage: Use) -> Result<String> {
        self.written(&field.to_string(), value, usage)
    }

    fn written(&self, name: &str, value: &Value, usage: Use) -> Result<String> {
        let what = match value {
            Value::Array(_) => "a list",
            _ => "an object",
        };
        match (usage, bind::scalar(value)) {
            (Use::Path, Some(text)) => {
                bind::segment(&text, name, "").map_err(|error| Error::new(Kind::Upstream, error.message).of(&self.name))
            }
            (Use::Path | Use::Header, None) => {
                let place = if usage == Use::Path { "a path" } else { "a header" };
                let message = format!("the field `{name}` is {what} in a record, which {place} cannot hold");
                Err(Error::new(Kind::Upstream, message)
                    .of(&self.name)
                    .advice(format!("name a single value in it, such as `{{resources.{name}.id}}`")))
            }
            _ => Ok(as_text(value)),
        }
    }

    /// The value of a parent's field, if its record has one.
    fn kept<'c>(&self, field: &Field, context: &'c Context) -> Result<Option<&'c Value>> {
        match context.get(field) {
            None if self.on_missing != OnMissing::Null => Err(self.lost(&format!("`{field}`"))),
            found => Ok(found),
        }
    }

    /// The error of a text that has to be whole, and that a value is missing from.
    fn unfilled(&self, parts: &[Part], what: &str) -> Error {
        if !parts.iter().any(|part| matches!(part, Part::Incremental(_))) {
            return self.lost(what);
        }
        let message = format!("{what} needs a value of `incremental`, and there is none yet");
        Error::config(format!("{}/endpoint/incremental", self.pointer), message)
            .of(&self.name)
            .advice("give `initial_value`")
    }

    fn lost(&self, what: &str) -> Error {
        Error::new(Kind::Internal, format!("{what} lacks a value")).of(&self.name)
    }
}

/// A value as a text: what is no single value as JSON.
fn as_text(value: &Value) -> String {
    bind::scalar(value).unwrap_or_else(|| value.to_string())
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
        let context = a.extend(&Context::default(), &json!({"id": 7, "ok": true}), &|_| true).unwrap();
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
