//! Whether a component keeps to the contract: the conformance suite for connectors, whatever they read.
//!
//! A source is read once from its API. All else is asked against what the API answered then ([`crate::gate::Rehearsal`]): in small
//! batches, from the state of each batch, with other windows, and against an API that answers every request with one failure. So an API
//! is asked no more than in a run, and what is compared has the same answers.
//!
//! | file | what |
//! |---|---|
//! | `alone` | what can be seen of a component without a source |
//! | `read` | what can be seen while it reads one |
//! | `reading` | a reading: batches, and how it ended |
//! | `report` | what was found |

mod alone;
mod read;
mod reading;
mod report;

pub use report::{Check, Outcome, Report};

use crate::Result;
use crate::gate::Secrets;
use crate::pipeline::Pipeline;
use crate::run::Run;
use crate::sandbox::Host;
use crate::tenant::Tenant;

/// A check and what it found; the reason where it failed.
type Found = std::result::Result<(), String>;

/// What a component is verified with.
pub struct Verification<'a> {
    host: &'a Host,
    tenant: &'a Tenant,
    source: Option<(Pipeline, Secrets)>,
    /// Whether what the component asks for is approved.
    is_approved: &'a dyn Fn(&Run) -> Result<()>,
}

impl<'a> Verification<'a> {
    /// With a source that the component reads, and the secrets that it needs; without one, only what needs none is looked at.
    /// `is_approved` fails where the component asks for more than it was granted: nothing is sent then.
    pub fn new(
        host: &'a Host,
        tenant: &'a Tenant,
        source: Option<(Pipeline, Secrets)>,
        is_approved: &'a dyn Fn(&Run) -> Result<()>,
    ) -> Self {
        Self { host, tenant, source, is_approved }
    }

    /// Makes all checks of a component. A check whose ground is missing, since one before it failed, is skipped.
    pub async fn verify(self, wasm: &[u8]) -> Report {
        let mut report = Report::default();
        let connector = match self.host.load(wasm) {
            Ok(connector) => connector,
            Err(error) => {
                report.add("component", Err(told(&error)));
                report.skip(&alone::CHECKS, "it is not a connector that this host runs");
                report.skip(&read::CHECKS, "it is not a connector that this host runs");
                return report;
            }
        };
        // The host looks at what is imported, and at the version of what is exported, before it gives a connector.
        report.add("component", Ok(()));
        let config = self.source.as_ref().map(|(pipeline, _)| pipeline.source.clone());
        alone::check(&connector, config.as_ref(), &mut report).await;
        let Some((pipeline, secrets)) = self.source else {
            report.skip(&read::CHECKS, "it needs a source: give one with --config");
            return report;
        };
        let run = Run::new(self.tenant, &connector, pipeline).await;
        match run.and_then(|run| (self.is_approved)(&run).map(|()| run)) {
            Ok(run) => read::check(run, &secrets, &mut report).await,
            Err(error) => {
                report.add(read::CHECKS[0], Err(told(&error)));
                report.skip(&read::CHECKS[1..], "the source is not described, or what it asks for is not approved");
            }
        }
        report
    }
}

/// An error in a line.
fn told(error: &crate::Error) -> String {
    let kind = error.kind.map(|kind| format!("`{kind}`: ")).unwrap_or_default();
    let place = error.pointer.as_deref().map(|pointer| format!("; at: {pointer}")).unwrap_or_default();
    format!("{kind}{error}{place}")
}
