//! How a component in a registry is named.

use crate::digest::sha256;
use crate::gate::Origin;
use crate::{Class, Error, Result};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// `oci://HOST/NAME:TAG`, `oci://HOST/NAME@sha256:…`, or with both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference(pub(super) oci_client::Reference);

impl Reference {
    /// Its digest, without which it may not be run.
    ///
    /// # Errors
    /// [`Class::Config`] where it has none.
    pub fn pinned(&self) -> Result<Digest> {
        match self.digest() {
            Some(digest) => Ok(digest),
            None => {
                Err(Error::new(Class::Config, format!("{self} has no digest, so it may be another component tomorrow"))
                    .advice(format!(
                        "`spile pull {self}` tells the digest that it has today; write `oci://…@sha256:…`"
                    )))
            }
        }
    }

    /// The digest of the manifest, where it says one.
    pub fn digest(&self) -> Option<Digest> {
        self.0.digest().and_then(Digest::parse)
    }

    /// The host of the registry, with its port where it has one.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    /// Where requests for it go.
    ///
    /// # Errors
    /// [`Class::Config`] where the host is none.
    pub fn origin(&self) -> Result<Origin> {
        let scheme = if self.is_on_this_machine() { "http" } else { "https" };
        format!("{scheme}://{}", self.registry()).parse()
    }

    /// The same name, with this digest in the place of what chose it.
    #[must_use]
    pub fn at(&self, digest: &Digest) -> Self {
        let (registry, repository) = (self.0.registry().to_owned(), self.0.repository().to_owned());
        Self(oci_client::Reference::with_digest(registry, repository, digest.to_string()))
    }

    /// Whether the registry is on this machine, where connections need no TLS; as Docker has it.
    pub(super) fn is_on_this_machine(&self) -> bool {
        let host = self.registry().rsplit_once(':').map_or(self.registry(), |(host, _port)| host);
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::new(Class::Config, format!("\"{text}\" names no component in a registry: {why}"))
                .advice("write `oci://HOST/NAME:TAG` or `oci://HOST/NAME@sha256:…`")
        };
        let whole = text.strip_prefix("oci://").ok_or_else(|| wrong("it does not begin with `oci://`"))?;
        let (host, name) = whole.split_once('/').ok_or_else(|| wrong("it has no name behind the host"))?;
        // The field takes a first part like this for a name at Docker's registry.
        if !host.contains(['.', ':']) && host != "localhost" {
            return Err(wrong(&format!("\"{host}\" is no host of a registry")));
        }
        if !name.contains([':', '@']) {
            return Err(wrong("it has neither a tag nor a digest"));
        }
        let reference = Self(whole.parse().map_err(|error| wrong(&format!("{error}")))?);
        match reference.0.digest() {
            Some(digest) if Digest::parse(digest).is_none() => {
                Err(wrong("the digest is not `sha256:` and 64 hexadecimal digits"))
            }
            _ => Ok(reference),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}", self.0)
    }
}

/// A SHA-256, written as `sha256:` and 64 hexadecimal digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256(bytes))
    }

    /// None for a digest of another kind, and for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == 64 && digits.bytes().all(is_digit)).then(|| Self(digits.to_owned()))
    }

    /// Its 64 digits.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn reference(text: &str) -> Result<Reference> {
        text.parse()
    }

    #[test]
    fn references_are_shown_as_they_are_written() {
        for text in [
            "oci://registry.example.com/team/journal:1.0",
            "oci://localhost:5000/journal:latest",
            "oci://localhost/journal:1",
            &format!("oci://127.0.0.1:5000/journal@{DIGEST}"),
            &format!("oci://registry.example.com/journal:1.0@{DIGEST}"),
        ] {
            assert_eq!(reference(text).unwrap().to_string(), *text);
        }
    }

    #[test]
    fn what_names_no_component_is_refused_with_the_reason() {
        for (text, why) in [
            ("journal.wasm", "does not begin"),
            ("oci:/a.example/b:1", "does not begin"),
            ("oci://a.example", "no name"),
            ("oci://team/journal:1", "\"team\" is no host"),
            ("oci://a.example/journal", "neither a tag nor a digest"),
            ("oci://a.example:5000/journal", "neither a tag nor a digest"),
            ("oci://a.example/Journal:1", "invalid"),
            ("oci://a.example/journal@sha256:12", "invalid"),
            (&format!("oci://a.example/journal@{}", DIGEST.to_uppercase()), "unsupported digest"),
            (&format!("oci://a.example/journal@{}", DIGEST.replace("e3b0", "E3B0")), "the digest is not"),
            (&format!("oci://a.example/journal@sha512:{0}{0}", &DIGEST[7..]), "the digest is not"),
        ] {
            let error = reference(text).expect_err(text);
            assert!(error.message.contains(why) && error.class == Class::Config, "{text}: {error}");
        }
    }

    #[test]
    fn only_what_has_a_digest_is_pinned() {
        let tagged = reference("oci://a.example/journal:1.0").unwrap();
        assert!(tagged.pinned().unwrap_err().advice.unwrap().contains("spile pull oci://a.example/journal:1.0"));
        let pinned = tagged.at(&Digest::of(b""));
        assert_eq!(pinned.to_string(), format!("oci://a.example/journal@{DIGEST}"));
        assert_eq!(pinned.pinned().unwrap(), Digest::of(b""));
    }

    #[test]
    fn loopback_is_this_machine() {
        for (host, is_here) in [
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("localhost", true),
            ("localhost.example.com", false),
            ("10.0.0.1:5000", false),
        ] {
            let reference = reference(&format!("oci://{host}/a:1")).unwrap();
            assert_eq!(reference.is_on_this_machine(), is_here, "{host}");
            assert_eq!(reference.origin().unwrap().is_tls(), !is_here, "{host}");
        }
    }
}
