//! How a request is signed, by the dialect's `auth` object.
//!
//! The one module that is at work on both sides of the sandbox: our host takes `auth` out of the configuration, and signs
//! requests itself, so the connector never holds a credential; in a runtime that has no gate, the connector signs.
//! Source of the rules: dlt's REST API source, section 3 of its reference (authentication).

mod key;
pub mod model;
mod placement;
mod secret;
mod token;

use crate::request::origin;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{ClientCredentials, JwtBearer, Login, RefreshToken, SessionToken};
pub use placement::Placement;
use schemars::JsonSchema;
pub use secret::{RequestData, SecretText, Slot};
use serde::Deserialize;
use std::collections::BTreeSet;
pub use token::{Outcome, Token, TokenSource};
use url::Url;

/// Request header by which the connector names the credential that the host is to add. The gate takes it off the request.
/// Its value is the JSON pointer of the `auth` object in the configuration.
pub const CREDENTIAL_HEADER: &str = "spile-credential";

/// Where a key or a token stands in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyLocation {
    /// A header.
    #[default]
    Header,
    /// A query parameter.
    Query,
    /// A query parameter (dlt's other word for it).
    Param,
    /// A cookie.
    Cookie,
}

/// An `auth` object.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Bearer <token>`.
    Bearer {
        /// The token.
        token: SecretText,
    },
    /// `Authorization: Basic <base64 of username:password>`.
    HttpBasic {
        /// The user's name.
        username: SecretText,
        /// The password.
        password: SecretText,
    },
    /// A key of the API's own, as it is, with no prefix.
    ApiKey {
        /// The key.
        api_key: SecretText,
        /// The name of the header, parameter or cookie.
        #[serde(default = "authorization")]
        name: String,
        /// Where it stands.
        #[serde(default)]
        location: KeyLocation,
    },
    /// A token for a client's id and secret.
    Oauth2ClientCredentials(ClientCredentials),
    /// A token for a refresh token.
    Oauth2RefreshToken(RefreshToken),
    /// A token for an assertion that is signed with a private key.
    JwtBearer(JwtBearer),
    /// A token that a login gives.
    SessionToken(SessionToken),
    /// The host signs: what is left of an `auth` object once the host took it out.
    Brokered {
        /// JSON pointer of the `auth` object that the host holds.
        credential: String,
        /// The query parameter that the credential stands in, if it stands in one.
        parameter: Option<String>,
    },
}

fn authorization() -> String {
    "Authorization".to_owned()
}

impl Auth {
    /// Shows every text of the credential that a slot may give.
    fn each_text(&mut self, see: &mut dyn FnMut(&mut SecretText)) {
        match self {
            Self::Bearer { token } => see(token),
            Self::HttpBasic { username, password } => [username, password].into_iter().for_each(see),
            Self::ApiKey { api_key, .. } => see(api_key),
            Self::Oauth2ClientCredentials(config) => {
                [&mut config.access_token_url, &mut config.client_id, &mut config.client_secret]
                    .into_iter()
                    .chain(&mut config.access_token)
                    .for_each(&mut *see);
                config.access_token_request_data.each_slot(see);
            }
            Self::Oauth2RefreshToken(config) => {
                [&mut config.access_token_url, &mut config.client_id, &mut config.refresh_token]
                    .into_iter()
                    .chain(&mut config.client_secret)
                    .chain(&mut config.access_token)
                    .for_each(&mut *see);
                config.access_token_request_data.each_slot(see);
            }
            Self::JwtBearer(config) => {
                [&mut config.client_id, &mut config.private_key, &mut config.auth_endpoint]
                    .into_iter()
                    .chain(&mut config.private_key_passphrase)
                    .chain(&mut config.subject)
                    .chain(&mut config.audience)
                    .chain(config.headers.values_mut())
                    .for_each(see);
            }
            Self::SessionToken(config) => {
                let login = &mut config.login;
                login.url.iter_mut().chain(login.headers.values_mut()).for_each(&mut *see);
                login.json.iter_mut().chain(&mut login.data).for_each(|data| data.each_slot(see));
            }
            Self::Brokered { .. } => {}
        }
    }

    /// The slots that this `auth` object names.
    pub fn slots(&self) -> BTreeSet<String> {
        let mut slots = BTreeSet::new();
        self.clone().each_text(&mut |text| {
            if let SecretText::Slot(slot) = text {
                slots.insert(slot.secret.clone());
            }
        });
        slots
    }

    /// This `auth` object with the values of its slots. The error is the name of a slot that has none.
    pub fn filled(&self, value_of: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut filled = self.clone();
        let mut missing = None;
        filled.each_text(&mut |text| {
            if let SecretText::Slot(slot) = text {
                match value_of(&slot.secret) {
                    Some(value) => *text = SecretText::Text(value),
                    None => missing = Some(slot.secret.clone()),
                }
            }
        });
        missing.map_or(Ok(filled), Err)
    }

    /// The texts that are written out and that nobody may see. Names and URLs are not among them, nor is a value of a slot that
    /// was filled into such a place.
    pub fn secrets(&self) -> Vec<&str> {
        let (texts, data): (Vec<Option<&SecretText>>, _) = match self {
            Self::Bearer { token } => (vec![Some(token)], None),
            Self::HttpBasic { password, .. } => (vec![Some(password)], None),
            Self::ApiKey { api_key, .. } => (vec![Some(api_key)], None),
            Self::Oauth2ClientCredentials(config) => (
                vec![Some(&config.client_secret), config.access_token.as_ref()],
                Some(&config.access_token_request_data),
            ),
            Self::Oauth2RefreshToken(config) => (
                vec![Some(&config.refresh_token), config.client_secret.as_ref(), config.access_token.as_ref()],
                Some(&config.access_token_request_data),
            ),
            Self::JwtBearer(config) => {
                let mut texts = vec![Some(&config.private_key), config.private_key_passphrase.as_ref()];
                texts.extend(config.headers.values().map(Some));
                (texts, None)
            }
            Self::SessionToken(config) => {
                let Login { json, data, headers, .. } = &config.login;
                (headers.values().map(Some).collect(), json.as_ref().or(data.as_ref()))
            }
            Self::Brokered { .. } => (Vec::new(), None),
        };
        let texts = texts.into_iter().flatten().filter_map(|text| match text {
            SecretText::Text(text) => Some(text.as_str()),
            SecretText::Slot(_) => None,
        });
        texts.chain(data.into_iter().flat_map(RequestData::credentials)).filter(|text| !text.is_empty()).collect()
    }

    /// The URL that gives tokens, if this obtains one.
    pub fn token_url(&self, base_url: &str) -> Option<SecretText> {
        Some(match self {
            Self::Oauth2ClientCredentials(config) => config.access_token_url.clone(),
            Self::Oauth2RefreshToken(config) => config.access_token_url.clone(),
            Self::JwtBearer(config) => config.auth_endpoint.clone(),
            Self::SessionToken(SessionToken { login: Login { url: Some(url), .. }, .. }) => url.clone(),
            Self::SessionToken(SessionToken { login: Login { path, .. }, .. }) => {
                SecretText::Text(token::joined(base_url, path.as_deref().unwrap_or_default()))
            }
            Self::Bearer { .. } | Self::HttpBasic { .. } | Self::ApiKey { .. } | Self::Brokered { .. } => return None,
        })
    }

    /// The origin of that URL; none where a slot gives the URL, or where it is not valid.
    pub fn token_origin(&self, base_url: &str) -> Option<String> {
        origin(&Url::parse(self.token_url(base_url)?.text()).ok()?)
    }

    /// The query parameter that the credential stands in, if it stands in one.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::ApiKey { name, location: KeyLocation::Query | KeyLocation::Param, .. }
            | Self::SessionToken(SessionToken { name, location: KeyLocation::Query | KeyLocation::Param, .. }) => {
                Some(name)
            }
            Self::Brokered { parameter, .. } => parameter.as_deref(),
            _ => None,
        }
    }

    /// Where the credential goes in a request, if this holds it itself. The slots must be filled.
    pub fn placement(&self) -> Option<Placement> {
        match self {
            Self::Bearer { token } => Some(Placement::Header(authorization(), format!("Bearer {}", token.text()))),
            Self::HttpBasic { username, password } => {
                let pair = format!("{}:{}", username.text(), password.text());
                Some(Placement::Header(authorization(), format!("Basic {}", STANDARD.encode(pair))))
            }
            Self::ApiKey { api_key, name, location } => {
                Some(Placement::new(*location, name.clone(), api_key.text().to_owned()))
            }
            Self::Brokered { credential, .. } => {
                Some(Placement::Header(CREDENTIAL_HEADER.to_owned(), credential.clone()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
