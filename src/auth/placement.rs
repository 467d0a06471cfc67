//! Where a credential goes in a request.

use super::KeyLocation;
use crate::request::Request;

/// A credential, and the place in the request that it belongs to.
#[derive(Clone, PartialEq)]
pub enum Placement {
    /// Set the header.
    Header(String, String),
    /// Set the query parameter, in the place of one with this name that the URL has already.
    Query(String, String),
    /// Add to the `Cookie` header, in the place of a cookie with this name.
    Cookie(String, String),
}

impl Placement {
    /// A value at a place.
    pub fn new(location: KeyLocation, name: String, value: String) -> Self {
        match location {
            KeyLocation::Header => Self::Header(name, value),
            KeyLocation::Query | KeyLocation::Param => Self::Query(name, value),
            KeyLocation::Cookie => Self::Cookie(name, value),
        }
    }

    /// Name and value.
    pub fn parts(&self) -> (&str, &str) {
        let (Self::Header(name, value) | Self::Query(name, value) | Self::Cookie(name, value)) = self;
        (name, value)
    }

    /// The value.
    pub fn value_mut(&mut self) -> &mut String {
        let (Self::Header(_, value) | Self::Query(_, value) | Self::Cookie(_, value)) = self;
        value
    }

    /// Puts the credential on a request.
    pub fn put(self, request: &mut Request) {
        match self {
            Self::Header(name, value) => set(request, name.to_lowercase(), value),
            Self::Query(name, value) => {
                let others = request.url.query_pairs().filter(|(other, _)| *other != name);
                let others: Vec<(String, String)> = others.map(|(a, b)| (a.into_owned(), b.into_owned())).collect();
                request.url.query_pairs_mut().clear().extend_pairs(others).append_pair(&name, &value);
            }
            Self::Cookie(name, value) => {
                let cookies = request.headers.iter().filter(|(header, _)| header == "cookie");
                let others = cookies.flat_map(|(_, cookies)| cookies.split(';')).map(str::trim).filter(|cookie| {
                    !cookie.is_empty() && cookie.split('=').next().is_none_or(|other| other.trim() != name)
                });
                let own = format!("{name}={value}");
                let all: Vec<&str> = others.chain([own.as_str()]).collect();
                let all = all.join("; ");
                set(request, "cookie".to_owned(), all);
            }
        }
    }
}

fn set(request: &mut Request, name: String, value: String) {
    request.headers.retain(|(other, _)| *other != name);
    request.headers.push((name, value));
}
