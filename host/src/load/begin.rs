//! How a run begins from what is noted of its pipeline.

use std::collections::BTreeMap;

use super::{
    Interrupted, Options, Resumed, load_id,
    package::{KnownTable, Row},
};
use crate::{Result, changes::Changes};

/// How a run begins.
pub(super) struct Begun {
    pub resumed: Resumed,
    /// Whether it goes on with the open package.
    pub goes_on: bool,
    /// The tables of the pipeline, with those of this run.
    pub tables: Vec<KnownTable>,
    /// The tables whose staged rows are worth nothing.
    pub discarded: Vec<KnownTable>,
    /// What became of values of the staged rows.
    pub changes: Changes,
}

impl Row {
    /// Goes on with the open package, or begins one. `is_there` tells whether what is noted as staged of a table is still there.
    /// Fails where the run is to repeat one that began otherwise.
    pub fn begin(self, options: &Options, is_there: impl Fn(&KnownTable) -> bool) -> Result<Begun> {
        let mut tables = self.tables;
        // This run may deliver fewer resources: without all of its rows the package is worth nothing.
        let is_delivered = |table: &KnownTable| options.resources.iter().any(|plan| plan.table == table.root);
        let is_complete =
            tables.iter().filter(|table| table.staged > 0).all(|table| is_there(table) && is_delivered(table));
        let staged_state = self.staged_state.as_deref().or(self.state.as_deref());
        let staged_schema = self.staged_schema.as_deref().or(self.schema.as_deref());
        let is_wanted = options.repeats.as_ref().is_none_or(|repeats| {
            self.load_id.as_ref() == Some(&repeats.load_id) && repeats.begins_with(staged_state, staged_schema)
        });
        let goes_on = self.open && self.digest.as_deref() == Some(&options.digest) && is_complete && is_wanted;
        if let Some(repeats) = options.repeats.as_ref().filter(|_| !goes_on) {
            repeats.check(self.state.as_deref(), self.schema.as_deref(), self.load_id.as_deref(), self.open)?;
        }

        let changes = self.staged_changes.filter(|_| goes_on).unwrap_or_default();
        let was_staged = self.staged_state.is_some();
        let mut discarded = Vec::new();
        let (load_id, state, schema) = match self.load_id {
            Some(load_id) if goes_on => (load_id, self.staged_state.or(self.state), self.staged_schema.or(self.schema)),
            previous => {
                discarded.clone_from(&tables);
                tables.iter_mut().for_each(|table| table.staged = 0);
                let repeated = options.repeats.as_ref().map(|repeats| repeats.load_id.clone());
                let foreseen = options.foreseen.as_ref().map(|foreseen| foreseen.load_id.clone());
                let load_id = repeated.or(foreseen).unwrap_or_else(|| load_id::next(previous.as_deref()));
                (load_id, self.state, self.schema)
            }
        };
        // Root tables are known before they have rows: replace empties them even if they get none.
        for plan in &options.resources {
            let (table, root, resource) = (plan.table.clone(), plan.table.clone(), plan.resource.clone());
            let place = KnownTable { table, root, resource, parent: None, staged: 0, columns: BTreeMap::new() };
            match tables.iter_mut().find(|known| known.table == place.table) {
                Some(known) => known.place(place),
                None => tables.push(place),
            }
        }
        let interrupted = (goes_on && was_staged).then(|| Interrupted {
            rows: tables
                .iter()
                .filter(|table| table.parent.is_none() && table.staged > 0)
                .map(|table| (table.resource.clone(), table.staged))
                .collect(),
        });
        let run = u64::try_from(self.run).unwrap_or(0);
        let resumed = Resumed { load_id, run, state, schema, interrupted };
        Ok(Begun { resumed, goes_on, tables, discarded, changes })
    }
}
