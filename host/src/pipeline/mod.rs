//! The pipeline file: a source, a destination and a policy, in one file.
//!
//! A file may also be the bare source, as dlt users have it; then flags say the rest.

pub mod document;
pub mod source;

use crate::component::Place;
use crate::policy::{Operator, PolicyFile};
use crate::{Class, Error, Result};
use document::Document;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
pub use source::Parted;
use spile_connector::config::validate;
use spile_connector::error::Error as Defect;
use spile_connector::plan::template::Field;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A pipeline as it stands in the file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "pipeline")]
struct PipelineFile {
    /// Names the pipeline; at a destination, one pipeline has one state. The file's stem if absent.
    name: Option<String>,
    /// What to read, in the dialect of dlt's `rest_api_source`.
    source: Map<String, Value>,
    /// Another component than the one that travels inside the program: its path, which begins at the folder of this file, or
    /// `oci://HOST/NAME@sha256:…` for one in a registry.
    component: Option<String>,
    /// Values of path variables, by name.
    #[serde(default)]
    params: Map<String, Value>,
    /// The parent's field that fills a path variable, by name: `app_id: applications.id`.
    #[serde(default)]
    bindings: BTreeMap<String, String>,
    /// Where the values of secrets are, by name: `env:VARIABLE` or `file:PATH`.
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    /// A file of secrets in TOML, as dlt's `secrets.toml`; its path begins at the folder of this file.
    secrets_file: Option<String>,
    /// Where the rows go: `duckdb:PATH`, `postgresql://USER@HOST/DATABASE`, `sqlite:PATH` or `parquet:DIR`.
    destination: Option<String>,
    /// The schema of the tables at the destination; `<name>_dataset` if absent.
    dataset: Option<String>,
    /// Whether a run fails, and publishes nothing, where a value did not go into its column as it is, or something looks as if rows
    /// were lost.
    #[serde(default)]
    strict: bool,
    /// What the source may do.
    #[serde(default)]
    policy: PolicyFile,
}

/// A pipeline, checked as far as it can be without asking the connector.
pub struct Pipeline {
    /// The file, for the places of errors.
    pub document: Document,
    /// Its name.
    pub name: String,
    /// What to read: the connector checks it.
    pub source: Value,
    /// The component that reads it; None for the one that travels inside the program. Who runs the pipeline loads it.
    pub component: Option<Place>,
    /// Values of path variables.
    pub params: Map<String, Value>,
    /// `parent.field`, by path variable.
    pub bindings: BTreeMap<String, String>,
    /// `env:…` or `file:…`, by slot.
    pub secrets: BTreeMap<String, String>,
    /// A file of secrets.
    pub secrets_file: Option<PathBuf>,
    /// The folder that the file is in; empty where it is none.
    pub folder: PathBuf,
    /// Where the rows go.
    pub destination: String,
    /// The schema of the tables.
    pub dataset: String,
    /// Whether a run fails where a value did not go into its column as it is, or something looks as if rows were lost.
    pub strict: bool,
    /// What its operator permits.
    pub operator: Operator,
    /// Where the source stands in the file: `/source`, or nothing where the file is the source.
    source_at: &'static str,
}

/// Where a file says which component reads it.
const COMPONENT_AT: &str = "/component";

/// The JSON Schema of a pipeline file.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(PipelineFile).to_value();
    // The source's own schema stands in its place; its definitions join the others.
    let mut source = spile_connector::config::schema();
    let definitions = source.as_object_mut().and_then(|source| source.remove("$defs"));
    if let (Some(Value::Object(target)), Some(Value::Object(definitions))) = (schema.get_mut("$defs"), definitions) {
        target.extend(definitions);
    }
    if let Some(place) = schema.pointer_mut("/properties/source") {
        *place = source;
    }
    schema
}

impl Pipeline {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        let document = Document::read(path)?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("pipeline");
        let mut pipeline = Self::new(document, stem)?;
        pipeline.folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        pipeline.secrets_file = pipeline.secrets_file.map(|file| pipeline.folder.join(file));
        pipeline.component = pipeline.component.map(|place| place.from_folder(&pipeline.folder));
        Ok(pipeline)
    }

    /// Takes a document for a pipeline. `stem` is its name where it gives none.
    pub fn new(document: Document, stem: &str) -> Result<Self> {
        let has = |key: &str| document.value.get(key).is_some();
        let (file, source_at) = if !has("source") && (has("client") || has("resources")) {
            let Value::Object(source) = document.value.clone() else { return Err(no_pipeline(&document)) };
            if let Some(error) = Error::all(of_pipeline(&document, &source)) {
                return Err(error);
            }
            let nothing = serde_json::json!({"source": {}});
            (PipelineFile { source, ..typed(&document, nothing)? }, "")
        } else if document.value.is_object() && (has("source") || has("name")) {
            let schema = schemars::schema_for!(PipelineFile).to_value();
            let defects = validate(&schema, &document.value);
            let defects = defects.into_iter().chain(wrong_bindings(&document.value)).map(|defect| {
                let pointer = defect.pointer.unwrap_or_default();
                let error = Error::new(Class::Config, defect.message).in_file(&document, &document.place(&pointer));
                Error { advice: defect.advice, ..error }
            });
            if let Some(error) = Error::all(defects) {
                return Err(error);
            }
            (typed(&document, document.value.clone())?, "/source")
        } else {
            return Err(no_pipeline(&document));
        };
        let name = file.name.unwrap_or_else(|| stem.to_owned());
        let component = file.component.as_deref().map(|place| component(place, &document)).transpose()?;
        Ok(Self {
            component,
            source: Value::Object(file.source),
            params: file.params,
            bindings: file.bindings,
            secrets: file.secrets,
            secrets_file: file.secrets_file.map(PathBuf::from),
            folder: PathBuf::new(),
            destination: file.destination.unwrap_or_else(|| format!("duckdb:{name}.duckdb")),
            dataset: file.dataset.unwrap_or_else(|| dataset(&name)),
            strict: file.strict,
            operator: file.policy.operator(&document, "/policy")?,
            name,
            document,
            source_at,
        })
    }

    /// Adds the place in the file to an error about the component.
    pub fn locate_component(&self, error: Error) -> Error {
        error.in_file(&self.document, &self.document.place(COMPONENT_AT))
    }

    /// Adds the place in the file to an error that has a pointer into the source.
    pub fn locate(&self, mut error: Error) -> Error {
        error.more = std::mem::take(&mut error.more).into_iter().map(|more| self.locate(more)).collect();
        match &error.pointer {
            Some(pointer) if error.places.is_empty() => {
                let place = self.document.place(&format!("{}{pointer}", self.source_at));
                error.in_file(&self.document, &place)
            }
            _ => error,
        }
    }
}

/// dlt's default: the pipeline's name with `_dataset` behind it. The suffix also keeps the schema apart from a database of
/// the pipeline's name, which DuckDB could not tell from it.
fn dataset(name: &str) -> String {
    format!("{}_dataset", spile_connector::shape::naming::identifier(name))
}

/// Where the component is. What may run may not change under the file, so a reference has a digest.
fn component(place: &str, document: &Document) -> Result<Place> {
    let pinned = |place: Place| match &place {
        Place::Registry(reference) => reference.pinned().map(|_| place),
        Place::File(_) => Ok(place),
    };
    place.parse().and_then(pinned).map_err(|error: Error| error.in_file(document, &document.place(COMPONENT_AT)))
}

fn typed(document: &Document, value: Value) -> Result<PipelineFile> {
    serde_json::from_value(value)
        .map_err(|error| Error::new(Class::Config, error.to_string()).in_file(document, &document.place("")))
}

/// Bindings that name no field.
fn wrong_bindings(pipeline: &Value) -> Vec<Defect> {
    let bindings = pipeline.get("bindings").and_then(Value::as_object).into_iter().flatten();
    let wrong = bindings.filter_map(|(name, field)| {
        let text = field.as_str().filter(|text| Field::parse(text).is_none())?;
        let message = format!("\"{text}\" names no field of another resource's records");
        Some(
            Defect::config(format!("/bindings/{name}"), message)
                .advice(format!("write `{name}: parent.field`, such as `app_id: applications.id`")),
        )
    });
    wrong.collect()
}

/// Keys of a pipeline in a file that is a bare source.
fn of_pipeline<'d>(document: &'d Document, source: &'d Map<String, Value>) -> impl Iterator<Item = Error> + 'd {
    let keys = schemars::schema_for!(PipelineFile).to_value();
    let is_of_pipeline = move |key: &String| keys.pointer("/properties").is_some_and(|keys| keys.get(key).is_some());
    source.keys().filter(move |key| is_of_pipeline(key)).map(|key| {
        let message = format!("the key `{key}` belongs to a pipeline, and this file is a bare source");
        Error::new(Class::Config, message)
            .in_file(document, &document.place(&format!("/{key}")))
            .advice("write `client`, `resource_defaults` and `resources` under the key `source`")
    })
}

fn no_pipeline(document: &Document) -> Error {
    Error::new(Class::Config, format!("{} is neither a pipeline nor a source", document.name))
        .in_file(document, &document.place(""))
        .advice("a pipeline has the key `source`; a source has the keys `client` and `resources`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(text: &str) -> Result<Pipeline> {
        Pipeline::new(Document::parse("shop.yaml", "yaml", text.to_owned())?, "shop")
    }

    #[test]
    fn a_bare_source_is_a_pipeline_of_its_own() {
        let pipeline = pipeline("client: {base_url: x}\nresources: []\n").unwrap();
        assert_eq!((pipeline.name.as_str(), pipeline.dataset.as_str()), ("shop", "shop_dataset"));
        assert_eq!(pipeline.destination, "duckdb:shop.duckdb");
        let error = pipeline.locate(Error::new(Class::Config, "x").at("/client/base_url"));
        assert_eq!(error.places[0].to_string(), "shop.yaml:1:10");
    }

    #[test]
    fn errors_of_the_source_have_their_place_in_the_pipeline() {
        let pipeline = pipeline("name: a-b\nsource:\n  client:\n    base_url: x\n").unwrap();
        assert_eq!(pipeline.dataset, "a_b_dataset");
        let error = pipeline.locate(Error::new(Class::Config, "x").at("/client/base_url"));
        assert_eq!(error.places[0].to_string(), "shop.yaml:4:5");
    }

    #[test]
    fn a_component_in_a_registry_is_pinned() {
        let with = |component: &str| pipeline(&format!("source: {{}}\ncomponent: {component}\n"));
        assert_eq!(with("a/b.wasm").unwrap().component, Some(Place::File("a/b.wasm".into())));
        let pinned = format!("oci://a.example/b@sha256:{:064}", 0);
        assert_eq!(with(&pinned).unwrap().component.unwrap().to_string(), pinned);
        let error = with("oci://a.example/b:1").err().unwrap();
        assert!(error.message.contains("has no digest"), "{error}");
        assert_eq!(error.places[0].to_string(), "shop.yaml:2:1");
    }

    #[test]
    fn every_defect_of_the_envelope_is_told() {
        let error = pipeline("source: {}\nparam: {}\ndataset: 3\nbindings: {a: [1]}\n").err().unwrap();
        let told: Vec<String> =
            std::iter::once(&error).chain(&error.more).map(|e| format!("{} {e}", e.places[0])).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("shop.yaml:2:1 unknown key `param`"), "{told:?}");
        assert_eq!(error.advice.as_deref(), Some("did you mean `params`?"));
        assert!(pipeline("a: 1\n").is_err());
        assert!(pipeline("[]").is_err());
    }
}
