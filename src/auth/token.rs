//! Obtaining tokens, without any input or output: which request asks for one, what the response means, and how long the token
//! is good for. The gate runs it for a host, the engine where no host signs.

use super::key::PrivateKey;
use super::model::{ClientAuth, ClientCredentials, JwtBearer, Login, RefreshToken, SessionToken};
use super::{Auth, KeyLocation, Placement, RequestData, SecretText, authorization};
use crate::config::model::OneOrMany;
use crate::engine::transport::Failure;
use crate::error::{Error, Kind, Result};
use crate::request::{Method, Request, Response, Timeouts, USER_AGENT, encode_segment, redacted};
use crate::retry::{Retry, Verdict};
use crate::select::Selector;
use crate::shape::timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::Url;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

/// The longest that a token is renewed before it ends, in milliseconds; of a short-lived one, a tenth of its time.
const MARGIN: u64 = 60_000;

/// How long an assertion is good for, in seconds (reference, section 3).
const ASSERTION_LIFETIME: u64 = 3600;

/// The most characters that an error shows of what a server says.
const LONGEST_REASON: usize = 200;

/// A token.
#[derive(Clone)]
pub struct Token {
    /// The token itself.
    pub value: Zeroizing<String>,
    /// The instant from which it is not used any more, in milliseconds since 1970; none for one that is good until it is refused.
    fresh_until: Option<u64>,
}

impl Token {
    /// One that is good for so many seconds from `now` on. It is taken to be good for a second at least, so that a server which
    /// says otherwise is not asked without end.
    fn new(value: String, seconds: Option<u64>, now: u64) -> Self {
        let fresh_until = seconds.map(|seconds| {
            let lifetime = seconds.max(1).saturating_mul(1000);
            now.saturating_add(lifetime - MARGIN.min(lifetime / 10))
        });
        Self { value: Zeroizing::new(value), fresh_until }
    }

    /// One that is none, to try where a token would go.
    pub fn probe() -> Self {
        Self { value: Zeroizing::new("token".to_owned()), fresh_until: None }
    }

    /// Whether it can still be used.
    pub fn is_fresh(&self, now: u64) -> bool {
        self.fresh_until.is_none_or(|until| now < until)
    }
}

/// What comes of a request for a token.
pub enum Outcome {
    /// The token.
    Token(Token),
    /// Ask again after so many milliseconds; and why.
    Again(u64, Error),
    /// There is none to be had.
    Failed(Error),
}

/// Where tokens come from, and where they go.
pub struct TokenSource {
    ask: Ask,
    /// Seconds that a token is good for, where the response does not say.
    lifetime: Option<u64>,
    place: Place,
    /// A token to begin with.
    first: Option<Zeroizing<String>>,
    /// What no error may show.
    secrets: Vec<Zeroizing<String>>,
    retry: Retry,
}

/// How a token is asked for.
enum Ask {
    /// By the form of an OAuth 2 grant.
    Grant { url: Url, client: Option<Client>, fields: Vec<(String, String)>, refresh_token: Option<Zeroizing<String>> },
    /// By an assertion.
    Assertion { url: Url, key: PrivateKey, claims: Value, headers: Vec<(String, String)> },
    /// By a login.
    Login { request: Request, token: Found, expires: Option<Selector> },
}

/// A client's id and secret in a header.
struct Client {
    id: String,
    secret: Zeroizing<String>,
}

/// Where a response has the token.
enum Found {
    Body(String, Selector),
    Header(String),
}

/// Where a request has it.
struct Place {
    location: KeyLocation,
    name: String,
    prefix: String,
}

impl Place {
    fn bearer() -> Self {
        Self { location: KeyLocation::Header, name: authorization(), prefix: "Bearer ".to_owned() }
    }
}

impl TokenSource {
    /// The token source of an `auth` object whose slots are filled. None where it holds its credential itself. The pointer of an
    /// error is relative to the object.
    pub fn new(auth: &Auth, base_url: &str) -> Result<Option<Self>> {
        let (ask, lifetime, place, first) = match auth {
            Auth::Oauth2ClientCredentials(config) => {
                let first = config.access_token.as_ref();
                (client_credentials(config)?, Some(config.default_token_expiration), Place::bearer(), first)
            }
            Auth::Oauth2RefreshToken(config) => {
                let first = config.access_token.as_ref();
                (refresh_token(config)?, Some(config.default_token_expiration), Place::bearer(), first)
            }
            Auth::JwtBearer(config) => {
                (assertion(config)?, Some(config.default_token_expiration), Place::bearer(), None)
            }
            Auth::SessionToken(config) => (login(config, base_url)?, config.expires_in, place(config)?, None),
            Auth::Bearer { .. } | Auth::HttpBasic { .. } | Auth::ApiKey { .. } | Auth::Brokered { .. } => {
                return Ok(None);
            }
        };
        let source = Self {
            ask,
            lifetime,
            place,
            first: first.map(|text| Zeroizing::new(text.text().to_owned())),
            secrets: auth.secrets().into_iter().map(|text| Zeroizing::new(text.to_owned())).collect(),
            retry: Retry::default(),
        };
        if source.url().scheme() == "http" && base_url.starts_with("https://") {
            let message = "the token would be asked for without encryption, though the API has it";
            return Err(Error::config("", message).advice("write https:// in the URL that gives tokens"));
        }
        Ok(Some(source))
    }

    /// The URL that gives tokens.
    pub fn url(&self) -> &Url {
        match &self.ask {
            Ask::Grant { url, .. } | Ask::Assertion { url, .. } => url,
            Ask::Login { request, .. } => &request.url,
        }
    }

    /// The token to begin with, if one is given. How long it is good for is not known, so it is used until it is refused.
    pub fn first(&self) -> Option<Token> {
        self.first.as_ref().map(|value| Token { value: value.clone(), fresh_until: None })
    }

    /// The refresh token that is used next, if there is one.
    pub fn refresh_token(&self) -> Option<&str> {
        match &self.ask {
            Ask::Grant { refresh_token, .. } => refresh_token.as_ref().map(|token| token.as_str()),
            _ => None,
        }
    }

    /// Takes another refresh token, such as one that was kept since an earlier run.
    pub fn set_refresh_token(&mut self, token: Zeroizing<String>) {
        if let Ask::Grant { refresh_token: Some(own), .. } = &mut self.ask {
            self.secrets.push(token.clone());
            *own = token;
        }
    }

    /// The request for a token. `now` is in milliseconds since 1970.
    pub fn request(&self, now: u64) -> Result<Request> {
        match &self.ask {
            Ask::Grant { url, client, fields, refresh_token } => {
                let mut fields = fields.clone();
                if let Some(token) = refresh_token {
                    let token = (REFRESH_TOKEN.to_owned(), token.to_string());
                    match fields.iter_mut().find(|(name, _)| name == REFRESH_TOKEN) {
                        Some(field) => *field = token,
                        None => fields.push(token),
                    }
                }
                let mut headers = Vec::new();
                if let Some(Client { id, secret }) = client {
                    // Encoded before they are joined (RFC 6749, section 2.3.1).
                    let pair = Zeroizing::new(format!("{}:{}", encode_segment(id), encode_segment(secret)));
                    headers.push(("authorization".to_owned(), format!("Basic {}", STANDARD.encode(pair.as_bytes()))));
                }
                Ok(form(url, headers, &fields))
            }
            Ask::Assertion { url, key, claims, headers } => {
                let mut claims = claims.clone();
                if let Value::Object(claims) = &mut claims {
                    claims.insert("iat".to_owned(), json!(now / 1000));
                    claims.insert("exp".to_owned(), json!(now / 1000 + ASSERTION_LIFETIME));
                }
                let assertion = key.assertion(&claims).ok_or_else(|| {
                    Error::new(Kind::Auth, "the private key cannot sign: it is too short, or damaged")
                })?;
                let fields = [
                    ("grant_type".to_owned(), "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()),
                    ("assertion".to_owned(), assertion),
                ];
                Ok(form(url, headers.clone(), &fields))
            }
            Ask::Login { request, .. } => Ok(request.clone()),
        }
    }

    /// What the outcome of attempt number `attempt` (from 1) at such a request means. A token's time is counted from when it was
    /// asked for, since the response may have waited to be looked at.
    pub fn outcome(&mut self, attempt: u32, outcome: Result<Response, Failure>, asked: u64, now: u64) -> Outcome {
        let error = match &outcome {
            Ok(response) if (200..300).contains(&response.status) => {
                return match self.accept(response, asked) {
                    Ok(token) => Outcome::Token(token),
                    Err(error) => Outcome::Failed(self.placed(error, Some(response.status), attempt)),
                };
            }
            Ok(response) => self.refused(response),
            Err(Failure::Denied(why) | Failure::Redirect(why)) => {
                Error::new(Kind::Permission, format!("the request for a token was denied: {why}"))
            }
            Err(Failure::TooLarge(why)) => {
                Error::new(Kind::Limit, format!("the response with the token is too large: {why}"))
            }
            Err(Failure::Network(why)) => Error::new(Kind::Transient, format!("the request for a token failed: {why}")),
        };
        let response = outcome.ok();
        let status = response.as_ref().map(|response| response.status);
        let is_passing = status.map_or(error.kind == Kind::Transient, |status| self.retry.covers(status));
        let error = self.placed(error, status, attempt);
        if !is_passing {
            return Outcome::Failed(error);
        }
        match self.retry.after(attempt, response.as_ref(), now, 1.0) {
            Verdict::After(wait) => Outcome::Again(wait, error),
            Verdict::GiveUp(retry_after) => Outcome::Failed(Error { retry_after, ..error }),
        }
    }

    /// Where a token goes in a request.
    pub fn placement(&self, token: &Token) -> Placement {
        let Place { location, name, prefix } = &self.place;
        Placement::new(*location, name.clone(), format!("{prefix}{}", token.value.as_str()))
    }

    /// Takes the token out of a response.
    fn accept(&mut self, response: &Response, asked: u64) -> Result<Token> {
        let body = match &self.ask {
            Ask::Login { token: Found::Header(_), expires: None, .. } => Value::Null,
            _ => serde_json::from_slice(&response.body)
                .map_err(|_| Error::new(Kind::Auth, "the response to the request for a token is not valid JSON"))?,
        };
        let (value, seconds) = match &mut self.ask {
            Ask::Grant { refresh_token, .. } => {
                let value = access_token(&body)?;
                if let (Some(own), Some(new)) = (refresh_token, body.get(REFRESH_TOKEN).and_then(Value::as_str))
                    && !new.is_empty()
                    && new != own.as_str()
                {
                    *own = Zeroizing::new(new.to_owned());
                    self.secrets.push(own.clone());
                }
                (value, body.get("expires_in").and_then(seconds))
            }
            Ask::Assertion { .. } => (access_token(&body)?, body.get("expires_in").and_then(seconds)),
            Ask::Login { token, expires, .. } => {
                let (value, place) = match token {
                    Found::Body(path, selector) => (selector.first(&body).and_then(text), format!("at `{path}`")),
                    Found::Header(name) => {
                        (response.header(name).map(str::to_owned), format!("in the header `{name}`"))
                    }
                };
                let value = value.filter(|value| !value.is_empty()).ok_or_else(|| {
                    let message = format!("the response to the login has no token {place}");
                    explained(
                        Error::new(Kind::Auth, message).advice("say where it is with `token_path` or `token_header`"),
                        &body,
                    )
                })?;
                let expires = expires.as_ref().and_then(|expires| expires.first(&body));
                (value, expires.and_then(|expires| seconds(expires).or_else(|| until(expires, asked))))
            }
        };
        Ok(Token::new(value, seconds.or(self.lifetime), asked))
    }

    /// The error of a response that is no success.
    fn refused(&self, response: &Response) -> Error {
        let what = match &self.ask {
            Ask::Login { .. } => "the login",
            _ => "the request for a token",
        };
        let message = format!("{what} was answered with status {}", response.status);
        let kind = match response.status {
            429 => Kind::RateLimited,
            500..=599 => Kind::Transient,
            _ => Kind::Auth,
        };
        let body = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        let error = explained(Error::new(kind, message), &body);
        match (kind, &self.ask) {
            (Kind::Auth, Ask::Grant { refresh_token: Some(_), .. }) => error
                .advice("check the client and the URL; a refresh token that was used or withdrawn must be given anew"),
            (Kind::Auth, _) => error.advice("check the credentials, and the URL that gives tokens"),
            _ => error,
        }
    }

    /// An error with the place of the request, and without what nobody may see.
    fn placed(&self, error: Error, status: Option<u16>, attempts: u32) -> Error {
        let message = self.hide(error.message);
        let url = Some(self.hide(redacted(self.url())));
        Error { message, url, status, attempts: Some(attempts), ..error }
    }

    fn hide(&self, text: String) -> String {
        let shown = |text: String, secret: &Zeroizing<String>| match secret.is_empty() {
            true => text,
            false => text.replace(secret.as_str(), "***"),
        };
        self.secrets.iter().fold(text, shown)
    }
}

const REFRESH_TOKEN: &str = "refresh_token";

fn client_credentials(config: &ClientCredentials) -> Result<Ask> {
    let ClientCredentials { client_id, client_secret, client_auth, .. } = config;
    let url = url(&config.access_token_url, "/access_token_url")?;
    let (client, mut fields) = client(client_id, Some(client_secret), *client_auth);
    fields.push(("grant_type".to_owned(), "client_credentials".to_owned()));
    scope(&mut fields, config.scopes.as_ref());
    extend(&mut fields, &config.access_token_request_data, "/access_token_request_data")?;
    Ok(Ask::Grant { url, client, fields, refresh_token: None })
}

fn refresh_token(config: &RefreshToken) -> Result<Ask> {
    let RefreshToken { client_id, client_secret, client_auth, .. } = config;
    let url = url(&config.access_token_url, "/access_token_url")?;
    let (client, mut fields) = client(client_id, client_secret.as_ref(), *client_auth);
    fields.push(("grant_type".to_owned(), REFRESH_TOKEN.to_owned()));
    fields.push((REFRESH_TOKEN.to_owned(), String::new()));
    scope(&mut fields, config.scopes.as_ref());
    extend(&mut fields, &config.access_token_request_data, "/access_token_request_data")?;
    let refresh_token = Some(Zeroizing::new(config.refresh_token.text().to_owned()));
    Ok(Ask::Grant { url, client, fields, refresh_token })
}

fn assertion(config: &JwtBearer) -> Result<Ask> {
    let url = url(&config.auth_endpoint, "/auth_endpoint")?;
    let passphrase = config.private_key_passphrase.as_ref().map(SecretText::text);
    let key = PrivateKey::parse(config.private_key.text(), passphrase)
        .map_err(|message| Error::config("/private_key", message))?;
    if let Some(algorithm) = config.algorithm.filter(|algorithm| *algorithm != key.algorithm()) {
        let message = format!("the private key does not sign by {algorithm:?}, but by {:?}", key.algorithm());
        return Err(Error::config("/algorithm", message));
    }
    let client = config.client_id.text();
    let or = |text: &Option<SecretText>, other: &str| text.as_ref().map_or(other, SecretText::text).to_owned();
    let mut claims = json!({
        "iss": client,
        "sub": or(&config.subject, client),
        "aud": or(&config.audience, config.auth_endpoint.text()),
    });
    if let (Some(scopes), Value::Object(claims)) = (&config.scopes, &mut claims) {
        claims.insert("scope".to_owned(), scopes.as_slice().join(" ").into());
    }
    Ok(Ask::Assertion { url, key, claims, headers: lower_case(&config.headers) })
}

fn login(config: &SessionToken, base_url: &str) -> Result<Ask> {
    let Login { method, json, data, .. } = &config.login;
    let url = match (&config.login.url, &config.login.path) {
        (Some(text), None) => url(text, "/login/url")?,
        (None, Some(path)) => parse_url(&joined(base_url, path), "/login/path")?,
        (Some(_), Some(_)) => return Err(Error::config("/login", "either `url` or `path` is given, not both")),
        (None, None) => {
            return Err(Error::config("/login", "the key `url` is missing")
                .advice("or `path`, which is appended to the client's `base_url`"));
        }
    };
    let headers = lower_case(&config.login.headers);
    let mut request = match (json, data) {
        (Some(_), Some(_)) => return Err(Error::config("/login", "either `json` or `data` is given, not both")),
        (Some(json), None) => {
            let body = Value::Object(json.0.clone()).to_string().into_bytes();
            self::request(&url, headers, Some(("application/json", body)))
        }
        (None, Some(data)) => {
            let mut fields = Vec::new();
            extend(&mut fields, data, "/login/data")?;
            form(&url, headers, &fields)
        }
        (None, None) => self::request(&url, headers, None),
    };
    request.method = *method;
    let token = match (&config.token_path, &config.token_header) {
        (Some(_), Some(_)) => {
            return Err(Error::config("", "either `token_path` or `token_header` is given, not both"));
        }
        (_, Some(name)) => Found::Header(name.to_lowercase()),
        (path, None) => {
            let path = path.as_deref().unwrap_or("token");
            Found::Body(path.to_owned(), Selector::parse(path, "/token_path")?)
        }
    };
    let expires = config.expires_path.as_deref().map(|path| Selector::parse(path, "/expires_path")).transpose()?;
    Ok(Ask::Login { request, token, expires })
}

fn place(config: &SessionToken) -> Result<Place> {
    let SessionToken { name, location, prefix, .. } = config;
    let is_default = *location == KeyLocation::Header && name.eq_ignore_ascii_case("authorization");
    if *location != KeyLocation::Header && *name == authorization() {
        return Err(Error::config("", "the key `name` is missing")
            .advice("name the query parameter or cookie that the token is sent in"));
    }
    let mut prefix = prefix.clone().unwrap_or_else(|| if is_default { "Bearer".to_owned() } else { String::new() });
    if prefix.ends_with(|last: char| last.is_alphanumeric()) {
        prefix.push(' ');
    }
    Ok(Place { location: *location, name: name.clone(), prefix })
}

/// What is appended to a base URL, or a whole URL.
pub(super) fn joined(base_url: &str, path: &str) -> String {
    if path.starts_with("http://") || path.starts_with("https://") {
        return path.to_owned();
    }
    format!("{}/{}", base_url.trim_end_matches('/'), path.trim_start_matches('/'))
}

fn url(text: &SecretText, pointer: &str) -> Result<Url> {
    parse_url(text.text(), pointer)
}

/// The text is not repeated: a slot may have given it.
fn parse_url(text: &str, pointer: &str) -> Result<Url> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(Error::config(pointer, "this is not a URL").advice("write the whole URL, with https://")),
    }
}

/// The client as a header has it, or as fields of the form.
fn client(id: &SecretText, secret: Option<&SecretText>, place: ClientAuth) -> (Option<Client>, Vec<(String, String)>) {
    let id = id.text().to_owned();
    match (place, secret) {
        (ClientAuth::Basic, secret) => {
            let secret = Zeroizing::new(secret.map_or("", SecretText::text).to_owned());
            (Some(Client { id, secret }), Vec::new())
        }
        (ClientAuth::Body, None) => (None, vec![("client_id".to_owned(), id)]),
        (ClientAuth::Body, Some(secret)) => {
            (None, vec![("client_id".to_owned(), id), ("client_secret".to_owned(), secret.text().to_owned())])
        }
    }
}

fn scope(fields: &mut Vec<(String, String)>, scopes: Option<&OneOrMany>) {
    if let Some(scopes) = scopes {
        fields.push(("scope".to_owned(), scopes.as_slice().join(" ")));
    }
}

/// Sets further fields, in the place of those with the same name. Null takes one away, a list repeats it.
fn extend(fields: &mut Vec<(String, String)>, data: &RequestData, pointer: &str) -> Result<()> {
    for (name, value) in &data.0 {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let mut texts = Vec::new();
        for value in values.iter().filter(|value| !value.is_null()) {
            let wrong = || Error::config(format!("{pointer}/{name}"), "a form has texts, numbers, true and false only");
            texts.push((name.clone(), text(value).ok_or_else(wrong)?));
        }
        match fields.iter().position(|(other, _)| other == name) {
            Some(at) => drop(fields.splice(at..=at, texts)),
            None => fields.extend(texts),
        }
    }
    Ok(())
}

fn lower_case(headers: &BTreeMap<String, SecretText>) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_lowercase(), value.text().to_owned())).collect()
}

fn form(url: &Url, headers: Vec<(String, String)>, fields: &[(String, String)]) -> Request {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
    request(url, headers, Some(("application/x-www-form-urlencoded", body)))
}

/// A POST with these headers, and those that every request has.
fn request(url: &Url, mut headers: Vec<(String, String)>, body: Option<(&str, Vec<u8>)>) -> Request {
    let mut own = vec![("accept", "application/json"), ("user-agent", USER_AGENT)];
    own.extend(body.as_ref().map(|(kind, _)| ("content-type", *kind)));
    for (name, value) in own {
        if headers.iter().all(|(other, _)| other != name) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    let body = body.map(|(_, body)| body);
    Request { method: Method::Post, url: url.clone(), headers, body, timeouts: Timeouts::default() }
}

/// The token of an OAuth 2 response (RFC 6749, section 5.1).
fn access_token(body: &Value) -> Result<String> {
    let token = body.get("access_token").and_then(text).filter(|token| !token.is_empty());
    token.ok_or_else(|| {
        explained(Error::new(Kind::Auth, "the response to the request for a token has no `access_token`"), body)
    })
}

/// An error with what the server says of it (RFC 6749, section 5.2; `message` is what many others say).
fn explained(error: Error, body: &Value) -> Error {
    let said: Vec<&str> =
        ["error", "error_description", "message"].iter().filter_map(|key| body.get(key)?.as_str()).collect();
    if said.is_empty() {
        return error;
    }
    let said = said.join(", ");
    let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_REASON).collect();
    Error { message: format!("{}: {said}", error.message), ..error }
}

/// A single value as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// The largest number that counts seconds from now; a larger one is a time since 1970.
const LONGEST_LIFETIME: f64 = 1e9;

/// A number of seconds, as number or text.
fn seconds(value: &Value) -> Option<u64> {
    let seconds: f64 = text(value)?.trim().parse().ok()?;
    (0.0..LONGEST_LIFETIME).contains(&seconds).then_some(seconds as u64)
}

/// The seconds from `now` until an instant: an ISO date-time, or seconds or milliseconds since 1970.
fn until(value: &Value, now: u64) -> Option<u64> {
    let text = text(value)?;
    let millis = match text.trim().parse::<f64>() {
        Ok(number) if number >= LONGEST_LIFETIME * 1000.0 => number,
        Ok(number) => number * 1000.0,
        Err(_) => timestamp::parse(text.trim())? as f64 / 1000.0,
    };
    Some((millis.max(0.0) as u64).saturating_sub(now) / 1000)
}
