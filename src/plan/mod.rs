//! The plan: what a configuration comes to for one run. Names are bound, parents are found, paths are compiled.

mod bind;
mod body;
mod describe;
mod request;
pub mod template;

use crate::auth::Auth;
use crate::config::Config;
use crate::config::model::{self, Method, WriteDisposition};
use crate::error::{Error, Result};
use crate::paginate::Paginator;
use crate::retry::Retry;
use crate::select::Selector;
pub use describe::{Description, ResourceDescription, Slot};
pub use request::Context;
use serde_json::{Map, Value};
use template::{Field, Part};

/// A source as the contract gives it: texts of JSON.
pub struct Source<'a> {
    /// The configuration.
    pub config: &'a str,
    /// Values of path variables, by name.
    pub params: &'a str,
    /// The parent's field that fills a path variable, by name.
    pub bindings: &'a str,
}

/// A source that is ready to be read.
pub struct Plan {
    /// The resources, in the order of the configuration.
    pub resources: Vec<Resource>,
    /// Things that work but are better said otherwise.
    pub warnings: Vec<Error>,
}

/// A resource that is ready to be read.
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Its root table, named by the conventions of the destination.
    pub table: String,
    /// Its place in the configuration.
    pub pointer: String,
    /// How its rows are to be written.
    pub write_disposition: WriteDisposition,
    /// Key fields, in the spelling of the configuration.
    pub primary_key: Vec<String>,
    /// Whether the configuration selects it.
    pub selected: bool,
    /// How deep records are unfolded.
    pub max_nesting: u32,
    /// The resource whose records its requests depend on, as an index into the plan.
    pub parent: Option<usize>,
    /// The resources that depend on it, in the order of the configuration.
    pub children: Vec<usize>,
    /// The fields of its records that requests of its descendants need.
    pub needed: Vec<NeededField>,
    /// Path variables that nothing binds, each with its place.
    pub unbound: Vec<(String, String)>,
    /// How it is asked.
    pub method: Method,
    body: Option<body::Body>,
    /// The whole URL, without the query parameters.
    url: Vec<Part>,
    /// Names and values of the query parameters.
    params: Vec<(Vec<Part>, Vec<Part>)>,
    headers: Vec<(String, Vec<Part>)>,
    auth: Option<Auth>,
    /// How its pages follow each other; found in the first response where absent.
    pub paginator: Option<Paginator>,
    /// Where the records are in a response; found in the first response where absent.
    pub selector: Option<Selector>,
    /// Which failures are tried again.
    pub retry: Retry,
}

/// A field of a parent's record.
pub struct NeededField {
    /// Names it, together with the resource.
    pub field: Field,
    /// Finds it in a record.
    pub selector: Selector,
}

impl Plan {
    /// Makes the plan of a source. The error holds every defect.
    pub fn new(source: &Source<'_>) -> Result<Self, Vec<Error>> {
        let config = Config::parse(source.config)?;
        let given = bind::Given {
            params: object(source.params, "params").map_err(|error| vec![error])?,
            bindings: object(source.bindings, "bindings").map_err(|error| vec![error])?,
        };
        let mut defects = Vec::new();
        let mut warnings = config.warnings;
        let mut resources = Vec::new();
        for (index, resource) in config.resources.iter().enumerate() {
            let pointer = format!("/resources/{index}");
            match Resource::new(&config.client, resource, pointer, &given, &mut warnings) {
                Ok(resource) => resources.push(resource),
                Err(error) => defects.push(error.of(&resource.name)),
            }
        }
        if defects.is_empty()
            && let Err(error) = bind::find_parents(&mut resources)
        {
            defects.push(error);
        }
        if defects.is_empty() { Ok(Self { resources, warnings }) } else { Err(defects) }
    }

    /// The index of a resource.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.resources.iter().position(|resource| resource.name == name)
    }

    /// The error of a path variable that nothing binds, among the resources for which `wanted` holds.
    pub fn unbound(&self, wanted: impl Fn(usize) -> bool) -> Option<Error> {
        let wanted = self.resources.iter().enumerate().filter(|(index, _)| wanted(*index));
        let (resource, (name, pointer)) =
            wanted.flat_map(|(_, resource)| resource.unbound.iter().map(move |unbound| (resource, unbound))).next()?;
        let advice = format!(
            "bind it with `params` of the endpoint, with `--param {name}=VALUE`, with `bindings: {{{name}: parent.field}}` in \
             the pipeline, or write `{{resources.parent.field}}` in the path"
        );
        Some(
            Error::config(pointer, format!("nothing binds the path variable `{name}`"))
                .of(&resource.name)
                .advice(advice),
        )
    }
}

impl Resource {
    fn new(
        client: &model::Client,
        config: &model::Resource,
        pointer: String,
        given: &bind::Given,
        warnings: &mut Vec<Error>,
    ) -> Result<Self> {
        let endpoint = &config.endpoint;
        let at = |key: &str| format!("{pointer}/endpoint/{key}");
        let bound = bind::bind(client, endpoint, &pointer, given, warnings)?;
        let is_entity = endpoint.path.as_deref().is_some_and(names_entity);
        let paginator = match (&endpoint.paginator, &client.paginator) {
            (Some(paginator), _) => Paginator::new(paginator, &at("paginator"))?,
            (None, _) if is_entity => Some(Paginator::SinglePage),
            (None, Some(paginator)) => Paginator::new(paginator, "/client/paginator")?,
            (None, None) => None,
        };
        let selector = endpoint.data_selector.as_deref().or(is_entity.then_some("$"));
        let table = config.table_name.as_deref().unwrap_or(&config.name);
        Ok(Self {
            name: config.name.clone(),
            table: crate::shape::naming::identifier(table),
            write_disposition: config.write_disposition,
            primary_key: config.primary_key.as_ref().map_or_else(Vec::new, |key| key.as_slice().to_vec()),
            selected: config.selected,
            max_nesting: config.max_table_nesting.unwrap_or(1000),
            parent: None,
            children: Vec::new(),
            needed: Vec::new(),
            unbound: bound.unbound,
            method: endpoint.method,
            body: bound.body,
            url: bound.url,
            params: bound.params,
            headers: bound.headers,
            auth: endpoint.auth.clone().unwrap_or_else(|| client.auth.clone()),
            paginator,
            selector: selector.map(|path| Selector::parse(path, &at("data_selector"))).transpose()?,
            retry: Retry::new(endpoint.error_handler.as_ref()),
            pointer,
        })
    }

    /// Every field of a parent's record that its requests use.
    fn fields(&self) -> impl Iterator<Item = &Field> {
        let params = self.params.iter().flat_map(|(name, parts)| [name, parts]);
        let texts = params.chain(self.headers.iter().map(|(_, parts)| parts));
        let of_body = self.body.iter().flat_map(body::Body::parts);
        std::iter::once(&self.url).chain(texts).flatten().chain(of_body).filter_map(|part| match part {
            Part::Field(field) => Some(field),
            _ => None,
        })
    }
}

/// Whether the last segment of a path holds a placeholder: such an endpoint gives one record, in one page (reference,
/// section 4.3).
fn names_entity(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default().replace("{{", "").replace("}}", "");
    path.trim_end_matches('/').rsplit('/').next().is_some_and(|segment| segment.contains('{'))
}

fn object(text: &str, what: &str) -> Result<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Error::config("", format!("`{what}` is not an object"))),
        Err(error) => Err(Error::config("", format!("`{what}` is not valid JSON: {error}"))),
    }
}
