//! Links to the next page.

use super::Position;
use crate::error::{Error, Kind, Result};
use url::Url;

/// Resolves a link against the URL of the page that it stands in (RFC 3986, section 5). An empty one is none.
pub fn resolve(page: &Url, link: &str) -> Result<Option<Position>> {
    let link = link.trim();
    if link.is_empty() {
        return Ok(None);
    }
    let not_followed = |why: &str| Error::new(Kind::Upstream, format!("the link to the next page {why}"));
    let mut url = page.join(link).map_err(|error| not_followed(&format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(not_followed("does not lead to an `http` or `https` URL"));
    }
    // A link gives no credentials, and a fragment is not sent. Neither call fails for a URL that has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    Ok(Some(Position::Link(url.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_to_the_page() {
        let page = Url::parse("http://h.example/v1/x?a=1").unwrap();
        let of = |link| resolve(&page, link).map_err(|error| error.kind);
        let to = |url: &str| Ok(Some(Position::Link(url.to_owned())));
        assert_eq!(of("?p=2"), to("http://h.example/v1/x?p=2"));
        assert_eq!(of("y?p=2"), to("http://h.example/v1/y?p=2"));
        assert_eq!(of("/api/x?p=2#top"), to("http://h.example/api/x?p=2"));
        assert_eq!(of("//other.example/"), to("http://other.example/"));
        assert_eq!(of("https://u:p@h.example/z"), to("https://h.example/z"));
        assert_eq!(of(" "), Ok(None));
        for link in ["http://", "file:///etc/passwd", "data:,x"] {
            assert_eq!(of(link), Err(Kind::Upstream), "{link}");
        }
    }
}
