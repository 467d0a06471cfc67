//! The `auth` objects that obtain a token. Their doc comments are the descriptions in the JSON Schema.

use super::{KeyLocation, RequestData, SecretText};
use crate::config::model::{Method, OneOrMany};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A token for a client's id and secret (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// The URL that gives tokens.
    pub access_token_url: SecretText,
    /// Names the client.
    pub client_id: SecretText,
    /// The client's secret.
    pub client_secret: SecretText,
    /// Where the client's id and secret stand in the request.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// What the token is to permit: a text, or a list that is sent with blanks between.
    pub scopes: Option<OneOrMany>,
    /// Further fields of the form, or other values for those that it has, such as `grant_type`. Null leaves one out.
    #[serde(default)]
    pub access_token_request_data: RequestData,
    /// How many seconds a token is good for, where the response does not say.
    #[serde(default = "hour")]
    pub default_token_expiration: u64,
    /// A token to begin with.
    pub access_token: Option<SecretText>,
}

/// A token for a refresh token (RFC 6749, section 6). Where the response has a new refresh token, that one is used from then
/// on, and the host keeps it for the next run.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshToken {
    /// The URL that gives tokens.
    pub access_token_url: SecretText,
    /// The refresh token.
    pub refresh_token: SecretText,
    /// Names the client.
    pub client_id: SecretText,
    /// The client's secret, if it has one.
    pub client_secret: Option<SecretText>,
    /// Where the client's id and secret stand in the request.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// What the token is to permit: a text, or a list that is sent with blanks between.
    pub scopes: Option<OneOrMany>,
    /// Further fields of the form, or other values for those that it has. Null leaves one out.
    #[serde(default)]
    pub access_token_request_data: RequestData,
    /// How many seconds a token is good for, where the response does not say.
    #[serde(default = "hour")]
    pub default_token_expiration: u64,
    /// A token to begin with.
    pub access_token: Option<SecretText>,
}

/// A token for an assertion that is signed with a private key (RFC 7523, section 2.1).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtBearer {
    /// Names the client: the assertion's `iss`, and its `sub` where no other is given.
    pub client_id: SecretText,
    /// The private key in PEM: RSA, or EC on the curve P-256.
    pub private_key: SecretText,
    /// Opens a private key that is encrypted.
    pub private_key_passphrase: Option<SecretText>,
    /// The URL that gives tokens; the assertion's `aud` too, where no other is given.
    pub auth_endpoint: SecretText,
    /// What the token is to permit: a text, or a list that is sent with blanks between.
    pub scopes: Option<OneOrMany>,
    /// The assertion's `sub`: for whom the token is.
    pub subject: Option<SecretText>,
    /// The assertion's `aud`: for whom the assertion is.
    pub audience: Option<SecretText>,
    /// How the assertion is signed. Told by the key where absent.
    pub algorithm: Option<Algorithm>,
    /// Headers of the request for the token.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretText>,
    /// How many seconds a token is good for, where the response does not say.
    #[serde(default = "hour")]
    pub default_token_expiration: u64,
}

/// A token that a login gives.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionToken {
    /// The request that gives the token.
    pub login: Login,
    /// JSONPath to the token in the response; `token` if neither this nor `token_header` is given.
    pub token_path: Option<String>,
    /// The response header that holds the token.
    pub token_header: Option<String>,
    /// The name of the header, query parameter or cookie that the token is sent in.
    #[serde(default = "super::authorization")]
    pub name: String,
    /// Where the token is sent.
    #[serde(default)]
    pub location: KeyLocation,
    /// What stands before the token; a blank follows it where it ends in a letter or a digit. `Bearer` for the header
    /// `Authorization`, else nothing.
    pub prefix: Option<String>,
    /// How many seconds a token is good for. Where neither this nor `expires_path` says so: until the API refuses it.
    pub expires_in: Option<u64>,
    /// JSONPath to how long the token is good for: seconds, or the instant at which it ends.
    pub expires_path: Option<String>,
}

/// A request that logs in.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The whole URL.
    pub url: Option<SecretText>,
    /// In the place of `url`: a path that is appended to the client's `base_url`.
    pub path: Option<String>,
    /// The HTTP method.
    #[serde(default = "post")]
    pub method: Method,
    /// A JSON body.
    pub json: Option<RequestData>,
    /// A form as body.
    pub data: Option<RequestData>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretText>,
}

/// Where a client's id and secret stand in the request for a token (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the form.
    #[default]
    Body,
    /// In the header `Authorization`, as HTTP Basic has it.
    Basic,
}

/// How an assertion is signed.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// RSA (PKCS #1 v1.5) with SHA-256.
    RS256,
    /// ECDSA on the curve P-256 with SHA-256.
    ES256,
}

fn hour() -> u64 {
    3600
}

fn post() -> Method {
    Method::Post
}
