//! What a request must show, and where tokens come from.

use super::request::Received;
use super::script::{Credential, Tokens};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

/// Whether a request shows the credential; `issued` is the number of tokens that were given so far.
pub(super) fn shows(request: &Received, credential: &Credential, issued: usize) -> bool {
    let authorization = request.headers.get("authorization");
    match credential {
        Credential::Open => true,
        Credential::Bearer(token) => authorization == Some(&format!("Bearer {token}")),
        Credential::Basic(pair) => authorization == Some(&basic(pair)),
        Credential::ApiKey { at, key } => request.at(at).as_ref() == Some(key),
        Credential::Issued(at) => {
            let sent = request.at(at).unwrap_or_default();
            let sent =
                if at.name == "authorization" { sent.strip_prefix("Bearer ").unwrap_or_default() } else { &sent };
            let number = sent.strip_prefix("token-").and_then(|number| number.parse::<usize>().ok());
            number.is_some_and(|number| (1..=issued).contains(&number))
        }
    }
}

/// Whether a request for a token is a good one.
pub(super) fn earns(request: &Received, tokens: &Tokens) -> bool {
    let form = request.form().unwrap_or_default();
    let has = |(name, value): (&String, &Value)| {
        let wanted = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        form.iter().any(|(other, value)| other == name && *value == wanted)
    };
    request.method == "POST"
        && tokens.form.iter().all(has)
        && tokens.json.as_ref().is_none_or(|json| *json == request.json())
        && tokens
            .assertion_key
            .as_ref()
            .is_none_or(|key| form.iter().any(|(name, value)| name == "assertion" && is_signed(value, key)))
        && tokens.basic.as_ref().is_none_or(|pair| request.headers.get("authorization") == Some(&basic(pair)))
}

/// Whether a JWT is signed (RS256) by the owner of a key.
fn is_signed(jwt: &str, key: &str) -> bool {
    let Some((signed, signature)) = jwt.rsplit_once('.') else { return false };
    let (Ok(key), Ok(signature)) = (STANDARD.decode(key), URL_SAFE_NO_PAD.decode(signature)) else { return false };
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(signed.as_bytes(), &signature).is_ok()
}

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}
