//! Takes credentials out of texts.

use super::RESERVED;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::utf8_percent_encode;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// What a credential is replaced by.
const MASK: &str = "***";

/// Replaces secrets in texts by `***`, also where they stand percent-encoded, in Base64, or escaped in JSON.
///
/// It cannot find a secret that someone changed in another way, such as turned round: it keeps secrets out of messages, not
/// out of the hands of someone who has them. That is why the connector never has one.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first, so that a secret that holds another one leaves nothing.
    forms: Arc<RwLock<Vec<Zeroizing<String>>>>,
}

impl Redactor {
    /// For these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let forms = sorted(secrets.into_iter().filter(|secret| !secret.is_empty()).flat_map(forms).collect());
        Self { forms: Arc::new(RwLock::new(forms)) }
    }

    /// Replaces a further secret from now on, in the clones of this redactor too.
    pub fn hide(&self, secret: &str) {
        if !secret.is_empty() {
            let mut all = self.forms.write().unwrap_or_else(PoisonError::into_inner);
            let more = std::mem::take(&mut *all);
            *all = sorted(more.into_iter().chain(forms(secret)).collect());
        }
    }

    /// The text without secrets.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in self.forms.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), MASK);
            }
        }
        text
    }

    /// The bytes without secrets, for what is no text.
    pub fn redact_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for form in self.forms.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let mut from = 0;
            while let Some(at) = bytes.get(from..).and_then(|rest| place(rest, form.as_bytes())) {
                bytes.splice(from + at..from + at + form.len(), MASK.bytes());
                from += at + MASK.len();
            }
        }
        bytes
    }
}

/// Where the wanted bytes begin.
fn place(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn sorted(mut forms: Vec<Zeroizing<String>>) -> Vec<Zeroizing<String>> {
    forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    forms.dedup();
    forms
}

/// How a secret can look in a text.
fn forms(secret: &str) -> impl Iterator<Item = Zeroizing<String>> {
    let percent = utf8_percent_encode(secret, RESERVED).to_string();
    let form = percent.replace("%20", "+");
    let json = serde_json::Value::from(secret).to_string();
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default().to_owned();
    [secret.to_owned(), percent, form, json, STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret)]
        .into_iter()
        .map(Zeroizing::new)
        .filter(|form| !form.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_in_every_form() {
        let redactor = Redactor::new(["p@ss \"word\""]);
        for text in
            ["p@ss \"word\"", "p%40ss%20%22word%22", "p%40ss+%22word%22", r#"p@ss \"word\""#, "cEBzcyAid29yZCI="]
        {
            assert_eq!(redactor.redact(&format!("before {text} after {text}")), "before *** after ***", "{text}");
        }
    }

    #[test]
    fn a_secret_that_holds_another_leaves_nothing() {
        assert_eq!(Redactor::new(["token", "token-with-more"]).redact("token-with-more, token"), "***, ***");
    }

    #[test]
    fn a_secret_that_comes_later_goes_too() {
        let redactor = Redactor::new(["token"]);
        let clone = redactor.clone();
        redactor.hide("token-with-more");
        assert_eq!(clone.redact("token-with-more, token"), "***, ***");
    }

    #[test]
    fn bytes_that_are_no_text_lose_their_secrets_too() {
        let redactor = Redactor::new(["p@ss"]);
        assert_eq!(redactor.redact_bytes(b"\xffp@ss\xfep@ssp%40ss"), b"\xff***\xfe******");
        assert_eq!(redactor.redact_bytes(b"\xff"), b"\xff");
    }

    #[test]
    fn an_empty_secret_changes_nothing() {
        assert_eq!(Redactor::new([""]).redact("text"), "text");
        assert_eq!(Redactor::default().redact("text"), "text");
    }
}
