//! Eight resources of an AI platform, children of children among them: many short chains of pages, at some distance.

use crate::workload::Whole;
use mock_api::{Collection, Expected, Options};
use serde_json::{Value, json};

/// What each answer takes on its way.
pub const LATENCY_MS: u64 = 20;

/// 24,000 records, 300 of them for each application and itself.
const APPLICATIONS: u64 = 80;

/// Each resource: its path, the key of its records, the size of its pages, and the ids in its path with the resource and the field that
/// have them.
type Resource = (Collection, &'static str, &'static str, u64, &'static [(&'static str, &'static str, &'static str)]);

const OF_APPLICATION: &[(&str, &str, &str)] = &[("app_id", "applications", "id")];
const OF_MODEL: &[(&str, &str, &str)] = &[("app_id", "models", "appId"), ("model_id", "models", "id")];

const RESOURCES: [Resource; 8] = [
    (Collection::Applications, "apps", "apps", 20, &[]),
    (Collection::Datasets, "apps/{app_id}/datasets", "datasets", 100, OF_APPLICATION),
    (Collection::Models, "apps/{app_id}/models", "models", 100, OF_APPLICATION),
    (Collection::ModelVersions, "apps/{app_id}/models/{model_id}/versions", "model_versions", 100, OF_MODEL),
    (Collection::Workflows, "apps/{app_id}/workflows", "workflows", 100, OF_APPLICATION),
    (Collection::AppInputs, "apps/{app_id}/inputs", "inputs", 20, OF_APPLICATION),
    (Collection::AppInputsJobs, "apps/{app_id}/inputs/jobs/add", "inputs_add_jobs", 20, OF_APPLICATION),
    (Collection::AppConcepts, "apps/{app_id}/concepts", "concepts", 20, OF_APPLICATION),
];

/// What the server has; a hundredth of it in a smoke test.
pub fn options(too_many_every: u64, is_smoke: bool) -> Options {
    Options {
        apps: if is_smoke { 1 } else { APPLICATIONS },
        datasets: 20,
        models: 3,
        versions: 8,
        workflows: 30,
        inputs: 63,
        jobs: 60,
        concepts: 99,
        latency_ms: LATENCY_MS,
        too_many_every,
        // dlt puts ids into paths as they are.
        plain_ids: true,
        ..Options::default()
    }
}

/// What a run reads.
pub fn whole(options: &Options) -> Whole {
    let expected = Expected::of(options);
    let mut whole =
        Whole { records: expected.resources.values().sum(), tables: Some(expected.tables), ..Whole::default() };
    for (collection, _, _, per_page, _) in RESOURCES {
        let chains = match collection {
            Collection::Applications => 1,
            Collection::ModelVersions => options.apps * options.models,
            _ => options.apps,
        };
        whole.chains += chains;
        // Each chain ends with an empty page.
        whole.pages += chains * (collection.count(options).div_ceil(per_page) + 1);
    }
    whole
}

/// The source, in the words that both tools have. The token stands where each has its secrets.
pub fn source(base_url: &str, token: &Value) -> Value {
    let user = Options::default().user;
    let resource = |(collection, path, selector, per_page, ids): Resource| {
        let mut params = json!({"per_page": per_page});
        for (name, resource, field) in ids {
            params[*name] = json!({"type": "resolve", "resource": resource, "field": field});
        }
        json!({
            "name": collection.resource(),
            "endpoint": {
                "path": format!("/v2/users/{user}/{path}"),
                "data_selector": selector,
                "params": params,
                "paginator": {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": null},
            },
        })
    };
    json!({
        "client": {"base_url": base_url, "auth": {"type": "bearer", "token": token}},
        "resource_defaults": {"primary_key": "id", "write_disposition": "merge"},
        "resources": RESOURCES.map(resource),
    })
}
