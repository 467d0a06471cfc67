//! The typed configuration. Its doc comments are the descriptions in the JSON Schema that `spec` gives.
//!
//! The document is checked against the schema generated from these types before it is read into them, so the messages that
//! a person sees come from `validate`, with a place for each, and never from serde. Keys whose values nothing reads stand here
//! for the schema's sake: `later` says what becomes of them.

pub use super::disposition::*;
pub use super::hints::*;
pub use super::incremental::*;
pub use super::paginator::*;
pub use super::parents::*;
pub use super::shaping::*;
pub use super::texts::*;
pub use super::traffic::*;
use crate::auth::{Auth, SecretText};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A REST API source in the dialect of dlt's `rest_api_source`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "source")]
pub struct Source {
    /// Connection settings shared by all resources.
    pub client: Client,
    /// Fields merged into every resource that does not have them: all but `name` and `values`.
    #[schemars(with = "Option<ResourceDefaults>")]
    pub resource_defaults: Option<Value>,
    /// The endpoints to read, each with its table.
    #[schemars(with = "Vec<ResourceItem>")]
    pub resources: Vec<Value>,
}

/// The name of the schema of [`ResourceDefaults`].
pub(super) const DEFAULTS: &str = "ResourceDefaults";

/// Stands for the schema that `super::schema` makes from that of a resource.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its name is used")]
struct ResourceDefaults {}

/// Connection settings shared by all resources.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// What every relative `path` is appended to, such as `https://api.example.com/v2`.
    pub base_url: String,
    /// Headers sent with every request.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, SecretText>>")]
    pub headers: BTreeMap<String, SecretText>,
    /// How requests are signed.
    pub auth: Option<Auth>,
    /// How pages follow each other where an endpoint does not say.
    #[schemars(with = "Option<PaginatorItem>")]
    pub paginator: Option<Paginator>,
    /// What is done about responses of certain statuses or contents, where an endpoint does not say.
    pub response_actions: Option<Vec<ResponseAction>>,
    /// Which failures are tried again, how often, and after how long, where an endpoint does not say.
    pub error_handler: Option<ErrorHandler>,
    /// How many requests may go out in a time, to each origin, for all endpoints together that do not say.
    pub rate_limit: Option<RateLimit>,
    /// How many requests may be in flight at once, to each origin, for all endpoints together that do not say.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// How long a request may take, where an endpoint does not say.
    pub timeouts: Option<Timeouts>,
}

/// A resource: the path of an endpoint, or an object.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used: items are merged with the defaults before they are read")]
pub enum ResourceItem {
    /// The name, which is the path too.
    Path(String),
    /// The whole resource.
    Resource(Box<Resource>),
}

/// An endpoint and the table that its records go to. A null takes a default away.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Identifies the resource; the table's name and the path too, where those are not given.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The table that its records go to.
    #[schemars(length(min = 1))]
    pub table_name: Option<String>,
    /// How rows meet the rows that are there.
    #[serde(default)]
    #[schemars(with = "Option<WriteDispositionItem>")]
    pub write_disposition: WriteDispositionItem,
    /// The field or fields that identify a record.
    pub primary_key: Option<OneOrMany>,
    /// The field or fields by which rows are replaced together.
    pub merge_key: Option<OneOrMany>,
    /// What is known of columns beforehand: hints by name, or a list of hints with a `name` each.
    #[serde(default)]
    #[schemars(with = "Option<ColumnsItem>")]
    pub columns: Map<String, Value>,
    /// What becomes of tables, columns and types that are new.
    pub schema_contract: Option<SchemaContract>,
    /// What becomes of two keys of one record that have the same column by their names.
    #[serde(default)]
    #[schemars(with = "Option<OnCollision>")]
    pub on_collision: OnCollision,
    /// Whether a column of whole numbers becomes one of doubles where a fraction comes; if not, fractions go to a variant.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub widen: bool,
    /// How deep records are unfolded into columns and child tables; below that depth they are kept as JSON.
    pub max_table_nesting: Option<u32>,
    /// Hints for child tables, by path.
    #[schemars(with = "Option<BTreeMap<String, NestedHints>>")]
    pub nested_hints: Option<IgnoredAny>,
    /// Columns that refer to other tables.
    #[schemars(with = "Option<Vec<Reference>>")]
    pub references: Option<IgnoredAny>,
    /// The format of the table at destinations that have several.
    #[schemars(with = "Option<TableFormat>")]
    pub table_format: Option<IgnoredAny>,
    /// The format of the files that dlt loads rows with.
    #[schemars(with = "Option<FileFormat>")]
    pub file_format: Option<IgnoredAny>,
    /// The table that this one is a child of.
    #[schemars(with = "Option<String>")]
    pub parent_table_name: Option<IgnoredAny>,
    /// Whether its rows are delivered; if not, it is read only where another resource depends on it.
    #[serde(default = "yes")]
    #[schemars(with = "Option<bool>")]
    pub selected: bool,
    /// dlt's word for reading at the same time as others. Spile always does.
    #[schemars(with = "Option<bool>")]
    pub parallelized: Option<IgnoredAny>,
    /// Fields of the parent's record that each record gets, as `_<parent>_<field>`. A path such as `geo.cc` is read too.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub include_from_parent: Vec<String>,
    /// What is done to records, in this order, before they become rows.
    #[serde(default)]
    #[schemars(with = "Option<Vec<ProcessingStep>>")]
    pub processing_steps: Vec<ProcessingStep>,
    /// What becomes of the run when its requests for one parent's record fail for good; `fail` if absent.
    #[serde(default)]
    #[schemars(with = "Option<OnError>")]
    pub on_error: OnError,
    /// Where the records come from; a text is its path.
    #[serde(default)]
    #[schemars(with = "Option<EndpointItem>")]
    pub endpoint: Endpoint,
    /// The records themselves, in the place of an endpoint: a list (what is no object becomes `{value: …}`), or lists by name, each
    /// combination of which is a record.
    pub values: Option<SeedValues>,
}

/// An endpoint: its path, or an object.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used: the text form is made an object when defaults are merged")]
pub enum EndpointItem {
    /// The path.
    Path(String),
    /// The whole endpoint.
    Endpoint(Box<Endpoint>),
}

/// Where records come from.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Appended to the client's `base_url`, or a full URL. `{name}` stands for a path variable, `{resources.parent.field}`
    /// for a field of a parent's record.
    pub path: Option<String>,
    /// The HTTP method, in any case.
    #[serde(default)]
    #[schemars(with = "Option<Method>")]
    pub method: Method,
    /// Query parameters; one whose name occurs as `{name}` in the path fills it instead. Null leaves a parameter out, a list
    /// repeats it, an object is sent as JSON, `{secret: name}` sends a secret, `{raw_string: text}` a text in which no placeholder
    /// is looked for.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub params: Map<String, Value>,
    /// A JSON body. Texts and keys may hold placeholders; a text that is exactly one placeholder keeps the type of its value.
    /// `{secret: name}` within it stands for a secret, `{raw_string: text}` for a text in which no placeholder is looked for.
    pub json: Option<Map<String, Value>>,
    /// A body that is not JSON: the fields of a form, or a text.
    #[schemars(with = "Option<Form>")]
    pub data: Option<Value>,
    /// A body that is not JSON, as a text.
    #[schemars(with = "Option<RequestText>")]
    pub body: Option<Value>,
    /// Headers of this endpoint, over those of the client.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, RequestText>>")]
    pub headers: BTreeMap<String, Value>,
    /// How requests are signed; null for not at all.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Auth>")]
    pub auth: Option<Option<Auth>>,
    /// How pages follow each other.
    #[schemars(with = "Option<PaginatorItem>")]
    pub paginator: Option<Paginator>,
    /// The form of its responses; if absent, NDJSON or CSV where the content type says so, and JSON otherwise.
    pub response_format: Option<ResponseFormat>,
    /// JSONPath to the records in a response.
    pub data_selector: Option<String>,
    /// Reads only what is new since the run before.
    pub incremental: Option<Incremental>,
    /// What is done about responses of certain statuses or contents, in the place of the client's; null for nothing.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<ResponseAction>>")]
    pub response_actions: Option<Option<Vec<ResponseAction>>>,
    /// Which failures are tried again, how often, and after how long, in the place of the client's; null for what dlt does.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<ErrorHandler>")]
    pub error_handler: Option<Option<ErrorHandler>>,
    /// How many of its requests may go out in a time, in the place of the client's; null for no limit.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<RateLimit>")]
    pub rate_limit: Option<Option<RateLimit>>,
    /// How many of its requests may be in flight at once, in the place of the client's; null for no limit.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub concurrency: Option<Option<u32>>,
    /// How long a request may take, in the place of the client's; null for the host's limits alone.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Timeouts>")]
    pub timeouts: Option<Option<Timeouts>>,
    /// The most pages that one chain may have, which is an error where there are more; 100,000 if absent.
    #[schemars(range(min = 1))]
    pub maximum_pages: Option<u64>,
    /// What becomes of the requests for a parent's record that lacks a field which they use.
    #[serde(default)]
    #[schemars(with = "Option<OnMissing>")]
    pub on_missing: OnMissing,
    /// How many of the parent's records one request is for: their fields are sent as a list, or joined.
    #[schemars(range(min = 1))]
    pub parents_per_request: Option<usize>,
    /// What stands between the fields of several records in a text; `,` if absent.
    pub parents_separator: Option<String>,
}

/// The limits that an endpoint has of its own.
pub struct Limits {
    /// On the rate of its requests.
    pub rate_limit: Option<Option<RateLimit>>,
    /// On how many of them are in flight.
    pub concurrency: Option<Option<u32>>,
}

impl Endpoint {
    /// The limits that it has of its own.
    pub fn limits(&self) -> Limits {
        Limits { rate_limit: self.rate_limit.clone(), concurrency: self.concurrency }
    }
}

/// An HTTP method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Ask for what the URL names.
    #[default]
    Get,
    /// Ask with a body.
    Post,
    /// Put what the body says in the place of what is there.
    Put,
    /// Change what is there as the body says.
    Patch,
}

impl Method {
    /// Its name in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

/// A text or a list of texts.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several, in order.
    Many(Vec<String>),
}

impl OneOrMany {
    /// The texts.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

pub(super) fn yes() -> bool {
    true
}

/// Tells an explicit null from an absent key.
pub(super) fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}
