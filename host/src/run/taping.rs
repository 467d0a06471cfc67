//! A run on a tape.

use super::{BATCH_BYTES, Run};
use crate::gate::tape::{Beginning, Part};
use crate::load::Repeats;
use crate::sandbox::{Extent, OpenRequest};
use crate::{Error, Result};
use serde_json::json;

impl Run {
    /// What decides what the connector does, apart from where it begins and what it is answered.
    pub(super) fn beginning(&self, command: &str, request: &OpenRequest, rows: usize) -> Beginning {
        let OpenRequest { source, resources, window, load_id, extent, .. } = request;
        let Extent { since, until, full_refresh } = extent;
        let parts = vec![
            (Part::Command, command.to_owned()),
            (Part::Component, self.connector.digest().to_owned()),
            (Part::Config, source.config.clone()),
            (Part::Params, source.params.clone()),
            (Part::Bindings, source.bindings.clone()),
            (Part::Resources, json!(resources).to_string()),
            (Part::Extent, json!({"since": since, "until": until, "full_refresh": full_refresh}).to_string()),
            (Part::Window, window.to_string()),
            (Part::Batches, json!({"rows": rows, "bytes": BATCH_BYTES}).to_string()),
        ];
        Beginning { load_id: load_id.clone(), parts }
    }

    /// Puts on the tape what the connector begins with; a replay must begin with the same.
    pub(super) fn begin_tape(&self, command: &str, request: &OpenRequest, rows: usize) -> Result<()> {
        let Some(tape) = &self.tape else { return Ok(()) };
        let mut beginning = self.beginning(command, request, rows);
        beginning.parts.push((Part::State, Repeats::named(request.state.as_deref())));
        beginning.parts.push((Part::Schema, Repeats::named(request.schema.as_deref())));
        tape.begin(&beginning)
    }

    /// Ends the tape after the connector's last call, with what came of it. Gives what there is to say of the tape.
    pub(super) fn end_tape<T>(&self, outcome: Result<T>) -> Result<(T, Option<Error>)> {
        let Some(tape) = &self.tape else { return outcome.map(|value| (value, None)) };
        let ended = tape.end(outcome.as_ref().err());
        match (outcome, ended) {
            (Ok(value), ended) => ended.map(|warning| (value, warning)),
            // What sent a replay astray comes before what followed from it.
            (Err(_), Err(error)) if tape.is_replay() => Err(error),
            (Err(error), Err(other)) => Err(error.fact("also", other)),
            (Err(error), Ok(_)) => Err(error),
        }
    }
}
