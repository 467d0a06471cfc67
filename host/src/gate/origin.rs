//! Where a request goes: scheme, host and port.

use crate::{Class, Error, Result};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use url::{Host, Url};

/// Scheme, host and port of a URL (RFC 6454). Policies, credentials and connections are bound to it.
///
/// ```
/// # use spile_host::gate::Origin;
/// let origin: Origin = "https://API.example.com".parse().unwrap();
/// assert_eq!(origin.to_string(), "https://api.example.com:443");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    host: String,
    port: u16,
    tls: bool,
}

impl Origin {
    /// The origin of a URL. Fails for another scheme than `http` and `https`, for a URL with a user or a password in it
    /// (they are credentials, and make one host look like another), and for one without a host or with port 0.
    pub fn of(url: &Url) -> Result<Self> {
        let refuse = |message: &str| Err(Error::new(Class::Config, message));
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return refuse("a URL must start with http:// or https://"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("a URL must not hold a user or a password");
        }
        match (url.host_str(), url.port_or_known_default()) {
            (None | Some(""), _) => refuse("a URL must hold a host"),
            (_, None | Some(0)) => refuse("a URL must not hold port 0"),
            (Some(host), Some(port)) => Ok(Self { host: host.to_owned(), port, tls }),
        }
    }

    /// The address, where the host is one in place of a name.
    pub fn address(&self) -> Option<IpAddr> {
        match Host::parse(&self.host).ok()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// The origin of a URL whose path may hold templates, as a connector describes it. None where it has none.
    pub(crate) fn of_template(url: &str) -> Option<Self> {
        let end = url.find("://").and_then(|at| url.get(at + 3..)?.find(['/', '?', '#']).map(|end| at + 3 + end));
        url.get(..end.unwrap_or(url.len()))?.parse().ok()
    }

    /// The host: a name, or an address, an IPv6 one in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether connections to it are encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}

/// Reads `scheme://host:port`. The port may be left out where it is the scheme's own.
impl FromStr for Origin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let explain = |error: Error| {
            error.fact("origin", text).advice("write an origin as scheme://host:port, such as http://127.0.0.1:8080")
        };
        // The parser drops an empty user (`http://@host`), so look for it here.
        if text.contains('@') {
            // Not told as a fact: what stands before the `@` may be a password.
            return Err(Error::new(Class::Config, "an origin must not hold a user or a password"));
        }
        let url = Url::parse(text).map_err(|_| explain(Error::new(Class::Config, "not an origin")))?;
        let origin = Self::of(&url).map_err(explain)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(explain(Error::new(Class::Config, "an origin has no path")));
        }
        Ok(origin)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_ports_are_made_explicit_and_hosts_are_normalised() {
        for (text, shown) in [
            ("https://api.example.com", "https://api.example.com:443"),
            ("HTTP://API.Example.com/", "http://api.example.com:80"),
            ("http://XN--bcher-kva.example:8080", "http://xn--bcher-kva.example:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            // The forms of an IPv4 address that browsers and libc know.
            ("http://127.1", "http://127.0.0.1:80"),
            ("http://0x7f000001", "http://127.0.0.1:80"),
            ("http://2130706433", "http://127.0.0.1:80"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_it_shows_can_be_read_again() {
        let origin: Origin = "https://[2001:db8::1]".parse().unwrap();
        assert_eq!(origin.to_string().parse::<Origin>().unwrap(), origin);
    }

    #[test]
    fn what_is_not_an_origin_is_refused() {
        for text in [
            "",
            "example.com",
            "//example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "http://",
            "http://:80",
            "http://user@example.com",
            "http://@example.com",
            "http://user:password@example.com",
            "http://example.com:0",
            "http://example.com:65536",
            "http://example.com/path",
            "http://example.com?query",
            "http://example.com#fragment",
            "http://exa mple.com",
            // A look-alike: the first letter is Cyrillic. Such a host is written in its ASCII form.
            "http://аpple.example",
        ] {
            assert_eq!(text.parse::<Origin>().unwrap_err().class, Class::Config, "{text:?}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let error = "http://user:hunter2@example.com".parse::<Origin>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn the_address_of_a_literal_host_is_known() {
        let address = |text: &str| text.parse::<Origin>().unwrap().address();
        assert_eq!(address("http://127.1:80"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(address("http://[::ffff:10.0.0.1]"), Some("::ffff:10.0.0.1".parse().unwrap()));
        assert_eq!(address("http://localhost"), None);
    }
}
