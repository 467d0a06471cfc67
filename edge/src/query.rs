//! What a request asks for.

use percent_encoding::percent_decode_str;

/// How many root rows are read where nothing else is said: all.
const ALL: u64 = u64::MAX;

/// What is asked for.
#[derive(Debug, PartialEq)]
pub enum Query {
    /// What the resources are.
    Describe,
    /// Rows of a resource.
    Rows(Rows),
}

/// Which rows.
#[derive(Debug, PartialEq)]
pub struct Rows {
    /// The resource.
    pub resource: String,
    /// A state that an earlier response ended with: its rows are not sent again.
    pub state: Option<String>,
    /// The most root rows to send; child rows come with them.
    pub limit: u64,
    /// Where the cursor begins, whatever the state says.
    pub since: Option<String>,
    /// Where the cursor ends.
    pub until: Option<String>,
    /// Whether the cursor is forgotten.
    pub full_refresh: bool,
}

/// Why a request is not answered as it wishes.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// There is nothing at this path.
    NotFound(String),
    /// The query says something that is not understood.
    Bad(String),
}

impl Query {
    /// Reads the path and the query of a request, such as `/resources/orders?limit=10`.
    pub fn of(path_and_query: &str) -> Result<Self, Refusal> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        match path.strip_prefix('/').unwrap_or(path).split('/').collect::<Vec<_>>()[..] {
            [""] => match form_urlencoded::parse(query.as_bytes()).next() {
                Some((name, _)) => Err(Refusal::Bad(format!("`/` knows no parameter `{name}`"))),
                None => Ok(Self::Describe),
            },
            ["resources", name] if !name.is_empty() => {
                let name = percent_decode_str(name).decode_utf8();
                let name = name.map_err(|_| Refusal::Bad("the resource's name is not UTF-8".to_owned()))?;
                Rows::of(name.into_owned(), query).map(Self::Rows)
            }
            _ => Err(Refusal::NotFound("there are `/` and `/resources/{name}`".to_owned())),
        }
    }
}

impl Rows {
    fn of(resource: String, query: &str) -> Result<Self, Refusal> {
        let mut rows = Self { resource, state: None, limit: ALL, since: None, until: None, full_refresh: false };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let wants = |what: &str| Refusal::Bad(format!("`{name}` is to be {what}, not `{value}`"));
            match &*name {
                "state" => rows.state = Some(value.into_owned()),
                "since" => rows.since = Some(value.into_owned()),
                "until" => rows.until = Some(value.into_owned()),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| *limit > 0);
                    rows.limit = limit.ok_or_else(|| wants("a number of rows, from 1"))?;
                }
                "full_refresh" => rows.full_refresh = value.parse().map_err(|_| wants("`true` or `false`"))?,
                _ => {
                    let known = "`state`, `limit`, `since`, `until` and `full_refresh`";
                    return Err(Refusal::Bad(format!("there is no parameter `{name}`: there are {known}")));
                }
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_resource() {
        let all = |resource: &str| Rows {
            resource: resource.to_owned(),
            state: None,
            limit: ALL,
            since: None,
            until: None,
            full_refresh: false,
        };
        assert_eq!(Query::of("/"), Ok(Query::Describe));
        assert_eq!(Query::of("/resources/orders"), Ok(Query::Rows(all("orders"))));
        assert_eq!(Query::of("/resources/a%2Fb%20%C3%A4?"), Ok(Query::Rows(all("a/b ä"))));
        let parts = Rows {
            state: Some("{\"a\": \"+ &\"}".to_owned()),
            limit: 10,
            since: Some("2026-01-01".to_owned()),
            until: Some("2".to_owned()),
            full_refresh: true,
            ..all("orders")
        };
        let text = "/resources/orders?state=%7B%22a%22%3A+%22%2B%20%26%22%7D&limit=10&since=2026-01-01&until=2&full_refresh=true";
        assert_eq!(Query::of(text), Ok(Query::Rows(parts)));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for path in ["/resources", "/resources/", "/resources/a/b", "/x", "//"] {
            assert!(matches!(Query::of(path), Err(Refusal::NotFound(_))), "{path}");
        }
        for (path, expected) in [
            ("/resources/%FF", "the resource's name is not UTF-8"),
            ("/?state=1", "`/` knows no parameter `state`"),
            ("/resources/a?limit=0", "`limit` is to be a number of rows, from 1, not `0`"),
            ("/resources/a?limit=-1", "`limit` is to be a number of rows, from 1, not `-1`"),
            ("/resources/a?full_refresh=1", "`full_refresh` is to be `true` or `false`, not `1`"),
            (
                "/resources/a?stat=1",
                "there is no parameter `stat`: there are `state`, `limit`, `since`, `until` and `full_refresh`",
            ),
        ] {
            assert_eq!(Query::of(path), Err(Refusal::Bad(expected.to_owned())), "{path}");
        }
    }
}
