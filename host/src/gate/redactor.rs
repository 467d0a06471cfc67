//! Takes credentials out of texts, and knows what is to be masked in responses.

use super::RESERVED;
use super::echo::{Form, Forms};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::utf8_percent_encode;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// What a credential is replaced by.
pub(super) const MASK: &str = "***";

/// A shorter secret is not masked in responses, in bytes: it could stand there by chance, and masking would change data.
const SHORTEST_ECHO: usize = 8;

/// Replaces secrets in texts by `***`, also where they stand percent-encoded, in Base64, or escaped in JSON.
///
/// It cannot find a secret that someone changed in another way, such as turned round: it keeps secrets out of messages, not
/// out of the hands of someone who has them. That is why the connector never has one.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    /// The longest first, so that a secret that holds another one leaves nothing.
    forms: Vec<Zeroizing<String>>,
    /// What is masked in responses.
    echoes: Forms,
}

impl Redactor {
    /// For these values, which responses may hold: user names are among them.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let forms = sorted(secrets.into_iter().filter(|secret| !secret.is_empty()).flat_map(forms).collect());
        Self { known: Arc::new(RwLock::new(Known { forms, echoes: Forms::default() })) }
    }

    /// Replaces a further secret from now on, in the clones of this redactor too, and in responses.
    pub fn hide(&self, secret: &str) {
        self.hide_as(secret, MASK);
    }

    /// Likewise; in responses something else stands in its place.
    pub(super) fn hide_as(&self, secret: &str, mask: &str) {
        if secret.is_empty() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let more = std::mem::take(&mut known.forms);
        known.forms = sorted(more.into_iter().chain(forms(secret)).collect());
        if secret.len() >= SHORTEST_ECHO {
            let mask: Arc<str> = mask.into();
            let mut echoes: Vec<Form> = known.echoes.iter().map(Form::again).collect();
            for text in sorted(forms(secret).collect()) {
                // The first one has the say: what a slot holds may be what an `auth` object holds too.
                if echoes.iter().all(|form| form.text != text) {
                    echoes.push(Form { text, mask: mask.clone() });
                }
            }
            known.echoes = echoes.into();
        }
    }

    /// What is masked in a response that comes now.
    pub(super) fn echoes(&self) -> Forms {
        self.known.read().unwrap_or_else(PoisonError::into_inner).echoes.clone()
    }

    /// The text without secrets.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in self.known.read().unwrap_or_else(PoisonError::into_inner).forms.iter() {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), MASK);
            }
        }
        text
    }

    /// The bytes without secrets, for what is no text.
    pub fn redact_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for form in self.known.read().unwrap_or_else(PoisonError::into_inner).forms.iter() {
            let mut from = 0;
            while let Some(at) = bytes.get(from..).and_then(|rest| memchr::memmem::find(rest, form.as_bytes())) {
                bytes.splice(from + at..from + at + form.len(), MASK.bytes());
                from += at + MASK.len();
            }
        }
        bytes
    }
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
    let slashes = json.replace('/', "\\/");
    [secret.to_owned(), percent, form, json, slashes, STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret)]
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
    fn what_is_short_or_a_name_is_not_masked_in_responses() {
        let redactor = Redactor::new(["someone@a.example"]);
        redactor.hide("short");
        assert!(redactor.echoes().is_empty());
        redactor.hide_as("long/enough", "stand-in");
        redactor.hide("long/enough");
        let echoes = redactor.echoes();
        let masks: Vec<_> = echoes.iter().map(|form| (form.text.as_str(), &*form.mask)).collect();
        assert!(
            masks.contains(&("long\\/enough", "stand-in")) && masks.contains(&("long%2Fenough", "stand-in")),
            "{masks:?}"
        );
        assert!(masks.iter().all(|(_, mask)| *mask == "stand-in"), "{masks:?}");
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
