//! The plan: what a configuration comes to for one run. Names are bound, parents are found, paths are compiled.

mod bind;
mod body;
mod context;
mod describe;
pub(crate) mod document;
pub mod pacing;
mod parents;
#[cfg(test)]
mod rendering_tests;
mod request;
pub mod template;

use crate::action::Actions;
use crate::auth::{Auth, TokenSource};
use crate::config::model::{self, Method, OnError, OnMissing, SeedValues};
use crate::config::{self, Config};
use crate::error::{Error, Result};
use crate::incremental::Incremental;
use crate::paginate::Paginator;
use crate::request::Timeouts;
use crate::response::Format;
use crate::retry::Retry;
use crate::select::Selector;
use crate::shape::Target;
use crate::steps::Steps;
pub use bind::scalar;
pub use context::{Context, Contexts};
pub use describe::{Description, ResourceDescription, Slot};
use pacing::Pacing;
use serde_json::{Map, Value};
use template::{Field, Part};

/// The most pages that a chain may have where the configuration does not say.
pub const LONGEST_CHAIN: u64 = 100_000;

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
    /// Where tokens are obtained from, one source for each `auth` object.
    pub tokens: Vec<TokenPlan>,
    /// What limits the pace of requests.
    pub pacing: Pacing,
    /// Things that work but are better said otherwise.
    pub warnings: Vec<Error>,
}

/// Where the tokens of an `auth` object are obtained from.
pub struct TokenPlan {
    auth: Auth,
    /// Its place in the configuration; the first of several.
    pub pointer: String,
    /// The origin that is asked for tokens, where the configuration tells it.
    origin: Option<String>,
    /// None where a slot has no value on this side, which is then an error.
    pub source: Result<TokenSource>,
}

/// A resource that is ready to be read.
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Its place in the configuration.
    pub pointer: String,
    /// How its records become rows.
    pub target: Target,
    /// Key fields, in the spelling of the configuration.
    pub primary_key: Vec<String>,
    /// Whether the configuration selects it.
    pub selected: bool,
    /// The resource whose records its requests depend on, as an index into the plan.
    pub parent: Option<usize>,
    /// The resources that depend on it, in the order of the configuration.
    pub children: Vec<usize>,
    /// The fields of its records that requests of its descendants need.
    pub needed: Vec<NeededField>,
    /// The fields of its records that expressions of its children name.
    pub shown: Vec<Field>,
    /// Path variables that nothing binds, each with its place.
    pub unbound: Vec<(String, String)>,
    /// How it is asked.
    pub method: Method,
    body: Option<body::Body>,
    /// The whole URL, without the query parameters.
    url: Vec<Part>,
    /// Names and values of the query parameters.
    params: body::Fields,
    headers: Vec<(String, Vec<Part>)>,
    auth: Option<Auth>,
    /// Whether the endpoint has an `auth` of its own.
    has_own_auth: bool,
    /// The token source that signs its requests, as an index into the plan.
    pub token: Option<usize>,
    /// How its pages follow each other; found in the first response where absent.
    pub paginator: Option<Paginator>,
    /// The form of its responses, where the configuration says it.
    pub format: Option<Format>,
    /// Where the records are in a response; found in the first response where absent.
    pub selector: Option<Selector>,
    /// What is new to it.
    pub incremental: Option<Incremental>,
    /// What is done to its records before they become rows.
    pub steps: Steps,
    /// Which failures are tried again.
    pub retry: Retry,
    /// What is done about responses that are special.
    pub actions: Actions,
    /// What becomes of the run when a chain fails for good.
    pub on_error: OnError,
    /// How long a request may take.
    timeouts: Timeouts,
    /// Its limit on the rate of requests, as an index into the pacing.
    pub quota: usize,
    /// Its limit on how many requests are in flight, as an index into the pacing.
    pub room: usize,
    /// The most pages that one chain may have.
    pub maximum_pages: u64,
    /// Its records, where no one is asked for them.
    pub seeds: Option<SeedValues>,
    /// What becomes of its requests for a parent's record that lacks a field which they use.
    on_missing: OnMissing,
    /// How many of the parent's records its requests are for, where that is not one.
    batch: Option<context::Batch>,
    /// The paths of what its records get from their parent's.
    include_from_parent: Vec<String>,
    /// The same, where they are to be found.
    pub includes: Vec<Include>,
}

/// What a record gets from its parent's.
pub struct Include {
    /// Names it.
    pub field: Field,
    /// The key under which it gets it.
    pub key: String,
}

/// A field of a parent's record.
pub struct NeededField {
    /// Names it, together with the resource.
    pub field: Field,
    /// Finds it in a record.
    pub selector: Selector,
    /// The resources that cannot do without, as indices into the plan.
    pub required_by: Vec<usize>,
}

impl Plan {
    /// Makes the plan of a source. The error holds every defect.
    pub fn new(source: &Source<'_>) -> Result<Self, Vec<Error>> {
        let given = bind::Given {
            params: object(source.params, "params").map_err(|error| vec![error])?,
            bindings: object(source.bindings, "bindings").map_err(|error| vec![error])?,
        };
        config::read(source.config, &mut |config| Self::of(config, &given))
    }

    fn of(config: Config, given: &bind::Given) -> Result<Self, Vec<Error>> {
        let mut defects = Vec::new();
        let warnings = config.warnings;
        let limits: Vec<_> = config.resources.iter().map(|resource| resource.endpoint.limits()).collect();
        let mut resources = Vec::new();
        for (index, resource) in config.resources.into_iter().enumerate() {
            let (pointer, name) = (format!("/resources/{index}"), resource.name.clone());
            match Resource::new(&config.client, resource, pointer, given) {
                Ok(resource) => resources.push(resource),
                Err(error) => defects.push(error.of(&name)),
            }
        }
        let tokens = tokens(&mut resources, &config.client.base_url, &mut defects);
        let mut pacing = Pacing::default();
        if defects.is_empty() {
            let paced = Pacing::new(&config.client, &limits, &mut resources);
            match paced.and_then(|paced| parents::find(&mut resources).map(|()| paced)) {
                Ok(paced) => pacing = paced,
                Err(error) => defects.push(error),
            }
        }
        if defects.is_empty() {
            defects.extend(resources.iter().filter_map(Resource::skips_nothing));
        }
        if defects.is_empty() { Ok(Self { resources, tokens, pacing, warnings }) } else { Err(defects) }
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
    fn new(client: &model::Client, config: model::Resource, pointer: String, given: &bind::Given) -> Result<Self> {
        let endpoint = &config.endpoint;
        let at = |key: &str| format!("{pointer}/endpoint/{key}");
        let asks = config.values.is_none();
        let bound = if asks { bind::bind(client, endpoint, &pointer, given)? } else { bind::Bound::default() };
        let is_entity = endpoint.path.as_deref().is_some_and(names_entity);
        let paginator = match (&endpoint.paginator, &client.paginator) {
            (Some(paginator), _) => Paginator::new(paginator, &at("paginator"))?,
            (None, _) if is_entity => Some(Paginator::single_page()),
            (None, Some(paginator)) => Paginator::new(paginator, "/client/paginator")?,
            (None, None) => None,
        };
        if let Some(body) = &bound.body
            && !matches!(body, body::Body::Json(_))
            && paginator.as_ref().is_some_and(Paginator::writes_body)
        {
            let message = format!("`{}` is no JSON, and the paginator writes into the body", body.key());
            return Err(Error::config(at(body.key()), message)
                .advice("write `json`, or let the paginator write a query parameter"));
        }
        let selector = endpoint.data_selector.as_deref().or(is_entity.then_some("$"));
        let format = endpoint.response_format.as_ref();
        // Of the endpoint or of the client, whichever is nearer, as a whole.
        let (actions, place) =
            nearest("response_actions", &endpoint.response_actions, &client.response_actions, &pointer);
        let actions = Actions::new(actions.as_deref().unwrap_or_default(), &place)?;
        let (retry, place) = nearest("error_handler", &endpoint.error_handler, &client.error_handler, &pointer);
        let retry = retry.as_ref().map(|retry| Retry::new(retry, &place)).transpose()?.unwrap_or_default();
        let (timeouts, _) = nearest("timeouts", &endpoint.timeouts, &client.timeouts, &pointer);
        Self {
            name: config.name.clone(),
            target: Target::new(&config, &pointer)?,
            primary_key: config.key(),
            selected: config.selected,
            parent: None,
            children: Vec::new(),
            needed: Vec::new(),
            shown: Vec::new(),
            unbound: bound.unbound,
            method: endpoint.method,
            body: bound.body,
            url: bound.url,
            params: bound.params,
            headers: bound.headers,
            auth: endpoint.auth.clone().unwrap_or_else(|| client.auth.clone()).filter(|_| asks),
            has_own_auth: endpoint.auth.is_some(),
            token: None,
            paginator,
            format: format.map(|format| Format::new(format, &at("response_format"))).transpose()?,
            selector: selector.map(|path| Selector::parse(path, &at("data_selector"))).transpose()?,
            incremental: endpoint
                .incremental
                .as_ref()
                .map(|rules| Incremental::new(rules, &at("incremental")))
                .transpose()?,
            steps: Steps::new(&config.processing_steps, &format!("{pointer}/processing_steps"))?,
            retry,
            actions,
            on_error: config.on_error,
            timeouts: Timeouts::new(*timeouts),
            quota: 0,
            room: 0,
            maximum_pages: endpoint.maximum_pages.unwrap_or(LONGEST_CHAIN),
            on_missing: endpoint.on_missing,
            batch: endpoint.parents_per_request.map(|size| context::Batch {
                size,
                separator: endpoint.parents_separator.clone().unwrap_or_else(|| ",".to_owned()),
                parent: String::new(),
            }),
            seeds: config.values,
            include_from_parent: config.include_from_parent,
            includes: Vec::new(),
            pointer,
        }
        .without_gaps()
    }

    /// The error of a place that nothing can be left out of, where a field that is missing is to be left out.
    fn without_gaps(self) -> Result<Self> {
        let text = self.body.iter().filter(|body| matches!(body, body::Body::Text { .. }));
        let whole = text.flat_map(body::Body::parts).chain(&self.url);
        let mut fields = whole.filter_map(|part| match part {
            Part::Field(field) => Some(field),
            _ => None,
        });
        match fields.next() {
            Some(field) if self.on_missing == OnMissing::Null => {
                let message = format!("`on_missing` is `null`, and `{{resources.{field}}}` cannot be left out here");
                Err(Error::config(self.place_of(field), message)
                    .advice("write `on_missing: skip`, or use the field in a parameter, a header, a form or JSON"))
            }
            _ => Ok(self),
        }
    }

    /// The error of a resource that is to go on without some of its chains and has one chain only.
    fn skips_nothing(&self) -> Option<Error> {
        let message =
            "`on_error: continue` leaves out the requests for one parent's record, and this resource has no parent";
        let is_wrong = self.on_error == OnError::Continue && self.parent.is_none();
        is_wrong.then(|| {
            Error::config(format!("{}/on_error", self.pointer), message).of(&self.name).advice(
                "write it into the resources that depend on another one; where `resource_defaults` has it, write `on_error: fail` here",
            )
        })
    }

    /// Where it uses a field of a parent's record.
    fn place_of(&self, field: &Field) -> String {
        let is_it = |part: &Part| matches!(part, Part::Field(other) if other == field);
        let uses = |parts: &[Part]| parts.iter().any(is_it);
        let param = self.params.iter().find(|(name, value)| uses(name) || value.parts().into_iter().any(is_it));
        let header = self.headers.iter().find(|(_, parts)| uses(parts));
        let key = match (uses(&self.url), param, header) {
            (true, ..) => "path".to_owned(),
            (false, Some((name, _)), _) => format!("params/{}", template::shown(name)),
            (false, None, Some((name, _))) => format!("headers/{name}"),
            (false, None, None) => self.body.as_ref().map_or("json", body::Body::key).to_owned(),
        };
        format!("{}/endpoint/{key}", self.pointer)
    }

    /// Every part of the texts of its requests.
    fn parts(&self) -> impl Iterator<Item = &Part> {
        let of_headers = self.headers.iter().flat_map(|(_, parts)| parts);
        let of_body = self.body.iter().flat_map(body::Body::parts);
        self.url.iter().chain(body::parts_of(&self.params)).chain(of_headers).chain(of_body)
    }

    /// Every field of a parent's record that its requests use.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.parts().filter_map(|part| match part {
            Part::Field(field) => Some(field),
            _ => None,
        })
    }
}

/// What an endpoint says, or else the client, and its place.
fn nearest<'c, T>(
    key: &str,
    own: &'c Option<Option<T>>,
    of_client: &'c Option<T>,
    pointer: &str,
) -> (&'c Option<T>, String) {
    match own {
        Some(own) => (own, format!("{pointer}/endpoint/{key}")),
        None => (of_client, format!("/client/{key}")),
    }
}

/// Opens the token sources of the resources, one for all with the same `auth` object.
fn tokens(resources: &mut [Resource], base_url: &str, defects: &mut Vec<Error>) -> Vec<TokenPlan> {
    let mut tokens: Vec<TokenPlan> = Vec::new();
    for resource in resources {
        let Some(auth) = resource.auth.as_ref().filter(|auth| auth.token_url(base_url).is_some()) else { continue };
        resource.token = tokens.iter().position(|other| other.auth == *auth).or(Some(tokens.len()));
        if resource.token != Some(tokens.len()) {
            continue;
        }
        let pointer = match resource.has_own_auth {
            true => format!("{}/endpoint/auth", resource.pointer),
            false => "/client/auth".to_owned(),
        };
        let source = match auth.filled(|_| None).map(|auth| TokenSource::new(&auth, base_url)) {
            Err(slot) => Err(Error { pointer: Some(pointer.clone()), ..request::no_value(&slot) }),
            Ok(Ok(Some(source))) => Ok(source),
            Ok(Ok(None)) => continue,
            Ok(Err(error)) => {
                let inner = error.pointer.clone().unwrap_or_default();
                let error = Error { pointer: Some(format!("{pointer}{inner}")), ..error };
                defects.push(error.clone());
                Err(error)
            }
        };
        tokens.push(TokenPlan { auth: auth.clone(), pointer, origin: auth.token_origin(base_url), source });
    }
    tokens
}

/// Whether the last segment of a path holds a placeholder: such an endpoint gives one record, in one page (reference,
/// section 4.3). A cursor names no record.
fn names_entity(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default().replace("{{", "").replace("}}", "");
    let path = path.replace("{incremental.", "");
    path.trim_end_matches('/').rsplit('/').next().is_some_and(|segment| segment.contains('{'))
}

fn object(text: &str, what: &str) -> Result<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Error::config("", format!("`{what}` is not an object"))),
        Err(error) => Err(Error::config("", format!("`{what}` is not valid JSON: {error}"))),
    }
}
