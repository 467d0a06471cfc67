//! Takes the credentials out of a configuration, and puts them on requests.

use super::headers;
use super::origin::Origin;
use super::redactor::Redactor;
use super::secrets::Secrets;
use super::slots::Slots;
use crate::{Class, Error, Result};
use http::header::{COOKIE, HeaderName};
use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use spile_connector::auth::{Auth, Placement, SecretText};
use spile_connector::config::{auth_places, slot_places, spell_out_auth};
use spile_connector::slot::stand_in;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The `auth` objects of a configuration, which no connector sees. No secret was read yet.
#[derive(Debug, Default)]
pub struct Withheld {
    by_pointer: BTreeMap<String, Auth>,
    /// The secrets outside `auth`, each with the first place that names it.
    by_slot: BTreeMap<String, String>,
}

impl Withheld {
    /// Takes the `auth` objects out of a source. Each is replaced by `{"type": "brokered", "credential": <its pointer>}`,
    /// by which the connector says which credential a request needs. An object that is not understood is an error: it is
    /// not handed on, because nobody knows what is in it.
    pub fn take(source: &mut Value) -> Result<Self> {
        let mut by_pointer = BTreeMap::new();
        for pointer in auth_places(source) {
            match source.pointer_mut(&pointer) {
                None | Some(Value::Null) => {}
                Some(place) => {
                    spell_out_auth(place);
                    let brokered = json!({"type": "brokered", "credential": pointer});
                    let auth = parse(std::mem::replace(place, brokered)).map_err(|error| error.at(&pointer))?;
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
        Ok(Self { by_pointer, by_slot })
    }

    /// JSON pointers of the `auth` objects.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        self.by_pointer.keys().map(String::as_str)
    }

    /// The slots that the source names, in `auth` objects and elsewhere.
    pub fn slots(&self) -> BTreeSet<&str> {
        let elsewhere = self.by_slot.keys().map(String::as_str);
        self.by_pointer.values().flat_map(Auth::slots).chain(elsewhere).collect()
    }

    /// Reads the secrets. The credentials are bound to no origin yet.
    pub fn resolve(&self, secrets: &Secrets) -> Result<Credentials> {
        let mut values = BTreeMap::new();
        for (pointer, auth) in &self.by_pointer {
            for slot in auth.slots() {
                values.insert(slot, secrets.value(slot).map_err(|error| error.at(pointer))?);
            }
        }
        let mut elsewhere = Vec::new();
        for (slot, pointer) in &self.by_slot {
            let value = secrets.value(slot).map_err(|error| error.at(pointer))?;
            elsewhere.push((slot.clone(), value.clone()));
            values.insert(slot, value);
        }
        let mut by_pointer = BTreeMap::new();
        let mut hidden: Vec<Zeroizing<String>> = values.values().cloned().collect();
        for (pointer, auth) in &self.by_pointer {
            let placement = auth
                .placement(|slot| values.get(slot).map(|value| value.to_string()))
                .map_err(|slot| Error::new(Class::Internal, format!("no value for the secret {slot}")))?;
            let credential = Credential { placement, origins: BTreeSet::new() };
            credential.header().map_err(|error| error.at(pointer))?;
            hidden.extend(secret_texts(auth, &credential.placement));
            by_pointer.insert(pointer.clone(), credential);
        }
        let slots = Slots::new(elsewhere);
        Ok(Credentials { by_pointer, slots, redactor: Redactor::new(hidden.iter().map(|secret| secret.as_str())) })
    }
}

/// Reads an `auth` object. The parser's own message is not shown, because it may repeat the credential.
fn parse(mut value: Value) -> Result<Auth> {
    let refuse = |message: &str, forms: &str| {
        let advice = format!("write {forms}, where a secret is {{secret: NAME}}");
        Err(Error::new(Class::Config, message).advice(advice))
    };
    let Some(object) = value.as_object_mut() else { return refuse("`auth` must be an object", &FORMS.join(" or ")) };
    let named = object.entry("type").or_insert_with(|| json!("bearer")).as_str();
    let [bearer, http_basic, api_key] = FORMS;
    let form = match named {
        Some("bearer") => bearer,
        Some("http_basic") => http_basic,
        Some("api_key") => api_key,
        _ => return refuse("unknown type of `auth`", &FORMS.join(" or ")),
    };
    // serde would take a list for a slot.
    let has_list = object.values().any(Value::is_array);
    match serde_json::from_value(value) {
        Ok(auth) if !has_list => Ok(auth),
        _ => refuse("`auth` does not have the form of its type", form),
    }
}

/// The forms of an `auth` object.
const FORMS: [&str; 3] =
    ["{type: bearer, token}", "{type: http_basic, username, password}", "{type: api_key, api_key, name, location}"];

/// What nobody may see of a credential: besides the values of slots, the texts that stand in the configuration itself, and
/// the forms in which they go over the wire.
fn secret_texts(auth: &Auth, placement: &Placement) -> Vec<Zeroizing<String>> {
    let literal = match auth {
        Auth::Bearer { token: SecretText::Text(text) }
        | Auth::HttpBasic { password: SecretText::Text(text), .. }
        | Auth::ApiKey { api_key: SecretText::Text(text), .. } => Some(text.clone()),
        _ => None,
    };
    let (Placement::Header(_, value) | Placement::Query(_, value) | Placement::Cookie(_, value)) = placement;
    let sent = value.strip_prefix("Basic ").or(value.strip_prefix("Bearer ")).unwrap_or(value);
    literal.into_iter().chain([sent.to_owned()]).map(Zeroizing::new).collect()
}

struct Credential {
    placement: Placement,
    origins: BTreeSet<Origin>,
}

impl Drop for Credential {
    fn drop(&mut self) {
        let (Placement::Header(_, value) | Placement::Query(_, value) | Placement::Cookie(_, value)) =
            &mut self.placement;
        value.zeroize();
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

    /// Puts a credential on a request. What the connector wrote in the same place is replaced.
    pub(super) fn sign(
        &self,
        pointer: &str,
        origin: &Origin,
        headers: &mut HeaderMap,
        query: &mut Option<String>,
    ) -> Result<(), Unsigned> {
        let credential = self.by_pointer.get(pointer).ok_or(Unsigned::Unknown)?;
        if !credential.origins.contains(origin) {
            return Err(Unsigned::Unbound);
        }
        match &credential.placement {
            Placement::Query(name, value) => *query = Some(set_parameter(query.as_deref(), name, value)),
            Placement::Header(..) => {
                if let Ok(Some((name, value))) = credential.header() {
                    headers.insert(name, value);
                }
            }
            Placement::Cookie(name, _) => {
                let others = other_cookies(headers, name);
                if let Ok(Some((_, value))) = credential.header() {
                    let all = [others.as_slice(), value.as_bytes()].concat();
                    if let Ok(mut all) = HeaderValue::from_bytes(&all) {
                        all.set_sensitive(true);
                        headers.insert(COOKIE, all);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Credential {
    /// The header that carries it; `None` for a query parameter. It can fail only before the first request, when
    /// `Withheld::resolve` tries it.
    fn header(&self) -> Result<Option<(HeaderName, HeaderValue)>> {
        let (name, text) = match &self.placement {
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
        let holds_separator = matches!(self.placement, Placement::Cookie(..)) && text.contains([';', ',']);
        match HeaderValue::from_str(&text) {
            Ok(mut value) if !holds_separator => {
                value.set_sensitive(true);
                Ok(Some((name, value)))
            }
            _ => Err(Error::new(Class::Auth, "the secret has a character that its header cannot hold")
                .advice("look for a line break or a character that is not ASCII in it")),
        }
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
        credentials.sign("/client/auth", &origin, &mut headers, &mut query).unwrap();
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
    fn what_is_not_understood_is_neither_handed_on_nor_repeated() {
        for auth in [
            json!("hunter2"),
            json!(["hunter2"]),
            json!({"type": "bearer", "tocken": "hunter2"}),
            json!({"type": "bearer", "token": ["hunter2"]}),
            json!({"type": "hunter2"}),
            json!({"type": 7, "token": "hunter2"}),
            json!({"type": "oauth2_client_credentials", "client_secret": "hunter2"}),
            json!({"type": "brokered", "credential": "/client/auth"}),
            json!({"type": "api_key", "api_key": "k", "location": "hunter2"}),
        ] {
            let mut source = json!({"client": {"auth": auth}});
            let error = Withheld::take(&mut source).unwrap_err();
            assert_eq!((error.class, error.pointer.as_deref()), (Class::Config, Some("/client/auth")));
            assert!(error.advice.is_some());
            assert!(!format!("{error:?} {source}").contains("hunter2"), "{error:?}");
        }
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
        let (mut headers, mut query) = (HeaderMap::new(), None);
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        let mut sign = |credentials: &Credentials, pointer: &str, to: &str| {
            credentials.sign(pointer, &origin(to), &mut headers, &mut query)
        };
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
