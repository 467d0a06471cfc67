//! The two parts of a source: what the connector gets, and the credentials that it does not.

use super::Pipeline;
use crate::gate::Withheld;
use crate::sandbox::SourceConfig;
use crate::{Class, Error};
use serde_json::{Map, Value};
use spile_connector::{config, error};

/// A source without its credentials.
pub struct Parted {
    /// What the connector gets.
    pub source: SourceConfig,
    /// What it does not get.
    pub withheld: Withheld,
    /// What is wrong with the credentials. They were taken out all the same, so that the connector can tell what else is wrong.
    pub defects: Vec<Error>,
}

impl Pipeline {
    /// Takes the credentials out of the source.
    pub fn part(&self) -> Parted {
        let mut source = self.source.clone();
        let mut defects: Vec<Error> = config::take_wrong_auth(&mut source).into_iter().map(own).collect();
        let withheld = Withheld::take(&mut source).unwrap_or_else(|error| {
            defects.push(error);
            Withheld::default()
        });
        let bindings: Map<String, Value> =
            self.bindings.iter().map(|(name, field)| (name.clone(), Value::String(field.clone()))).collect();
        let source = SourceConfig {
            config: source.to_string(),
            params: Value::Object(self.params.clone()).to_string(),
            bindings: Value::Object(bindings).to_string(),
        };
        Parted { source, withheld, defects }
    }

    /// All defects of the source as one error, each at its place in the file.
    pub fn refused(&self, defects: impl IntoIterator<Item = Error>) -> Option<Error> {
        Error::all(defects.into_iter().map(|defect| self.locate(defect)))
    }

    /// One error of all variables that nothing binds: the index of each resource, and the variable.
    pub fn unbound<'n>(&self, variables: impl IntoIterator<Item = (usize, &'n str)>) -> Option<Error> {
        let defects = variables.into_iter().map(|(index, name)| {
            let resource = format!("/resources/{index}");
            let place = [resource.as_str(), "/resource_defaults"].into_iter().find_map(|at| {
                let value = self.source.pointer(&format!("{at}/endpoint")).or_else(|| self.source.pointer(at))?;
                let at = if self.source.pointer(&format!("{at}/endpoint")).is_some() { format!("{at}/endpoint") } else { at.to_owned() };
                find(value, at, &format!("{{{name}}}"))
            });
            let known = self.params.keys().chain(self.bindings.keys()).map(String::as_str);
            let near = config::nearest(name, known).map(|near| format!("did you mean `{{{near}}}`? Or ")).unwrap_or_default();
            let advice = format!(
                "{near}give it a value with `--param {name}=VALUE` or in the endpoint's `params`; or fill it from another \
                 resource's records with `bindings: {{{name}: parent.field}}` in the pipeline, \
                 `--bind {name}=parent.field`, or `{{resources.parent.field}}` in the path"
            );
            let name_of = |resource: &Value| resource.get("name").unwrap_or(resource).as_str().map(str::to_owned);
            let error = Error::new(Class::Config, format!("nothing binds the path variable `{name}`"))
                .at(place.unwrap_or_else(|| format!("{resource}/endpoint/path")))
                .advice(advice);
            match self.source.pointer(&resource).and_then(name_of) {
                Some(resource) => error.fact("resource", resource),
                None => error,
            }
        });
        self.refused(defects)
    }

    /// What is better said otherwise in the source. The connector says so too, but only of a source without defects.
    pub fn warnings(&self) -> Vec<Error> {
        config::warnings(&self.source).into_iter().map(own).collect()
    }
}

/// Where in a value, which stands at `pointer`, a text with this in it stands.
fn find(value: &Value, pointer: String, text: &str) -> Option<String> {
    match value {
        Value::String(whole) => whole.contains(text).then_some(pointer),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| find(item, format!("{pointer}/{index}"), text))
        }
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            find(value, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), text)
        }),
        _ => None,
    }
}

/// An error of the configuration, as our own.
pub fn own(error: error::Error) -> Error {
    let mut own = Error::new(Class::Config, error.message);
    (own.pointer, own.advice) = (error.pointer, error.advice);
    own.facts.extend(error.resource.map(|resource| ("resource", resource)));
    own
}
