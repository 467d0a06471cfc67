//! Origins as an operator names them, several at once.

use super::origin::Origin;
use crate::{Class, Error, Result};
use std::fmt;
use std::str::FromStr;

/// One origin, or all under a host, or all ports of a host.
///
/// ```
/// # use spile_host::gate::OriginPattern;
/// let pattern: OriginPattern = "https://*.example.com".parse().unwrap();
/// assert!(pattern.matches(&"https://api.example.com".parse().unwrap()));
/// assert!(!pattern.matches(&"https://example.com".parse().unwrap()));
/// assert!(!pattern.matches(&"https://api.example.com:8443".parse().unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OriginPattern {
    /// The origin; its host is what hosts end in where `under` is set, its port that of the scheme where `any_port` is.
    origin: Origin,
    under: bool,
    any_port: bool,
}

impl OriginPattern {
    /// Whether it stands for this origin.
    pub fn matches(&self, origin: &Origin) -> bool {
        let host = match self.under {
            true => {
                origin.host().strip_suffix(self.origin.host()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            false => origin.host() == self.origin.host(),
        };
        host && origin.is_tls() == self.origin.is_tls() && (self.any_port || origin.port() == self.origin.port())
    }
}

impl From<Origin> for OriginPattern {
    fn from(origin: Origin) -> Self {
        Self { origin, under: false, any_port: false }
    }
}

/// Reads `scheme://host:port`, where the host may begin with `*.` and the port may be `*`.
impl FromStr for OriginPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (text, any_port) = text.strip_suffix(":*").map_or((text, false), |text| (text, true));
        let under = text.contains("://*.");
        let origin: Origin = text.replacen("://*.", "://", 1).parse()?;
        if origin.host().contains('*') || (under && origin.address().is_some()) {
            return Err(Error::new(Class::Config, "not an origin").fact("origin", text).advice(
                "write scheme://host:port; only the first part of a host may be `*`, and the port, as in https://*.example.com:*",
            ));
        }
        Ok(Self { origin, under, any_port })
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.origin.is_tls() { "https" } else { "http" };
        let star = if self.under { "*." } else { "" };
        write!(f, "{scheme}://{star}{}:", self.origin.host())?;
        if self.any_port { f.write_str("*") } else { write!(f, "{}", self.origin.port()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, origin: &str) -> bool {
        pattern.parse::<OriginPattern>().unwrap().matches(&origin.parse().unwrap())
    }

    #[test]
    fn a_star_stands_for_one_or_more_names_or_for_any_port() {
        assert!(matches("https://a.example", "https://a.example:443"));
        assert!(!matches("https://a.example", "http://a.example"));
        assert!(!matches("https://a.example", "https://a.example:444"));
        assert!(matches("https://a.example:*", "https://a.example:444"));
        assert!(matches("https://*.example", "https://b.a.example"));
        assert!(!matches("https://*.example", "https://example"));
        assert!(!matches("https://*.example", "https://notexample"));
        assert!(!matches("https://*.example.com", "https://example.com.evil.test"));
        assert!(matches("http://127.0.0.1:*", "http://127.0.0.1:8080"));
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for text in ["https://a.example:443", "https://*.a.example:*", "http://[::1]:8080"] {
            assert_eq!(text.parse::<OriginPattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_star_elsewhere_is_refused() {
        for text in
            ["https://a.*.example", "https://*", "*", "https://*.127.0.0.1", "https://a*.example", "https://*.x/path"]
        {
            assert!(text.parse::<OriginPattern>().is_err(), "{text}");
        }
    }
}
