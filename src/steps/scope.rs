//! What expressions see besides the record.

use super::Steps;
use crate::expression::{self, Value, times};
use crate::plan::{Context, Resource};
use serde_json::json;
use url::Url;

/// The variables of a page's records. Those that no expression uses have no value.
#[derive(Default)]
pub struct Scope {
    /// Fields of the parent's record.
    pub parent: Value,
    /// The query parameters of the request.
    pub params: Value,
    /// `load_id` and `started_at` of the run.
    pub run: Value,
}

impl Scope {
    /// The variables for the records of a page of `resource`, which was asked for at `url`, if it was asked for.
    pub fn new(
        resource: &Resource,
        parent: Option<&Resource>,
        context: &Context,
        url: Option<&Url>,
        load_id: &str,
    ) -> Self {
        let uses = |variable: &str| Steps::use_variable(&resource.steps, variable);
        let mut scope = Self::default();
        if uses("parent") {
            let fields = parent.into_iter().flat_map(|parent| &parent.shown);
            scope.parent = expression::value(&context.object(fields));
        }
        if let Some(url) = url.filter(|_| uses("params")) {
            scope.params = expression::value(&resource.shown_params(url));
        }
        if uses("run") {
            scope.run = expression::value(&json!({"load_id": load_id, "started_at": started_at(load_id)}));
        }
        scope
    }
}

/// When the run began. The name of its load says it, and stays the same where a run is cut off and goes on.
fn started_at(load_id: &str) -> Option<String> {
    let seconds: f64 = load_id.parse().ok()?;
    times::of_number(seconds).map(|instant| instant.to_string())
}
