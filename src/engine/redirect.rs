//! Redirects (RFC 9110, section 15.4): where a response says that the resource is elsewhere, it is asked for there.
//!
//! They stay within the origins that the configuration names, since a response must not choose where a source goes. What could
//! be a credential does not leave its origin, and none goes from `https` to `http`.

use super::transport::Failure;
use crate::request::{Method, Request, Response, origin};
use std::collections::BTreeSet;

/// The most in a row.
const MOST: u32 = 10;

/// Headers that go along to another origin: those that say what is sent and wanted. Others could hold a secret.
const OPEN_HEADERS: [&str; 4] = ["accept", "accept-language", "content-type", "user-agent"];

/// A request in flight, as far as a redirect needs it.
pub struct Sent {
    /// The resource, as an index into the plan.
    pub resource: usize,
    /// What was asked for.
    pub request: Request,
    /// How many redirects led to it.
    pub hops: u32,
}

impl Sent {
    /// The request that a response asks for in its place; none where it is no redirect. `origins` are those that the
    /// configuration names.
    pub fn redirected(&self, response: &Response, origins: &BTreeSet<String>) -> Result<Option<Request>, Failure> {
        if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let Some(location) = response.header("location") else { return Ok(None) };
        let refused = |why: &str| Failure::Redirect(why.to_owned());
        if self.hops >= MOST {
            return Err(refused("there were 10 in a row"));
        }
        let mut url = self.request.url.join(location).map_err(|_| refused("it leads to something that is no URL"))?;
        url.set_fragment(None);
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused("it leads to something else than HTTP"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("its URL holds a user or a password"));
        }
        if self.request.url.scheme() == "https" && url.scheme() == "http" {
            return Err(refused("it leads from https to http"));
        }
        let target = origin(&url);
        if !target.as_ref().is_some_and(|target| origins.contains(target)) {
            let target = target.unwrap_or_default();
            return Err(refused(&format!("it leads to {target}, which the configuration does not name")));
        }
        let mut request = Request { url, ..self.request.clone() };
        let keeps_method = match response.status {
            303 => request.method == Method::Get,
            301 | 302 => request.method != Method::Post,
            _ => true,
        };
        if !keeps_method {
            request.method = Method::Get;
            request.body = None;
            request.headers.retain(|(name, _)| !name.starts_with("content-"));
        }
        if origin(&self.request.url) != target {
            if request.body.is_some() {
                return Err(refused("it would take the body of a request to another origin"));
            }
            request.headers.retain(|(name, _)| OPEN_HEADERS.contains(&name.as_str()));
        }
        Ok(Some(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Timeouts;
    use url::Url;

    fn sent(method: Method, url: &str) -> Sent {
        let headers = [
            ("authorization", "Bearer t"),
            ("x-key", "k"),
            ("accept", "a/b"),
            ("content-type", "c/d"),
            ("spile-credential", "/a"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let body = (method != Method::Get).then(|| b"{}".to_vec());
        let request = Request { method, url: Url::parse(url).unwrap(), headers, body, timeouts: Timeouts::default() };
        Sent { resource: 0, request, hops: 0 }
    }

    fn redirected(sent: &Sent, status: u16, location: &str) -> Result<Option<Request>, Failure> {
        let origins =
            ["https://a.example:443", "https://b.example:443", "http://c.example:80"].map(str::to_owned).into();
        let headers = vec![("location".to_owned(), location.to_owned())];
        sent.redirected(&Response { status, headers, body: Vec::new() }, &origins)
    }

    #[test]
    fn within_an_origin_all_goes_along() {
        let sent = sent(Method::Get, "https://a.example/x/y?q=1");
        for (location, url) in [
            ("/z?r=2#f", "https://a.example/z?r=2"),
            ("z", "https://a.example/x/z"),
            ("https://a.example:443/", "https://a.example/"),
        ] {
            let request = redirected(&sent, 302, location).unwrap().unwrap();
            assert_eq!((request.url.as_str(), &request.headers), (url, &sent.request.headers));
        }
        assert_eq!(redirected(&sent, 304, "/z"), Ok(None));
        assert_eq!(redirected(&sent, 200, "/z"), Ok(None));
    }

    #[test]
    fn nothing_that_could_be_a_secret_goes_to_another_origin() {
        let request =
            redirected(&sent(Method::Get, "https://a.example/x"), 307, "https://b.example/x").unwrap().unwrap();
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["accept", "content-type"]);
        let sent = sent(Method::Post, "https://a.example/x");
        assert!(redirected(&sent, 307, "https://b.example/x").is_err());
        assert!(redirected(&sent, 303, "https://b.example/x").unwrap().unwrap().body.is_none());
    }

    #[test]
    fn a_method_becomes_get_as_the_status_says() {
        for (method, status, expected) in [
            (Method::Post, 301, Method::Get),
            (Method::Post, 302, Method::Get),
            (Method::Post, 303, Method::Get),
            (Method::Post, 307, Method::Post),
            (Method::Post, 308, Method::Post),
            (Method::Put, 302, Method::Put),
            (Method::Put, 303, Method::Get),
        ] {
            let request = redirected(&sent(method, "https://a.example/x"), status, "/y").unwrap().unwrap();
            assert_eq!(
                (request.method, request.body.is_some()),
                (expected, expected != Method::Get),
                "{method:?} {status}"
            );
            assert_eq!(request.headers.iter().any(|(name, _)| name == "content-type"), expected != Method::Get);
        }
    }

    #[test]
    fn where_it_may_not_lead() {
        let mut sent = sent(Method::Get, "https://a.example/x");
        for location in [
            "http://a.example/x",
            "http://c.example/",
            "https://evil.example/",
            "https://u:p@a.example/",
            "ftp://a.example/",
            "file:///etc/passwd",
            "javascript:1",
            "https://a.example:444/",
            "//evil.example/x",
            "https://",
            "https://a.example.evil.example/",
        ] {
            assert!(matches!(redirected(&sent, 302, location), Err(Failure::Redirect(_))), "{location}");
        }
        sent.hops = 10;
        assert!(matches!(redirected(&sent, 302, "/y"), Err(Failure::Redirect(_))));
    }
}
