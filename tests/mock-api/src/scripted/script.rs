//! What a test says of an API.

use super::quota::Quota;
use super::recorded::Recorded;
use serde::Deserialize;
use serde_json::{Map, Value};

/// An API. In every text that it answers, `$api` stands for its base URL and `$other` for the same server as another origin.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What every request must show, where its route does not say otherwise.
    #[serde(default)]
    pub(super) auth: Credential,
    /// How many requests are admitted in a time; all of them where absent.
    pub(super) quota: Option<Quota>,
    /// After so many requests all are refused: a client that does not end. 300 where absent, which is more than any test of an
    /// API of a few pages makes.
    #[serde(default = "many")]
    pub(super) most_requests: usize,
    /// Where tokens are to be had.
    #[serde(default)]
    pub(super) tokens: Vec<Tokens>,
    /// What can be asked for.
    #[serde(default)]
    pub(super) routes: Vec<Route>,
    /// Requests that are answered as they were once, in the place of all else. One that is recorded several times is answered by
    /// one after another.
    #[serde(default)]
    pub(super) recorded: Vec<Recorded>,
}

/// What a request must show; it is refused with 401 otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Credential {
    /// Nothing.
    #[default]
    Open,
    /// A bearer token.
    Bearer(String),
    /// `user:password`.
    Basic(String),
    /// A value at a place: `header.x-key`, `query.key` or `cookie.key`.
    ApiKey {
        /// Where it stands.
        at: Place,
        /// What it is.
        key: String,
    },
    /// A token of one of the token endpoints, at a place; in the header `authorization` with `Bearer` before it.
    Issued(Place),
}

/// An endpoint that gives tokens, `token-1`, `token-2` and so on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tokens {
    pub(super) path: String,
    /// Fields that the form must have with these values.
    #[serde(default)]
    pub(super) form: Map<String, Value>,
    /// The JSON body that is wanted.
    pub(super) json: Option<Value>,
    /// `user:password` that the `Authorization` header must hold.
    pub(super) basic: Option<String>,
    /// The RSA key that the `assertion` of the form must be signed for, as base64 of its DER form (PKCS #1).
    pub(super) assertion_key: Option<String>,
    /// The answer; `$token` in it stands for the token.
    pub(super) answer: Value,
}

/// Something that can be asked for: a collection, or answers word for word.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    /// `{name}` is any segment; it becomes a field of every record that is made.
    pub(super) path: String,
    /// GET where absent.
    #[serde(default = "get")]
    pub(super) method: String,
    /// What its requests must show.
    pub(super) auth: Option<Credential>,
    /// How many records are made: `{"id": 1, "name": "n1"}` and so on.
    #[serde(default)]
    pub(super) count: usize,
    /// The records, in the place of made ones.
    pub(super) records: Option<Vec<Value>>,
    /// The keys that lead to the list of records; none where the body is the list.
    #[serde(default)]
    pub(super) inside: String,
    /// How they are divided; one page where absent.
    #[serde(default)]
    pub(super) pages: Pages,
    /// Answers word for word, the first that fits; with these, there is no collection.
    #[serde(default)]
    pub(super) answers: Vec<Exchange>,
}

/// How records are divided into pages.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Pages {
    /// How many records a page has, where the request does not say; 0 for all of them.
    pub(super) size: usize,
    /// Where the request says it.
    pub(super) size_at: Option<Place>,
    /// No page has more.
    pub(super) cap: Option<usize>,
    /// Where the request says the number of the page.
    pub(super) page_at: Option<Place>,
    /// The number of the first page.
    pub(super) base: usize,
    /// Where the request says how many records to pass over.
    pub(super) offset_at: Option<Place>,
    /// Where the request says the cursor.
    pub(super) cursor_at: Option<Place>,
    /// What the answer says beside the records, in this order.
    pub(super) tells: Vec<Telling>,
}

/// Something that an answer says of the pages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Telling {
    /// `body.meta.total`, or `header.link`.
    pub(super) at: Place,
    /// What stands there.
    pub(super) what: Told,
    /// Whether a number is told as a text.
    #[serde(default)]
    pub(super) as_text: bool,
    /// The relation of a link in a header.
    #[serde(default = "next")]
    pub(super) relation: String,
    /// What a cursor or a link is on the last page: null, where absent; a header is left out.
    pub(super) at_end: Option<Value>,
}

/// What can be told.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    /// The number of records in all.
    Records,
    /// The number of pages.
    Pages,
    /// The number of this page.
    Page,
    /// The number of the next page.
    NextPage,
    /// Whether there are more.
    HasMore,
    /// The cursor of the next page.
    Cursor,
    /// The whole URL of the next page.
    Link,
    /// Its path and query.
    LinkPath,
    /// Its query.
    LinkQuery,
    /// Its URL on the other origin.
    LinkToOther,
}

/// An answer word for word.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    /// All parameters of the request's query; any where absent.
    pub(super) query: Option<Map<String, Value>>,
    /// The request's JSON body; any where absent.
    pub(super) json: Option<Value>,
    /// How many of the requests it is for; after those the next answer that fits counts. All of them where absent.
    pub(super) times: Option<usize>,
    /// 200 where absent.
    #[serde(default = "ok")]
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: Map<String, Value>,
    /// The body.
    #[serde(default)]
    pub(super) body: Value,
    /// The body as it is, in the place of JSON.
    pub(super) text: Option<String>,
}

/// A place in a request or an answer: `query.page`, `body.page.after`, `header.x-next`, `cookie.session`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Place {
    pub(super) part: Part,
    /// What follows the first dot.
    pub(super) name: String,
}

/// A part of a request or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Query,
    Body,
    Header,
    Cookie,
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (part, name) = text.split_once('.').unwrap_or_default();
        let part = match part {
            "query" => Part::Query,
            "body" => Part::Body,
            "header" => Part::Header,
            "cookie" => Part::Cookie,
            _ => return Err(format!("\"{text}\" is no place: write query., body., header. or cookie. and a name")),
        };
        Ok(Self { part, name: name.to_owned() })
    }
}

pub(super) fn get() -> String {
    "GET".to_owned()
}

fn next() -> String {
    "next".to_owned()
}

fn many() -> usize {
    300
}

fn ok() -> u16 {
    200
}
