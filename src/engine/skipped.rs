//! Chains that failed for good and were left out (`on_error: continue`): kept in the state, and told at the end of the run.

use crate::error::{Error, Kind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many failures of a resource are told one by one.
const FIRST: usize = 10;

/// How many are told one by one in all, so that they cannot fill the state.
const MOST: usize = 100;

/// The most characters of a URL or a message that are kept.
const LONGEST: usize = 300;

/// What was left out, by resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Skipped(BTreeMap<String, OfResource>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfResource {
    first: Vec<Skip>,
    /// How many there were after those.
    more: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Skip {
    message: String,
    status: Option<u16>,
    url: Option<String>,
}

/// Whether the failure is of one chain alone. What is wrong with the file, the credentials or the run itself, or what the host's
/// policy denies, would be wrong with the others as well.
pub fn is_of_one_chain(error: &Error) -> bool {
    match error.kind {
        // A denial has no status.
        Kind::Permission => error.status.is_some(),
        Kind::RateLimited | Kind::Transient | Kind::Upstream => true,
        Kind::Config | Kind::Auth | Kind::Schema | Kind::Limit | Kind::Internal => false,
    }
}

impl Skipped {
    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in the failure of a chain.
    pub fn add(&mut self, resource: &str, error: &Error) {
        let told: usize = self.0.values().map(|of_resource| of_resource.first.len()).sum();
        let of_resource = self.0.entry(resource.to_owned()).or_default();
        if of_resource.first.len() == FIRST || told >= MOST {
            of_resource.more += 1;
            return;
        }
        let cut = |text: &str| text.chars().take(LONGEST).collect::<String>();
        let url = error.url.as_deref().map(cut);
        of_resource.first.push(Skip { message: cut(&error.message), status: error.status, url });
    }

    /// What the run tells of it.
    pub fn warnings(&self) -> Vec<Error> {
        let mut warnings = Vec::new();
        for (resource, of_resource) in &self.0 {
            for Skip { message, status, url } in &of_resource.first {
                let message = format!("what belongs to one parent's record was left out: {message}");
                let error = Error::new(Kind::Upstream, message).of(resource);
                warnings.push(Error { status: *status, url: url.clone(), ..error });
            }
            if of_resource.more > 0 {
                let message = format!("what belongs to {} more records was left out as well", of_resource.more);
                warnings.push(Error::new(Kind::Upstream, message).of(resource));
            }
        }
        warnings
    }
}
