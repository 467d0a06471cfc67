//! A package in files: its rows in files that no reader looks at, until they are moved to the folders of their tables.
//!
//! What a database does in transactions the manifest does here, which is replaced at once:
//!
//! - A commit writes its files first, and then a manifest that names them. Files that none names are rests of a commit that did not
//!   come to its end; the next run removes them.
//! - A publication writes a manifest first, with the files that the tables are to have: from then on it is decided. Then files are
//!   moved and removed, and a last manifest says that this is done. Whoever finds one that is `publishing` does the rest.
//!
//! Files are moved in before those that they replace are removed. So no reader misses rows, though for an instant one that lists a
//! folder may find both.

mod loads;
mod manifest;
mod records;
#[cfg(test)]
mod tests;

use std::{mem, path::Path};

use self::manifest::{DataFile, Manifest, Move, Status, TableFiles, file_schema, rows};
use super::{
    Batch, Options, Published, PublishedTable, ResourcePlan, Resumed, WriteDisposition,
    package::overtaken,
    staging::{Pending, Staging},
    staging_table::StagingTable,
    store::Store,
};
use crate::{
    changes::Changes,
    destination::{
        dialect::Dialect,
        parquet::{Folder, unusable_folder},
    },
    error::{Class, Error, Result},
};

/// Checks what some options ask of files.
pub(super) fn check(options: &Options) -> Result<()> {
    let wrong = |message: String| Err(Error::new(Class::Config, message));
    for (what, name) in [("dataset", &options.dataset), ("pipeline", &options.pipeline)] {
        if let Some(reason) = unusable_folder(name) {
            return wrong(format!("the {what} {reason}"));
        }
    }
    let dataset = options.dataset.to_lowercase();
    if dataset.starts_with("_dlt_") || dataset.starts_with("_spile_") {
        return wrong(format!(
            "the dataset is called `{}`; names that begin with `_dlt_` or `_spile_` are reserved",
            options.dataset
        ));
    }
    for plan in &options.resources {
        if let Some(reason) = unusable_folder(&plan.table) {
            return wrong(format!("the table of resource `{}` {reason}", plan.resource));
        }
        if let WriteDisposition::Merge(_) = plan.write_disposition {
            return Err(Error::new(Class::Config, "Parquet files cannot be merged into: rows in a file do not change")
                .fact("resource", &plan.resource)
                .advice(
                    "write `write_disposition: append` or `replace` for it, or write to a database, such as duckdb:PATH",
                ));
        }
    }
    Ok(())
}

/// A run's hold on a pipeline's files.
pub(super) struct Files {
    folder: Folder,
    /// As it is in the folder.
    manifest: Manifest,
}

impl Files {
    pub fn begin(directory: &Path, options: &Options) -> Result<(Self, Staging, Resumed)> {
        let folder = Folder::open(directory, &options.dataset, &options.pipeline)?;
        let manifest = Manifest::read(&folder, &options.pipeline)?;
        let mut files = Self { folder, manifest };
        if files.manifest.status == Status::Publishing {
            files.finish()?;
        }
        let mut next = files.manifest.clone();
        next.run += 1;
        let are_there =
            |table: &TableFiles| table.staged_files.iter().all(|file| files.folder.is_staged(&table.table, &file.name));
        let begun = next.row().begin(options, |known| next.table(&known.table).is_none_or(are_there))?;
        if !begun.goes_on {
            next.settle();
        }
        next.status = Status::Open;
        next.digest = Some(options.digest.clone());
        next.load_id = Some(begun.resumed.load_id.clone());
        next.place(begun.tables.clone());
        files.replace(next)?;
        files.sweep()?;

        let tables = begun.tables.into_iter().map(|known| {
            let columns = files.manifest.table(&known.table).map(|table| table.staged_columns.clone());
            StagingTable::with_columns(known, columns.unwrap_or_default())
        });
        let stored = files.manifest.tables.iter().map(|table| (table.table.clone(), table.columns.clone()));
        let staging = Staging::of(tables.collect(), stored.collect(), begun.changes);
        Ok((files, staging, begun.resumed))
    }

    /// Proves the fence. The lock keeps other runs out, as long as its file is not removed and the file system keeps locks.
    fn prove(&self) -> Result<()> {
        let Manifest { pipeline, run, .. } = &self.manifest;
        let found = Manifest::read(&self.folder, pipeline)?;
        if found.run == *run { Ok(()) } else { Err(overtaken(pipeline, *run)) }
    }

    /// Proves the fence, and puts a manifest in the place of the one that is there.
    fn replace(&mut self, next: Manifest) -> Result<()> {
        self.prove()?;
        next.write(&self.folder)?;
        self.manifest = next;
        Ok(())
    }

    /// Does what is left to do of a publication that is decided.
    fn finish(&mut self) -> Result<()> {
        self.manifest.moves().try_for_each(|step| self.carry_out(step))?;
        for table in self.manifest.all().filter(|table| !table.staged_files.is_empty() || !table.old_files.is_empty()) {
            self.folder.settle(&table.table)?;
        }
        let mut next = self.manifest.clone();
        next.status = Status::Done;
        next.settle();
        self.replace(next)
    }

    fn carry_out(&self, step: Move<'_>) -> Result<()> {
        match step {
            Move::In(table, name) => self.folder.publish(table, name),
            Move::Out(table, name) => self.folder.remove(table, name),
        }
    }

    /// Decides that what is staged is published: the manifest says it, and nothing has moved yet.
    fn decide(&mut self, options: &Options, next_state: &str) -> Result<Published> {
        self.prove()?;
        let mut next = self.manifest.clone();
        let load_id = next.load_id.clone().unwrap_or_default();
        let mut published = Published {
            load_id: load_id.clone(),
            tables: Vec::new(),
            changes: Changes::default(),
            warnings: Vec::new(),
        };
        for (index, plan) in options.resources.iter().enumerate() {
            if options.resources.iter().take(index).any(|earlier| earlier.table == plan.table) {
                continue;
            }
            let mut chain: Vec<_> = next.tables.iter_mut().filter(|table| table.root == plan.table).collect();
            chain.sort_by_key(|table| table.parent.is_some());
            for table in chain {
                published.warnings.extend(self.forget_lost(table));
                published.tables.extend(self.switch(table, plan, options, &load_id)?);
            }
        }
        next.schema = next.staged_schema.take().or(next.schema);
        let load = loads::row(&load_id, &options.pipeline, next.schema.as_deref())?;
        let loads = &mut next.loads;
        let name = loads.stage(&load_id, 1);
        self.folder.stage(&loads.table, &name, &load.schema(), &[load])?;
        loads.files.extend(loads.staged_files.iter().cloned());
        for table in next.all() {
            for file in &table.staged_files {
                self.folder.make_place(&table.table, &file.name)?;
            }
        }
        next.note_run(&published)?;
        (next.status, next.state) = (Status::Publishing, Some(next_state.to_owned()));
        (next.staged_state, next.staged_changes) = (None, None);
        self.replace(next)?;
        Ok(published)
    }

    /// Forgets the files of a table that somebody removed. Gives things to tell a person.
    fn forget_lost(&self, table: &mut TableFiles) -> Vec<String> {
        let (there, lost) = mem::take(&mut table.files)
            .into_iter()
            .partition::<Vec<_>, _>(|file| self.folder.is_published(&table.table, &file.name));
        table.files = there;
        let told = |file: DataFile| {
            format!(
                "the file `{}` of the table `{}` was there and is gone, with {} rows",
                file.name, table.table, file.rows
            )
        };
        lost.into_iter().map(told).collect()
    }

    /// Gives a table the files that it is to have with the staged ones. `None` where it has no columns yet, so does not exist.
    fn switch(
        &self,
        table: &mut TableFiles,
        plan: &ResourcePlan,
        options: &Options,
        load_id: &str,
    ) -> Result<Option<PublishedTable>> {
        let files_go = files_go(plan, options);
        table.columns = table.with_staged_columns(files_go);
        if table.columns.is_empty() {
            return Ok(None);
        }
        let inserted = rows(&table.staged_files);
        // As in a database, a full refresh does not count what it empties.
        let deleted = if files_go && !options.full_refresh { rows(&table.files) } else { 0 };
        if files_go {
            table.old_files = mem::take(&mut table.files);
        }
        if table.files.is_empty() && table.staged_files.is_empty() {
            // Readers find the columns of a table without rows too.
            let name = table.stage(load_id, 0);
            self.folder.stage(&table.table, &name, &file_schema(&table.columns), &[])?;
        }
        table.files.extend(table.staged_files.iter().cloned());
        Ok(Some(PublishedTable {
            table: table.table.clone(),
            resource: table.resource.clone(),
            parent: table.parent.clone(),
            inserted,
            deleted,
            duplicates: 0,
            total: rows(&table.files),
        }))
    }

    /// Removes staged files that the manifest does not name.
    fn sweep(&self) -> Result<()> {
        self.folder.sweep(|table, name| {
            self.manifest.table(table).is_some_and(|table| table.staged_files.iter().any(|file| file.name == name))
        })
    }
}

impl Store for Files {
    fn dialect(&self) -> Option<&'static dyn Dialect> {
        None
    }

    fn fit(&self, batch: &mut Batch) -> Result<()> {
        let unusable = batch.tables.iter().find_map(|rows| Some((rows, unusable_folder(&rows.table)?)));
        match unusable {
            None => Ok(()),
            Some((rows, reason)) => {
                Err(Error::new(Class::Internal, format!("the connector delivered a table that {reason}"))
                    .fact("resource", &rows.resource))
            }
        }
    }

    fn commit(&mut self, options: &Options, staging: &Staging, pending: &Pending) -> Result<()> {
        self.prove()?;
        let mut next = self.manifest.clone();
        let load_id = next.load_id.clone().unwrap_or_default();
        next.place(staging.tables());
        for table in staging.staging_tables() {
            let Some(files) = next.table_mut(&table.known.table) else { continue };
            files.staged_columns = table.columns().to_vec();
            let rows = table.buffered_rows();
            if rows > 0 {
                let plan = options.resources.iter().find(|plan| plan.table == table.known.root);
                let schema = file_schema(&files.with_staged_columns(plan.is_some_and(|plan| files_go(plan, options))));
                let name = files.stage(&load_id, rows);
                self.folder.stage(&table.known.table, &name, &schema, &table.aligned(&schema)?)?;
            }
        }
        next.staged_state = Some(pending.state.clone());
        if let Some(schema) = &pending.schema {
            next.staged_schema = Some(schema.clone());
        }
        next.staged_changes = Some(staging.changes().clone()).filter(|changes| !changes.is_empty());
        self.replace(next)
    }

    fn discard(&mut self, _options: &Options, _staging: &Staging) -> Result<()> {
        let mut next = self.manifest.clone();
        next.status = Status::Done;
        next.settle();
        self.replace(next)?;
        self.sweep()
    }

    fn publish(&mut self, options: &Options, _staging: &Staging, next_state: &str) -> Result<Published> {
        let published = self.decide(options, next_state)?;
        self.finish()?;
        // The run is published. What is left lying is removed by the next one.
        let _ = self.sweep();
        Ok(published)
    }
}

/// Whether the files that a table has are to go.
fn files_go(plan: &ResourcePlan, options: &Options) -> bool {
    options.full_refresh || plan.write_disposition == WriteDisposition::Replace
}
