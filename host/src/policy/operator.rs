//! What an operator permits.

use crate::gate::{Origin, OriginPattern};
use crate::limits::Limits;
use crate::{Class, Error, Result};
use std::sync::Arc;
use url::Url;

/// What an operator permits. By default: every public origin that the source names, within the usual limits.
#[derive(Clone, Debug)]
pub struct Operator {
    /// An origin must match one of each of these lists.
    pub within: Vec<Vec<OriginPattern>>,
    /// An origin that matches one of each of these lists may have a private address. The first is the pipeline's.
    pub private: Vec<Vec<OriginPattern>>,
    /// Origins that a person named otherwise, such as by a URL in place of the file's.
    pub named: Vec<OriginPattern>,
    /// Caps on a run.
    pub limits: Limits,
    /// The proxy that requests go through.
    pub proxy: Option<Url>,
    /// Digests that the component must have: SHA-256, in hexadecimal digits. All of them.
    pub components: Vec<Arc<str>>,
    /// The digest of the one reach that was approved.
    pub approved: Option<Arc<str>>,
}

impl Default for Operator {
    fn default() -> Self {
        Self {
            within: Vec::new(),
            private: vec![Vec::new()],
            named: Vec::new(),
            limits: Limits::default(),
            proxy: None,
            components: Vec::new(),
            approved: None,
        }
    }
}

impl Operator {
    /// Lets an origin have a private address.
    pub fn allow_private(&mut self, origin: OriginPattern) {
        if let Some(list) = self.private.first_mut() {
            list.push(origin);
        }
    }

    /// Takes the origin of a URL as one that a person named. It is reached where the source asks for it, as any other.
    pub fn name_url(&mut self, url: &str) {
        // One that is none is the connector's to refuse.
        if let Some(origin) = Url::parse(url).ok().and_then(|url| Origin::of(&url).ok()) {
            self.named.push(origin.into());
        }
    }

    /// Sends all requests through a proxy: `http://host:port`, with a user and a password where it wants them.
    pub fn set_proxy(&mut self, text: &str) -> Result<()> {
        // The text is not repeated: it may hold a password.
        let wrong = || Error::new(Class::Config, "not a proxy").advice("write http://host:port or https://host:port");
        let url = Url::parse(text).map_err(|_| wrong())?;
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !is_bare {
            return Err(wrong());
        }
        self.proxy = Some(url);
        Ok(())
    }

    /// What is left of it under the policy of the whole host, which it cannot widen.
    #[must_use]
    pub fn under(mut self, host: &Self) -> Self {
        self.within.extend(host.within.iter().cloned());
        self.private.extend(host.private.iter().cloned());
        self.limits.lower_to(&host.limits);
        self.components.extend(host.components.iter().cloned());
        self.proxy = host.proxy.clone().or(self.proxy);
        self
    }

    /// Whether the origin may have an address that only this machine or its network reaches.
    pub fn is_private(&self, origin: &Origin) -> bool {
        self.private.iter().all(|list| matches(list, origin))
    }

    /// Whether a list of the operator's names the origin, so that nobody else has to approve of it.
    pub fn names(&self, origin: &Origin) -> bool {
        self.within.iter().chain(&self.private).chain([&self.named]).any(|list| matches(list, origin))
    }

    /// Fails where another component was pinned.
    pub fn check_component(&self, digest: &str) -> Result<()> {
        match self.components.iter().find(|pinned| ***pinned != *digest) {
            None => Ok(()),
            Some(pinned) => Err(Error::new(Class::Policy, "the component is not the one that the policy pins")
                .fact("pinned", format_args!("sha256:{pinned}"))
                .fact("component", format_args!("sha256:{digest}"))
                .advice("see what changed, then write the new digest as `component` of the policy")),
        }
    }
}

fn matches(list: &[OriginPattern], origin: &Origin) -> bool {
    list.iter().any(|pattern| pattern.matches(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(origins: &[&str], private: &[&str]) -> Operator {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<OriginPattern>>();
        let within = if origins.is_empty() { Vec::new() } else { vec![parse(origins)] };
        Operator { within, private: vec![parse(private)], ..Operator::default() }
    }

    #[test]
    fn a_policy_of_the_host_cannot_be_widened() {
        let mut own = operator(&["https://*.a.example"], &["http://10.0.0.1", "http://10.0.0.2"]);
        own.limits.memory = 1 << 30;
        own.limits.requests = 5;
        let mut host = operator(&["https://b.a.example"], &["http://10.0.0.2"]);
        host.components.push("abc".into());
        let left = own.under(&host);
        assert_eq!(left.within.len(), 2);
        assert!(left.is_private(&"http://10.0.0.2".parse().unwrap()));
        assert!(!left.is_private(&"http://10.0.0.1".parse().unwrap()));
        assert_eq!((left.limits.memory, left.limits.requests), (Limits::default().memory, 5));
        assert!(left.check_component("abc").is_ok());
        assert_eq!(left.check_component("def").unwrap_err().class, Class::Policy);
    }

    #[test]
    fn nothing_is_private_by_default() {
        assert!(!Operator::default().is_private(&"http://127.0.0.1".parse().unwrap()));
        assert!(!Operator::default().names(&"http://127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        let mut operator = Operator::default();
        for text in ["http://p:3128", "https://user:word@p"] {
            operator.set_proxy(text).unwrap();
        }
        for text in ["p:3128", "socks5://p", "http://p/path", "http://"] {
            let error = operator.set_proxy(text).unwrap_err();
            assert!(!error.to_string().contains(text), "{error}");
        }
    }
}
