//! A package in a database: its rows in staging tables, every step one transaction.

use super::{
    Batch, Options, Published, Resumed, ledger, names,
    package::Package,
    publish,
    staging::{Pending, Staging},
    store::{BUFFERED, Store},
};
use crate::{
    destination::{self, Access, Columns, Session, Target, dialect::Dialect},
    error::Result,
};

/// What is worth writing ahead, in bytes: less would be many statements.
const WRITE_AHEAD: usize = 4 << 20;

pub(super) struct Database {
    session: Session,
    package: Package,
}

impl Database {
    pub fn begin(target: &Target, options: &mut Options) -> Result<(Self, Staging, Resumed)> {
        let mut session = destination::open(target, Access::Write, &options.limits)?;
        let dialect = session.dialect();
        names::fit_options(options, dialect)?;
        dialect.hold(&mut session, &options.dataset, &options.pipeline)?;
        let (package, resumed, catalog) = session.transaction(|session| {
            dialect.hold_dataset(session, &options.dataset)?;
            Package::begin(session, options)
        })?;
        let staging = Staging::new(&package, catalog, dialect)?;
        Ok((Self { session, package }, staging, resumed))
    }
}

/// Lets the database hold what writing these tables needs, where nobody said how much that may be. `stored` are the columns of
/// the final tables.
fn make_room(session: &mut Session, options: &Options, staging: &Staging, stored: &Columns) -> Result<()> {
    let columns = staging.staging_tables().iter().map(|table| {
        let stored = stored.get(&table.known.table).map_or(0, Vec::len);
        table.columns().len().max(stored)
    });
    if options.limits.memory_limit.is_some() { Ok(()) } else { session.make_room(columns.sum()) }
}

impl Store for Database {
    /// What is written ahead does not stand in our memory, and the time between two commits limits it too.
    fn commit_size(&self) -> (usize, usize) {
        if self.session.dialect().writes_ahead() { (1_000_000, 256 << 20) } else { BUFFERED }
    }

    fn dialect(&self) -> Option<&'static dyn Dialect> {
        Some(self.session.dialect())
    }

    fn fit(&self, batch: &mut Batch) -> Result<()> {
        names::fit_batch(batch, self.session.dialect());
        Ok(())
    }

    fn write_ahead(&mut self, options: &Options, staging: &Staging) -> Result<bool> {
        if !self.session.dialect().writes_ahead() || staging.buffered() < WRITE_AHEAD {
            return Ok(false);
        }
        make_room(&mut self.session, options, staging, &Columns::new())?;
        self.session.ahead(|session| staging.write(session, options.staging())).map(|()| true)
    }

    fn commit(&mut self, options: &Options, staging: &Staging, pending: &Pending) -> Result<()> {
        let Self { session, package } = self;
        make_room(session, options, staging, &Columns::new())?;
        let tables = staging.tables();
        session.transaction(|session| {
            let (state, schema) = (&pending.state, pending.schema.as_deref());
            package.note_staged(session, state, schema, &tables, staging.changes())?;
            staging.write(session, options.staging())
        })
    }

    fn discard(&mut self, options: &Options, staging: &Staging) -> Result<()> {
        let Self { session, package } = self;
        session.roll_back()?;
        session.transaction(|session| package.discard(session, options.staging(), &staging.tables()))
    }

    /// The staging tables are dropped in the same transaction.
    fn publish(&mut self, options: &Options, staging: &Staging, next_state: &str) -> Result<Published> {
        let Self { session, package } = self;
        session.transaction(|session| {
            session.dialect().hold_dataset(session, &options.dataset)?;
            let catalog = session.catalog(&options.dataset)?;
            make_room(session, options, staging, &catalog.last)?;
            let tables = staging.tables();
            let schema = package.note_published(session, next_state)?;
            let published = publish::publish(session, options, &package.load_id, schema.as_deref(), &tables, &catalog)?;
            package.note_tables(session, options, &tables)?;
            ledger::note_run(session, options, package.run, &published)?;
            Ok(published)
        })
    }
}
