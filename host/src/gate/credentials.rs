//! Takes the credentials out of a configuration, and puts them on requests.

use super::origin::Origin;
use super::redactor::Redactor;
use super::secrets::Secrets;
use super::slots::Slots;
use super::token_store::TokenStore;
use super::tokens::Tokens;
use super::{RESERVED, headers};
use crate::{Class, Error, Result};
use http::header::{COOKIE, HeaderName};
use http::{HeaderMap, HeaderValue};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use spile_connector::auth::{Auth, Placement, SecretText, Token, TokenSource};
use spile_connector::config::{auth_places, slot_places, spell_out_auth, validate_at};
use spile_connector::slot::stand_in;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// The `auth` objects of a configuration, which no connector sees. No secret was read yet.
#[derive(Debug, Default)]
pub struct Withheld {
    by_pointer: BTreeMap<String, Auth>,
    /// The secrets outside `auth`, each with the first place that names it.
    by_slot: BTreeMap<String, String>,
    /// What the path of a login is appended to.
    base_url: String,
}

impl Withheld {
    /// Takes the `auth` objects out of a source. Each is replaced by `{"type": "brokered", "credential": <its pointer>}`, with
    /// the name of the query parameter as `parameter` where the credential stands in one, by which the connector says which credential a request needs. An object that is not understood is an error: it is
    /// not handed on, because nobody knows what is in it.
    pub fn take(source: &mut Value) -> Result<Self> {
        let base_url = source.pointer("/client/base_url").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut by_pointer = BTreeMap::new();
        for pointer in auth_places(source) {
            match source.pointer_mut(&pointer) {
                None | Some(Value::Null) => {}
                Some(place) => {
                    spell_out_auth(place);
                    let auth = parse(place.take(), &pointer)?;
                    *place = match auth.parameter() {
                        Some(parameter) => {
                            json!({"type": "brokered", "credential": pointer, "parameter": parameter})
                        }
                        None => json!({"type": "brokered", "credential": pointer}),
                    };
                    by_pointer.insert(pointer, auth);
                }
            }
        }
        let mut by_slot = BTreeMap::new();
        for (pointer, name) in slot_places(source) {
            if let Some(place) = source.pointer_mut(&pointer) {
                *place = Value::String(stand_in(&name));
            }
            by_slot.entry(name).or_insert(pointer);
        }
        Ok(Self { by_pointer, by_slot, base_url })
    }

    /// JSON pointers of the `auth` objects.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        self.by_pointer.keys().map(String::as_str)
    }

    /// The slots that the source names, in `auth` objects and elsewhere.
    pub fn slots(&self) -> BTreeSet<String> {
        self.by_pointer.values().flat_map(Auth::slots).chain(self.by_slot.keys().cloned()).collect()
    }

    /// The origins that the host itself asks for tokens, by the pointer of the `auth` object. None where a secret holds the URL.
    pub fn token_origins(&self) -> Vec<(&str, Option<String>)> {
        let obtained = self.by_pointer.iter().filter(|(_, auth)| auth.token_url(&self.base_url).is_some());
        obtained.map(|(pointer, auth)| (pointer.as_str(), auth.token_origin(&self.base_url))).collect()
    }

    /// Reads the secrets. The credentials are bound to no origin yet.
    pub fn resolve(&self, secrets: &Secrets) -> Result<Credentials> {
        let mut values = BTreeMap::new();
        for (pointer, auth) in &self.by_pointer {
            for slot in auth.slots() {
                let value = secrets.value(&slot).map_err(|error| error.at(pointer))?;
                values.insert(slot, value);
            }
        }
        let mut elsewhere = Vec::new();
        for (slot, pointer) in &self.by_slot {
            let value = secrets.value(slot).map_err(|error| error.at(pointer))?;
            elsewhere.push((slot.clone(), value.clone()));
            values.insert(slot.clone(), value);
        }
        let redactor = Redactor::new(values.values().map(|value| value.as_str()));
        // First: an API that repeats one in a link is asked for that link with the stand-in, which the gate fills again.
        elsewhere.iter().for_each(|(slot, value)| redactor.hide_as(value, &stand_in(slot)));
        let mut by_pointer = BTreeMap::new();
        let mut opened: Vec<(&Auth, Arc<Tokens>)> = Vec::new();
        for (pointer, auth) in &self.by_pointer {
            let filled = auth
                .filled(|slot| values.get(slot).map(|value| value.to_string()))
                .map_err(|slot| Error::new(Class::Internal, format!("no value for the secret {slot}")))?;
            filled.secrets().into_iter().for_each(|secret| redactor.hide(secret));
            let kind = match opened.iter().find(|(other, _)| *other == auth) {
                // One token for all with the same `auth`: a refresh token that rotates is good for one of them only.
                Some((_, tokens)) => Kind::Obtained(tokens.clone()),
                None => kind(pointer, &filled, &self.base_url, &redactor)?,
            };
            if let Kind::Obtained(tokens) = &kind {
                opened.push((auth, tokens.clone()));
            }
            by_pointer.insert(pointer.clone(), Credential { kind, origins: BTreeSet::new() });
        }
        Ok(Credentials { by_pointer, slots: Slots::new(elsewhere), redactor })
    }
}

/// Reads an `auth` object. No message repeats a value: it may be a credential at the wrong place.
fn parse(mut value: Value, pointer: &str) -> Result<Auth> {
    if let Some(object) = value.as_object_mut() {
        object.entry("type").or_insert_with(|| json!("bearer"));
    }
    let schema = schemars::schema_for!(Auth).to_value();
    let defects = validate_at(&schema, &value, pointer).into_iter().map(|defect| {
        let mut error = Error::new(Class::Config, defect.message).at(defect.pointer.unwrap_or_default());
        error.advice = defect.advice.or_else(|| Some("a secret is written as {secret: NAME}".to_owned()));
        error
    });
    if let Some(error) = Error::all(defects) {
        return Err(error);
    }
    match serde_json::from_value(value) {
        Ok(Auth::Brokered { .. }) => Err(Error::new(Class::Config, "`auth` of the type `brokered` is the host's own")
            .at(pointer)
            .advice("write what signs the requests, such as {type: bearer, token: {secret: NAME}}")),
        Ok(auth) => Ok(auth),
        Err(_) => Err(Error::new(Class::Config, "`auth` does not have the form of its type").at(pointer)),
    }
}

/// How an `auth` object whose slots are filled signs requests.
fn kind(pointer: &str, auth: &Auth, base_url: &str, redactor: &Redactor) -> Result<Kind> {
    if let Some(placement) = auth.placement() {
        // The form in which it goes over the wire.
        let value = placement.parts().1;
        redactor.hide(value.strip_prefix("Basic ").or(value.strip_prefix("Bearer ")).unwrap_or(value));
        header(&placement).map_err(|error| error.at(pointer))?;
        return Ok(Kind::Fixed(placement));
    }
    let source = TokenSource::new(auth, base_url).map_err(|error| {
        let own = Error::new(Class::Config, error.message);
        Error { advice: error.advice, ..own.at(format!("{pointer}{}", error.pointer.unwrap_or_default())) }
    })?;
    let source = source.ok_or_else(|| Error::new(Class::Internal, "an `auth` that signs nothing").at(pointer))?;
    header(&source.placement(&Token::probe())).map_err(|error| error.at(pointer))?;
    let identity = match auth {
        Auth::Oauth2RefreshToken(config) => {
            let texts = [&config.access_token_url, &config.client_id, &config.refresh_token].map(SecretText::text);
            std::iter::once(pointer).chain(texts).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let tokens = Tokens::new(pointer, source, identity, redactor.clone()).map_err(|error| error.at(pointer))?;
    Ok(Kind::Obtained(Arc::new(tokens)))
}

/// How requests are signed.
enum Kind {
    /// With the same value always.
    Fixed(Placement),
    /// With a token that is obtained.
    Obtained(Arc<Tokens>),
}

pub(super) struct Credential {
    kind: Kind,
    origins: BTreeSet<Origin>,
}

impl Drop for Credential {
    fn drop(&mut self) {
        if let Kind::Fixed(placement) = &mut self.kind {
            placement.value_mut().zeroize();
        }
    }
}

impl Credential {
    /// Where its tokens come from, if they are obtained.
    pub fn tokens(&self) -> Option<&Arc<Tokens>> {
        match &self.kind {
            Kind::Obtained(tokens) => Some(tokens),
            Kind::Fixed(_) => None,
        }
    }

    /// Puts a credential that is not obtained on a request.
    pub fn put(&self, headers: &mut HeaderMap, query: &mut Option<String>) -> Result<()> {
        match &self.kind {
            Kind::Fixed(placement) => put(placement, headers, query),
            Kind::Obtained(_) => Ok(()),
        }
    }
}

/// The credentials of a source, and the origins that each may be sent to.
#[derive(Default)]
pub struct Credentials {
    by_pointer: BTreeMap<String, Credential>,
    slots: Slots,
    redactor: Redactor,
}

/// Shows where they are, not what they are.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.by_pointer.iter().map(|(pointer, credential)| (pointer, &credential.origins)))
            .finish()
    }
}

/// Why a request was not signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsigned {
    /// There is no credential at this pointer.
    Unknown,
    /// It may not be sent to this origin.
    Unbound,
}

impl Credentials {
    /// Lets the credential at this pointer, or the secret of this name, be sent to these origins, besides those it is bound to
    /// already. Fails where there is none.
    pub fn bind(&mut self, pointer: &str, origins: impl IntoIterator<Item = Origin>) -> Result<()> {
        if !pointer.starts_with('/') {
            let bound = self.slots.bind(pointer, origins);
            return if bound {
                Ok(())
            } else {
                Err(Error::new(Class::Internal, "no secret to bind").fact("secret", pointer))
            };
        }
        let credential = self
            .by_pointer
            .get_mut(pointer)
            .ok_or_else(|| Error::new(Class::Internal, "no credential to bind").at(pointer))?;
        credential.origins.extend(origins);
        Ok(())
    }

    /// JSON pointers of the `auth` objects they come from.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        self.by_pointer.keys().map(String::as_str)
    }

    /// The secrets outside `auth`.
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Takes these credentials out of texts.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Keeps refresh tokens that rotate in a store, for the pipeline of this name of a tenant; the program's own user has no
    /// name. Without a store they are good for this run only.
    pub fn keep_tokens(&self, tenant: &str, name: &str, store: &Arc<dyn TokenStore>) {
        for tokens in self.by_pointer.values().filter_map(Credential::tokens) {
            tokens.keep_in(tenant, name, store.clone());
        }
    }

    /// The credential at this pointer, for a request to this origin.
    pub(super) fn get(&self, pointer: &str, origin: &Origin) -> Result<&Credential, Unsigned> {
        let credential = self.by_pointer.get(pointer).ok_or(Unsigned::Unknown)?;
        if credential.origins.contains(origin) { Ok(credential) } else { Err(Unsigned::Unbound) }
    }
}

/// Puts a credential on a request. What the connector wrote in the same place is replaced.
pub(super) fn put(placement: &Placement, headers: &mut HeaderMap, query: &mut Option<String>) -> Result<()> {
    match (placement, header(placement)?) {
        (Placement::Cookie(name, _), Some((_, value))) => {
            let others = other_cookies(headers, name);
            let all = Zeroizing::new([others.as_slice(), value.as_bytes()].concat());
            if let Ok(mut all) = HeaderValue::from_bytes(&all) {
                all.set_sensitive(true);
                headers.insert(COOKIE, all);
            }
        }
        (_, Some((name, value))) => drop(headers.insert(name, value)),
        (_, None) => {
            let (name, value) = placement.parts();
            *query = Some(set_parameter(query.as_deref(), name, value));
        }
    }
    Ok(())
}

/// The header that carries a credential; `None` for a query parameter.
pub(super) fn header(placement: &Placement) -> Result<Option<(HeaderName, HeaderValue)>> {
    let (name, text) = match placement {
        Placement::Query(..) => return Ok(None),
        Placement::Header(name, value) => (name.as_str(), Zeroizing::new(value.clone())),
        Placement::Cookie(name, value) => (COOKIE.as_str(), Zeroizing::new(format!("{name}={value}"))),
    };
    let parsed =
        HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| !headers::is_forbidden_for_credentials(name));
    let Some(name) = parsed else {
        return Err(Error::new(Class::Config, format!("a credential cannot be sent as the header {name:?}"))
            .advice("give the header that the API asks for as `name`"));
    };
    let holds_separator = matches!(placement, Placement::Cookie(..)) && text.contains([';', ',']);
    match HeaderValue::from_str(&text) {
        Ok(mut value) if !holds_separator => {
            value.set_sensitive(true);
            Ok(Some((name, value)))
        }
        _ => Err(Error::new(Class::Auth, "the secret has a character that its header cannot hold")
            .advice("look for a line break or a character that is not ASCII in it")),
    }
}

/// The query with this parameter, in the place of those with the same name. The others stay as they are, to the byte.
fn set_parameter(query: Option<&str>, name: &str, value: &str) -> String {
    let has_name = |pair: &&str| {
        let written = pair.split('=').next().unwrap_or_default().replace('+', " ");
        percent_decode_str(&written).eq(name.bytes())
    };
    let mut query: String = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !has_name(pair))
        .flat_map(|pair| [pair, "&"])
        .collect();
    query.extend(utf8_percent_encode(name, RESERVED));
    query.push('=');
    query.extend(utf8_percent_encode(value, RESERVED));
    query
}

/// The request's cookies but the one of this name, each with the separator after it.
fn other_cookies(headers: &HeaderMap, name: &str) -> Vec<u8> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|cookie| {
            let written = cookie.split(|byte| *byte == b'=').next().unwrap_or_default();
            !cookie.is_empty() && written.trim_ascii() != name.as_bytes()
        })
        .flat_map(|cookie| [cookie, b"; "].concat())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.set("key", "s3cr3t value".to_owned());
        secrets
    }

    /// The headers and the query of a request to `http://a`, signed by this `auth`.
    fn signed(auth: Value, mut headers: HeaderMap, query: &str) -> (HeaderMap, String) {
        let mut source = json!({"client": {"auth": auth}});
        let mut credentials = Withheld::take(&mut source).unwrap().resolve(&secrets()).unwrap();
        let origin: Origin = "http://a".parse().unwrap();
        credentials.bind("/client/auth", [origin.clone()]).unwrap();
        let mut query = Some(query.to_owned());
        credentials.get("/client/auth", &origin).unwrap().put(&mut headers, &mut query).unwrap();
        (headers, query.unwrap())
    }

    #[test]
    fn auth_is_taken_out_wherever_it_stands() {
        let mut source = json!({
            "client": {"base_url": "https://a", "auth": {"token": {"secret": "key"}}},
            "resource_defaults": {"endpoint": {"auth": {"type": "http_basic", "username": "u", "password": "literal-pw"}}},
            "resources": [
                "name only",
                {"name": "one", "endpoint": "path"},
                {"name": "two", "endpoint": {"auth": {"type": "api_key", "api_key": "literal-key"}}},
                {"name": "three", "endpoint": {"auth": null}},
            ],
        });
        let withheld = Withheld::take(&mut source).unwrap();
        let left = source.to_string();
        assert!(!left.contains("literal") && !left.contains("secret"), "{left}");
        let pointers = ["/client/auth", "/resource_defaults/endpoint/auth", "/resources/2/endpoint/auth"];
        assert_eq!(withheld.pointers().collect::<Vec<_>>(), pointers);
        for pointer in pointers {
            assert_eq!(source.pointer(pointer).unwrap(), &json!({"type": "brokered", "credential": pointer}));
        }
        assert_eq!(source.pointer("/resources/3/endpoint/auth"), Some(&Value::Null));
        assert_eq!(withheld.slots().into_iter().collect::<Vec<_>>(), ["key"]);

        let credentials = withheld.resolve(&secrets()).unwrap();
        let text = "s3cr3t value, literal-pw, literal-key, dTpsaXRlcmFsLXB3";
        assert_eq!(credentials.redactor().redact(text), "***, ***, ***, ***");
        assert!(!format!("{withheld:?} {credentials:?}").contains("literal"));
    }

    #[test]
    fn the_connector_is_told_which_parameter_a_link_must_not_repeat() {
        let auth = json!({"type": "api_key", "api_key": "literal", "name": "k", "location": "query"});
        let mut source = json!({"client": {"base_url": "https://a", "auth": auth}});
        Withheld::take(&mut source).unwrap();
        let brokered = json!({"type": "brokered", "credential": "/client/auth", "parameter": "k"});
        assert_eq!(source.pointer("/client/auth"), Some(&brokered));
    }

    #[test]
    fn what_is_not_understood_is_neither_handed_on_nor_repeated() {
        for (auth, at, advice) in [
            (json!("hunter2"), "/type", "a secret is written as {secret: NAME}"),
            (json!(["hunter2"]), "", "a secret is written as {secret: NAME}"),
            (json!({"type": "bearer", "tocken": "hunter2"}), "/tocken", "did you mean `token`?"),
            (json!({"type": "bearer", "token": ["hunter2"]}), "/token", "a secret is written as {secret: NAME}"),
            (json!({"type": "http_basic", "username": "u", "password": 3117}), "/password", "a secret is written as"),
            (json!({"type": "hunter2"}), "/type", "a secret is written as {secret: NAME}"),
            (json!({"type": "http_basik", "token": "hunter2"}), "/type", "did you mean `http_basic`?"),
            (json!({"type": 7, "token": "hunter2"}), "/type", "a secret is written as {secret: NAME}"),
            (
                json!({"type": "oauth2_client_credentials", "secret": "hunter2"}),
                "/secret",
                "did you mean `client_secret`?",
            ),
            (json!({"type": "brokered", "credential": "/client/auth"}), "", "write what signs the requests"),
            (json!({"type": "api_key", "api_key": "k", "location": "hunter2"}), "/location", "a secret is written as"),
            (json!({"type": "api_key", "api_key": "k", "location": "haeder"}), "/location", "did you mean `header`?"),
            (json!({"type": "session_token", "login": {"pth": "hunter2"}}), "/login/pth", "did you mean `path`?"),
        ] {
            let mut source = json!({"client": {"auth": auth}});
            let error = Withheld::take(&mut source).unwrap_err();
            let pointer = format!("/client/auth{at}");
            assert_eq!((error.class, error.pointer.as_deref()), (Class::Config, Some(pointer.as_str())), "{error:?}");
            let advised = error.advice.as_ref().unwrap();
            assert!(advised.starts_with(advice), "{advised}");
            let all = format!("{error:?} {source}");
            assert!(!all.contains("hunter2") && !all.contains("3117"), "{all}");
        }
    }

    #[test]
    fn a_token_source_that_cannot_be_is_told_at_its_place() {
        let oauth = |url: &str| json!({"type": "oauth2_client_credentials", "access_token_url": url, "client_id": "a", "client_secret": "b"});
        let jwt = json!({"type": "jwt_bearer", "client_id": "a", "private_key": {"secret": "key"}, "auth_endpoint": "http://a"});
        let session = |more: Value| {
            let mut auth = json!({"type": "session_token", "login": {"url": "http://a"}});
            auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            auth
        };
        for (auth, at) in [
            (oauth("nowhere"), "/access_token_url"),
            (oauth("http://me:hunter2@a"), ""),
            (jwt, "/private_key"),
            (session(json!({"name": "Host"})), ""),
            (session(json!({"token_path": "["})), "/token_path"),
        ] {
            let mut source = json!({"client": {"auth": auth}});
            let error = Withheld::take(&mut source).unwrap().resolve(&secrets()).unwrap_err();
            let pointer = format!("/client/auth{at}");
            assert_eq!((error.class, error.pointer.as_deref()), (Class::Config, Some(pointer.as_str())), "{error:?}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn equal_auth_objects_have_one_token() {
        let auth = json!({"type": "oauth2_refresh_token", "access_token_url": "http://a", "client_id": "a",
            "refresh_token": {"secret": "key"}});
        let mut other = auth.clone();
        other["scopes"] = json!("more");
        let endpoint = |auth: &Value| json!({"name": "r", "endpoint": {"auth": auth}});
        let mut source = json!({"client": {"auth": auth}, "resources": [endpoint(&auth), endpoint(&other)]});
        let credentials = Withheld::take(&mut source).unwrap().resolve(&secrets()).unwrap();
        let tokens = |pointer: &str| credentials.by_pointer[pointer].tokens().unwrap();
        assert!(Arc::ptr_eq(tokens("/client/auth"), tokens("/resources/0/endpoint/auth")));
        assert!(!Arc::ptr_eq(tokens("/client/auth"), tokens("/resources/1/endpoint/auth")));
    }

    #[test]
    fn a_missing_secret_is_told_with_its_place() {
        let mut source = json!({"client": {"auth": {"token": {"secret": "absent"}}}});
        let error = Withheld::take(&mut source).unwrap().resolve(&secrets()).unwrap_err();
        assert_eq!((error.class, error.pointer.as_deref()), (Class::Auth, Some("/client/auth")));
    }

    #[test]
    fn a_credential_that_a_header_cannot_hold_is_refused_before_any_request() {
        for (auth, class) in [
            (json!({"token": "line\nbreak"}), Class::Auth),
            (json!({"type": "api_key", "api_key": "k", "name": "bad name"}), Class::Config),
            (json!({"type": "api_key", "api_key": "k", "name": "Host"}), Class::Config),
            (json!({"type": "api_key", "api_key": "k", "name": "Content-Length"}), Class::Config),
            (json!({"type": "api_key", "api_key": "a; b=c", "name": "n", "location": "cookie"}), Class::Auth),
        ] {
            let mut source = json!({"client": {"auth": auth}});
            let error = Withheld::take(&mut source).unwrap().resolve(&secrets()).unwrap_err();
            assert_eq!(error.class, class, "{error}");
        }
    }

    #[test]
    fn a_credential_replaces_what_the_connector_wrote_in_its_place() {
        let mut headers = HeaderMap::new();
        headers.append("authorization", HeaderValue::from_static("mine"));
        headers.append("authorization", HeaderValue::from_static("mine too"));
        let (headers, query) = signed(json!({"token": {"secret": "key"}}), headers, "a=1");
        assert_eq!(headers.get_all("authorization").iter().collect::<Vec<_>>(), ["Bearer s3cr3t value"]);
        assert!(headers["authorization"].is_sensitive());
        assert_eq!(query, "a=1");

        let auth = json!({"type": "api_key", "api_key": {"secret": "key"}, "name": "api key", "location": "query"});
        let (headers, query) = signed(auth, HeaderMap::new(), "a=%5B+x&api%20key=mine&b&api+key=mine&c[]=d");
        assert!(headers.is_empty());
        assert_eq!(query, "a=%5B+x&b&c[]=d&api%20key=s3cr3t%20value");

        let mut headers = HeaderMap::new();
        headers.append("cookie", HeaderValue::from_static("a=1; sid=mine"));
        headers.append("cookie", HeaderValue::from_static("b=2"));
        let auth = json!({"type": "api_key", "api_key": {"secret": "key"}, "name": "sid", "location": "cookie"});
        let (headers, _) = signed(auth, headers, "");
        assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; sid=s3cr3t value"]);
    }

    #[test]
    fn a_credential_goes_nowhere_that_it_is_not_bound_to() {
        let mut source = json!({"client": {"auth": {"token": "literal"}}});
        let mut credentials = Withheld::take(&mut source).unwrap().resolve(&secrets()).unwrap();
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        let sign =
            |credentials: &Credentials, pointer: &str, to: &str| credentials.get(pointer, &origin(to)).map(|_| ());
        assert_eq!(sign(&credentials, "/client/auth", "http://a"), Err(Unsigned::Unbound));
        credentials.bind("/client/auth", [origin("http://a")]).unwrap();
        for other in ["https://a", "http://a:81", "http://b", "http://a.b"] {
            assert_eq!(sign(&credentials, "/client/auth", other), Err(Unsigned::Unbound), "{other}");
        }
        assert_eq!(sign(&credentials, "/other", "http://a"), Err(Unsigned::Unknown));
        assert_eq!(sign(&credentials, "/client/auth", "http://a:80"), Ok(()));
        assert!(credentials.bind("/other", []).is_err());
    }
}
