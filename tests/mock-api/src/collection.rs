//! The eight collections: their names, their paths, and the ids of their records.

use crate::options::Options;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// One of the eight collections, by the name of the resource that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Collection {
    /// `/apps`
    #[value(alias = "apps")]
    Applications,
    /// `/apps/{app_id}/datasets`
    Datasets,
    /// `/apps/{app_id}/models`
    Models,
    /// `/apps/{app_id}/models/{model_id}/versions`
    #[value(alias = "versions")]
    ModelVersions,
    /// `/apps/{app_id}/workflows`
    Workflows,
    /// `/apps/{app_id}/inputs`
    #[value(alias = "inputs")]
    AppInputs,
    /// `/apps/{app_id}/inputs/jobs/add`
    #[value(alias = "inputs_add_jobs")]
    AppInputsJobs,
    /// `/apps/{app_id}/concepts`
    #[value(alias = "concepts")]
    AppConcepts,
}

impl Collection {
    /// All of them, parents first, in the order of the config.
    pub const ALL: [Self; 8] = [
        Self::Applications,
        Self::Datasets,
        Self::Models,
        Self::ModelVersions,
        Self::Workflows,
        Self::AppInputs,
        Self::AppInputsJobs,
        Self::AppConcepts,
    ];

    /// The name of the resource that reads it, which is that of its table too.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Applications => "applications",
            Self::Datasets => "datasets",
            Self::Models => "models",
            Self::ModelVersions => "model_versions",
            Self::Workflows => "workflows",
            Self::AppInputs => "app_inputs",
            Self::AppInputsJobs => "app_inputs_jobs",
            Self::AppConcepts => "app_concepts",
        }
    }

    /// The key that holds the records of a page.
    pub fn selector(self) -> &'static str {
        match self {
            Self::Applications => "apps",
            Self::AppInputs => "inputs",
            Self::AppInputsJobs => "inputs_add_jobs",
            Self::AppConcepts => "concepts",
            other => other.resource(),
        }
    }

    /// How many records each parent has.
    pub fn count(self, options: &Options) -> u64 {
        match self {
            Self::Applications => options.apps,
            Self::Datasets => options.datasets,
            Self::Models => options.models,
            Self::ModelVersions => options.versions,
            Self::Workflows => options.workflows,
            Self::AppInputs => options.inputs,
            Self::AppInputsJobs => options.jobs,
            Self::AppConcepts => options.concepts,
        }
    }

    /// All its parents, in the order of the API.
    pub(crate) fn parents(self, options: &Options) -> Vec<Parent> {
        match self {
            Self::Applications => vec![Parent::User],
            Self::ModelVersions => (0..options.apps)
                .flat_map(|app| (0..options.models).map(move |model| Parent::Model { app, model }))
                .collect(),
            _ => (0..options.apps).map(|app| Parent::App { app }).collect(),
        }
    }
}

/// Whose records a collection holds, by indexes from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    User,
    App { app: u64 },
    Model { app: u64, model: u64 },
}

/// The collection and the parent that a path names, or `None` where there is no such thing.
///
/// Segments are decoded one by one, after the path was cut: an id may hold an encoded `/`.
pub(crate) fn route(path: &str, options: &Options) -> Option<(Collection, Parent)> {
    let decoded = path.strip_prefix("/v2/users/")?.split('/').map(|segment| percent_decode_str(segment).decode_utf8());
    let segments: Vec<_> = decoded.collect::<Result<_, _>>().ok()?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let (user, rest) = segments.split_first()?;
    if *user != options.user {
        return None;
    }
    let [apps, app_text, rest @ ..] = rest else {
        return (rest == ["apps"]).then_some((Collection::Applications, Parent::User));
    };
    let app = index_after(app_text, "app-")?;
    if *apps != "apps" || app >= options.apps || app_id(options, app) != *app_text {
        return None;
    }
    let of_app = |collection| Some((collection, Parent::App { app }));
    match rest {
        ["datasets"] => of_app(Collection::Datasets),
        ["models"] => of_app(Collection::Models),
        ["models", model_text, "versions"] => {
            let model = index_after(model_text.strip_prefix(*app_text)?, ".model-")?;
            let known = model < options.models && model_id(options, app, model) == *model_text;
            known.then_some((Collection::ModelVersions, Parent::Model { app, model }))
        }
        ["workflows"] => of_app(Collection::Workflows),
        ["inputs"] => of_app(Collection::AppInputs),
        ["inputs", "jobs", "add"] => of_app(Collection::AppInputsJobs),
        ["concepts"] => of_app(Collection::AppConcepts),
        _ => None,
    }
}

/// The path of a collection, with its ids percent-encoded.
pub(crate) fn path(collection: Collection, parent: Parent, options: &Options) -> String {
    let encoded = |id: &str| utf8_percent_encode(id, NON_ALPHANUMERIC).to_string();
    let apps = format!("/v2/users/{}/apps", encoded(&options.user));
    let app = match parent {
        Parent::User => return apps,
        Parent::App { app } | Parent::Model { app, .. } => format!("{apps}/{}", encoded(&app_id(options, app))),
    };
    match (collection, parent) {
        (_, Parent::Model { app: index, model }) => {
            format!("{app}/models/{}/versions", encoded(&model_id(options, index, model)))
        }
        (Collection::AppInputsJobs, _) => format!("{app}/inputs/jobs/add"),
        (other, _) => format!("{app}/{}", other.selector()),
    }
}

/// The number that stands after the prefix, whatever follows it.
fn index_after(text: &str, prefix: &str) -> Option<u64> {
    let rest = text.strip_prefix(prefix)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// What makes an id need percent-encoding in a path, for some of the indexes, the small ones among them.
fn suffix(options: &Options, index: u64) -> &'static str {
    match index % 6 {
        _ if options.plain_ids => "",
        1 => " north/ü",
        2 => "+50%?#&",
        _ => "",
    }
}

/// The id of an application.
pub(crate) fn app_id(options: &Options, app: u64) -> String {
    format!("app-{app}{}", suffix(options, app))
}

/// The id of a model: no other application has a model of this id.
pub(crate) fn model_id(options: &Options, app: u64, model: u64) -> String {
    format!("{}.model-{model}{}", app_id(options, app), suffix(options, model))
}

/// The id of a record: no other record of the collection has it, whatever the parent.
pub(crate) fn record_id(options: &Options, collection: Collection, parent: Parent, index: u64) -> String {
    let kind = match collection {
        Collection::Applications => return app_id(options, index),
        Collection::Datasets => "dataset",
        Collection::Models => "model",
        Collection::ModelVersions => "version",
        Collection::Workflows => "workflow",
        Collection::AppInputs => "input",
        Collection::AppInputsJobs => "job",
        Collection::AppConcepts => "concept",
    };
    match parent {
        Parent::User => format!("{kind}-{index}"),
        Parent::App { app } if collection == Collection::Models => model_id(options, app, index),
        Parent::App { app } => format!("{}.{kind}-{index}", app_id(options, app)),
        Parent::Model { app, model } => format!("{}.{kind}-{index}", model_id(options, app, model)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;
    use std::collections::HashSet;

    #[test]
    fn every_path_leads_back_to_its_collection() {
        let options = Options { apps: 8, user: "a/b ü".to_owned(), ..Options::default() };
        for collection in Collection::ALL {
            for parent in collection.parents(&options) {
                assert_eq!(route(&path(collection, parent, &options), &options), Some((collection, parent)));
            }
        }
    }

    #[test]
    fn an_undecoded_or_unknown_id_leads_nowhere() {
        let options = Options::default();
        assert!(route("/v2/users/acme/apps/app-0/models", &options).is_some());
        for wrong in [
            "/v2/users/acme",
            "/v2/users/acme/apps/",
            "/v2/users/acme/apps/app-0",
            "/v2/users/acme/apps/app-00/models",
            "/v2/users/acme/apps/app-1/models",
            "/v2/users/acme/apps/app-1 north/ü/models",
            "/v2/users/acme/apps/app-1%2520north%252F%25C3%25BC/models",
            "/v2/users/acme/apps/app-3/models",
            "/v2/users/acme/apps/app-0/models/app-0.model-3/versions",
            "/v2/users/acme/apps/app-0/models/%FF/versions",
            "/v2/users/other/apps",
        ] {
            assert_eq!(route(wrong, &options), None, "{wrong}");
        }
    }

    #[test]
    fn plain_ids_stand_in_paths_as_they_are() {
        let options = Options { apps: 8, models: 8, plain_ids: true, ..Options::default() };
        for app in 0..8 {
            assert_eq!(app_id(&options, app), format!("app-{app}"));
            let models = format!("/v2/users/acme/apps/app-{app}/models");
            assert_eq!(route(&models, &options), Some((Collection::Models, Parent::App { app })));
            let versions = format!("{models}/app-{app}.model-7/versions");
            assert_eq!(route(&versions, &options), Some((Collection::ModelVersions, Parent::Model { app, model: 7 })));
        }
    }

    #[test]
    fn ids_are_unique_over_all_parents() {
        let options = Options { apps: 13, models: 13, ..Options::default() };
        for collection in Collection::ALL {
            let mut seen = HashSet::new();
            for parent in collection.parents(&options) {
                for index in 0..collection.count(&options) {
                    assert!(seen.insert(record_id(&options, collection, parent, index)));
                }
            }
        }
    }

    #[test]
    fn a_flag_names_a_collection_by_resource_or_selector() {
        for collection in Collection::ALL {
            assert_eq!(Collection::from_str(collection.resource(), false), Ok(collection));
            assert_eq!(Collection::from_str(collection.selector(), false), Ok(collection));
        }
    }
}
