//! A run whose answers are kept.

use super::writer::blocking;
use super::{Options, Run};
use crate::gate::{KeptAnswers, OfLoad};
use crate::pipeline::Pipeline;
use crate::{COMPONENT_DIGEST, Class, Error};
use std::path::Path;

impl Run {
    /// What an interrupted run of this load kept, where it reads the same ([`Run::digest`]), and a place to keep what this one is answered.
    pub(super) fn kept_answers(&self, options: &Options, digest: &str, load: &OfLoad<'_>) -> Option<KeptAnswers> {
        // Ours makes a request twice only where both mean the same; another component may ask a queue for what is next.
        let is_ours = self.connector.digest() == COMPONENT_DIGEST;
        let folder = options.keep_answers.as_ref().filter(|_| is_ours && self.tape.is_none())?;
        let Pipeline { name, dataset, destination, .. } = &self.pipeline;
        // A relative path is another destination elsewhere.
        let here = std::env::current_dir().unwrap_or_default();
        let whose = [self.tenant.name(), name, dataset, destination, &here.to_string_lossy(), digest];
        // Here, and not on a thread of its own: one that is started waits until the database's library is linked.
        KeptAnswers::open(folder, &whose, load)
    }
}

/// Removes all answers in a folder ([`Options::keep_answers`]) that no run uses.
pub fn forget_answers(folder: &Path) {
    KeptAnswers::forget(folder);
}

/// Removes what was kept, unless the next run is to go on with it: an answer that nothing can be made of would end that one too.
pub(super) async fn end(kept: KeptAnswers, error: Option<&Error>) {
    if error.is_some_and(|error| matches!(error.class, Class::Destination | Class::Interrupted)) {
        return;
    }
    let removed = blocking(move || {
        kept.remove();
        Ok(())
    });
    // The run has ended as it did.
    let _ = removed.await;
}
