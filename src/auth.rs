//! How a request is signed, by the dialect's `auth` object.
//!
//! The one module that is at work on both sides of the sandbox: our host takes `auth` out of the configuration, and signs
//! requests itself, so the connector never holds a credential; in a runtime that has no gate, the connector signs.
//! Source of the rules: dlt's REST API source, section 3 of its reference (authentication).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;

/// Request header by which the connector names the credential that the host is to add. The gate takes it off the request.
/// Its value is the JSON pointer of the `auth` object in the configuration.
pub const CREDENTIAL_HEADER: &str = "spile-credential";

/// A text that may be given in the configuration or by a named slot.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SecretText {
    /// The text itself.
    Text(String),
    /// The slot whose value is the text.
    Slot(Slot),
}

/// Names a secret, `{secret: api_key}`, whose value never stands in the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The name of the slot.
    pub secret: String,
}

/// Never shows the text.
impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(***)"),
            Self::Slot(slot) => slot.fmt(f),
        }
    }
}

/// Where an API key stands in a request.
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
    /// The host signs: what is left of an `auth` object once the host took it out.
    Brokered {
        /// JSON pointer of the `auth` object that the host holds.
        credential: String,
    },
}

fn authorization() -> String {
    "Authorization".to_owned()
}

/// A credential, and the place in the request that it belongs to.
#[derive(Clone, PartialEq)]
pub enum Placement {
    /// Set the header.
    Header(String, String),
    /// Set the query parameter, in the place of one with this name that the URL has already.
    Query(String, String),
    /// Add to the `Cookie` header.
    Cookie(String, String),
}

impl Auth {
    /// The slots that this `auth` object names.
    pub fn slots(&self) -> impl Iterator<Item = &str> {
        let texts: [Option<&SecretText>; 2] = match self {
            Self::Bearer { token } => [Some(token), None],
            Self::HttpBasic { username, password } => [Some(username), Some(password)],
            Self::ApiKey { api_key, .. } => [Some(api_key), None],
            Self::Brokered { .. } => [None, None],
        };
        texts.into_iter().flatten().filter_map(|text| match text {
            SecretText::Slot(slot) => Some(slot.secret.as_str()),
            SecretText::Text(_) => None,
        })
    }

    /// Where the credential goes in a request. `value_of` gives the value of a slot; the error is the name of a slot that it
    /// has no value for.
    pub fn placement(&self, value_of: impl Fn(&str) -> Option<String>) -> Result<Placement, String> {
        let text = |text: &SecretText| match text {
            SecretText::Text(text) => Ok(text.clone()),
            SecretText::Slot(slot) => value_of(&slot.secret).ok_or_else(|| slot.secret.clone()),
        };
        Ok(match self {
            Self::Bearer { token } => Placement::Header(authorization(), format!("Bearer {}", text(token)?)),
            Self::HttpBasic { username, password } => {
                let pair = format!("{}:{}", text(username)?, text(password)?);
                Placement::Header(authorization(), format!("Basic {}", STANDARD.encode(pair)))
            }
            Self::ApiKey { api_key, name, location } => {
                let (name, value) = (name.clone(), text(api_key)?);
                match location {
                    KeyLocation::Header => Placement::Header(name, value),
                    KeyLocation::Query | KeyLocation::Param => Placement::Query(name, value),
                    KeyLocation::Cookie => Placement::Cookie(name, value),
                }
            }
            Self::Brokered { credential } => Placement::Header(CREDENTIAL_HEADER.to_owned(), credential.clone()),
        })
    }
}
