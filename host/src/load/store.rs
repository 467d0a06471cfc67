//! Where a package is kept, and its rows end up.

use super::{
    Batch, Options, Published, Resumed,
    database::Database,
    files::Files,
    staging::{Pending, Staging},
};
use crate::{
    destination::{Target, dialect::Dialect},
    error::Result,
};

/// How much is committed at once where it is buffered until then: so many rows, or bytes.
pub(super) const BUFFERED: (usize, usize) = (40_000, 64 << 20);

/// Where a package is kept, and its rows end up: a database, or files. Each of what it does is done whole, or after an error not at
/// all; and only as long as no other run of the pipeline took over.
pub(super) trait Store: Send {
    /// How much is committed at once, where nobody said it: so many rows, or bytes.
    fn commit_size(&self) -> (usize, usize) {
        BUFFERED
    }

    /// The dialect of a database.
    fn dialect(&self) -> Option<&'static dyn Dialect>;

    /// Gives the tables and columns of a batch the names that they have here.
    ///
    /// # Errors
    /// [`crate::Class::Internal`] for one that cannot have any.
    fn fit(&self, batch: &mut Batch) -> Result<()>;

    /// Writes what is buffered, where that is better done before it is committed, and says whether it did. After an error nothing of what
    /// was written since the last commit is left.
    fn write_ahead(&mut self, _options: &Options, _staging: &Staging) -> Result<bool> {
        Ok(false)
    }

    /// Stages durably what is buffered or was written ahead, with the state that covers it.
    fn commit(&mut self, options: &Options, staging: &Staging, pending: &Pending) -> Result<()>;

    /// Gives up the package: nothing is staged then, and state and schema stay as they were published.
    fn discard(&mut self, options: &Options, staging: &Staging) -> Result<()>;

    /// Makes what is staged visible, and saves the state for the next run.
    fn publish(&mut self, options: &Options, staging: &Staging, next_state: &str) -> Result<Published>;
}

/// Opens a destination, and begins a run, whose options get the names that things have there. Gives what the package has staged
/// already.
pub(super) fn open(target: &Target, options: &mut Options) -> Result<(Box<dyn Store>, Staging, Resumed)> {
    match target {
        Target::Parquet { directory } => {
            let (files, staging, resumed) = Files::begin(directory, options)?;
            Ok((Box::new(files), staging, resumed))
        }
        Target::DuckDb { .. } | Target::Postgres { .. } | Target::Sqlite { .. } => {
            let (database, staging, resumed) = Database::begin(target, options)?;
            Ok((Box::new(database), staging, resumed))
        }
    }
}
