//! Requests and responses as the engine sees them, and what a URL may show of itself.

pub use crate::config::model::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// The name that requests carry, where the configuration gives no other.
pub const USER_AGENT: &str = concat!("spile/", env!("CARGO_PKG_VERSION"));

/// A request that is ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: Url,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, if it has one.
    pub body: Option<Vec<u8>>,
}

/// A response whose body arrived whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decoded.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// RFC 3986 unreserved characters stay as they are in a path segment; all others are encoded, so that no value can change
/// which path is asked for.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A value as one segment of a path.
pub fn encode_segment(value: &str) -> String {
    // A URL parser takes `.` and `..` for steps, encoded or not; no encoding keeps them apart, so they are refused elsewhere.
    utf8_percent_encode(value, SEGMENT).to_string()
}

/// What stands between the values of one segment: beside those characters that stay in a value, those that part values (RFC 3986,
/// `sub-delims`) and those that a segment may hold as they are.
const SEPARATOR: &AsciiSet = &SEGMENT
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// What stands between the values of one segment of a path.
pub fn encode_separator(separator: &str) -> String {
    utf8_percent_encode(separator, SEPARATOR).to_string()
}

/// Query parameters whose values are shown as `***`, as dlt does it, compared without regard to case.
const CREDENTIAL_PARAMETERS: [&str; 10] = [
    "access-token",
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "client_secret",
    "key",
    "password",
    "pwd",
    "secret",
];

/// Whether what has this name commonly is a credential.
pub fn names_credential(name: &str) -> bool {
    let name = name.to_lowercase();
    name == "token" || CREDENTIAL_PARAMETERS.contains(&name.as_str())
}

/// The URL as an error may show it: without userinfo and fragment, and with `***` for what commonly is a credential.
pub fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    // These fail only for URLs that have no host, which ours all have.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    if url.query_pairs().any(|(name, _)| names_credential(&name)) {
        let pairs: Vec<String> = url
            .query()
            .unwrap_or_default()
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) if names_credential(name) => format!("{name}=***"),
                _ => pair.to_owned(),
            })
            .collect();
        shown.set_query(Some(&pairs.join("&")));
    }
    shown.to_string()
}

/// `scheme://host:port`, the default port made explicit. None where the URL is not HTTP.
pub fn origin(url: &Url) -> Option<String> {
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    Some(format!("{}://{}:{}", url.scheme(), url.host_str()?, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_in_its_segment() {
        assert_eq!(encode_segment("a b/c?d#é%"), "a%20b%2Fc%3Fd%23%C3%A9%25");
    }

    #[test]
    fn a_separator_leads_out_of_no_segment() {
        assert_eq!(encode_separator(",;+ /?#|"), ",;+%20%2F%3F%23%7C");
    }

    #[test]
    fn credentials_in_a_url_are_not_shown() {
        let url = Url::parse("https://u:p@h.example/a?page=2&API_KEY=zz&token=t#f").unwrap();
        assert_eq!(redacted(&url), "https://h.example/a?page=2&API_KEY=***&token=***");
    }

    #[test]
    fn an_origin_has_its_port() {
        let of = |text| origin(&Url::parse(text).unwrap());
        assert_eq!(of("https://h.example/a").as_deref(), Some("https://h.example:443"));
        assert_eq!(of("http://[::1]:81/a").as_deref(), Some("http://[::1]:81"));
        assert_eq!(of("ftp://h.example/a"), None);
    }
}
