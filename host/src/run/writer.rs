//! Writing beside reading.

use crate::destination::Target;
use crate::load::{self, Loader, Published, Resumed};
use crate::{Class, Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes of the batches that wait for the loader or are its work, so that the connector goes on while the loader commits. Of rows it is as
/// many as the user wants to be committed at once: what waits is read again where the run is cut off. A batch that is larger goes alone.
const MOST_WAITING: usize = 12 << 20;

/// The room for waiting batches, in parts of it that a batch can take.
const ROOM: u32 = 1000;

/// A loader that works on a thread of its own, some batches behind the connector.
pub(super) struct Writer {
    /// None once no more are to come.
    batches: Option<Sender<(load::Batch, OwnedSemaphorePermit)>>,
    room: Arc<Semaphore>,
    most_rows: Option<usize>,
    /// The loader comes back when it has taken all batches, unless it failed. None only while it works on something else, or is gone.
    working: Option<JoinHandle<Result<Loader>>>,
    /// How often it has staged durably, and how often that was told.
    staged: Arc<AtomicU64>,
    told: u64,
}

/// How the loader begins, once it has begun; closed where it could not ([`Writer::failure`]).
pub(super) type Begun = oneshot::Receiver<Resumed>;

impl Writer {
    /// A writer that begins with opening the destination.
    pub fn begin(target: Target, options: load::Options) -> (Self, Begun) {
        let (begun, told) = oneshot::channel();
        let most_rows = options.commit_rows;
        let begin = move || {
            let (loader, resumed) = Loader::begin(&target, options)?;
            // Where the run has ended meanwhile, nobody listens.
            let _ = begun.send(resumed);
            Ok(loader)
        };
        (Self::new(begin, most_rows), told)
    }

    fn new(begin: impl FnOnce() -> Result<Loader> + Send + 'static, most_rows: Option<usize>) -> Self {
        let (batches, waiting) = channel::<(load::Batch, OwnedSemaphorePermit)>();
        let staged = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&staged);
        let working = spawn_blocking(move || {
            let mut loader = begin()?;
            loop {
                let batch = match loader.due_in() {
                    Some(time) => waiting.recv_timeout(time),
                    None => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                let is_staged = match batch {
                    Ok((batch, _permit)) => loader.stage(batch),
                    // The API has nothing for now.
                    Err(RecvTimeoutError::Timeout) => loader.commit().map(|()| true),
                    Err(RecvTimeoutError::Disconnected) => return Ok(loader),
                }?;
                counted.fetch_add(u64::from(is_staged), Ordering::Relaxed);
            }
        });
        let room = Arc::new(Semaphore::new(ROOM as usize));
        Self { batches: Some(batches), room, most_rows, working: Some(working), staged, told: 0 }
    }

    /// Whether it has staged durably once more than was told.
    pub fn has_staged(&mut self) -> bool {
        let is_news = self.told < self.staged.load(Ordering::Relaxed);
        self.told += u64::from(is_news);
        is_news
    }

    /// Hands over a batch, once there is room for it.
    pub async fn stage(&mut self, batch: load::Batch) -> Result<()> {
        let part = |of: usize, most: usize| (of as u64).saturating_mul(ROOM.into()).div_ceil(most.max(1) as u64);
        let of_rows = self.most_rows.map_or(0, |most| part(batch.rows(), most));
        let parts = part(batch.size(), MOST_WAITING).max(of_rows).clamp(1, ROOM.into());
        let parts = u32::try_from(parts).unwrap_or(ROOM);
        // A loader that fails gives the room back, so nobody waits for it without end.
        let permit = Arc::clone(&self.room).acquire_many_owned(parts).await.map_err(|_| gone())?;
        let handed_over = self.batches.as_ref().is_some_and(|batches| batches.send((batch, permit)).is_ok());
        if handed_over { Ok(()) } else { self.idle().await.and(Err(gone())) }
    }

    /// Why the loader could not begin.
    pub async fn failure(&mut self) -> Error {
        self.idle().await.err().unwrap_or_else(gone)
    }

    /// Waits until the loader has taken all that was handed over.
    pub async fn rest(&self) {
        // Nobody closes it.
        let _ = self.room.acquire_many(ROOM).await;
    }

    /// Stages durably what was handed over. A loader that is gone has kept what it could, and said why.
    pub async fn keep(&mut self) -> Result<()> {
        if self.working.is_none() {
            return Ok(());
        }
        let mut loader = self.idle().await?;
        blocking(move || loader.commit()).await
    }

    /// Goes on only where every value went into its column as it is, and nothing else looks wrong.
    pub async fn refuse(&mut self, suspicious: Vec<Error>) -> Result<()> {
        let loader = self.idle().await?;
        let loader = blocking(move || loader.refuse(suspicious)).await?;
        *self = Self::new(move || Ok(loader), self.most_rows);
        Ok(())
    }

    /// Publishes what was handed over. `staged` is called once it is staged durably, and works meanwhile.
    pub async fn publish(&mut self, state: String, staged: impl FnOnce() + Send + 'static) -> Result<Published> {
        let mut loader = self.idle().await?;
        blocking(move || {
            loader.commit()?;
            thread::scope(|scope| {
                scope.spawn(staged);
                loader.publish(&state)
            })
        })
        .await
    }

    /// The loader, once it has done its work.
    async fn idle(&mut self) -> Result<Loader> {
        self.batches = None;
        let working = self.working.as_mut().ok_or_else(gone)?;
        // Awaited in place, so that a caller that is dropped meanwhile leaves the loader here.
        let ended = working.await;
        // Also where it panicked: what has ended is not to be awaited again.
        self.working = None;
        ended.map_err(|error| Error::new(Class::Internal, error.to_string()))?
    }
}

fn gone() -> Error {
    Error::new(Class::Internal, "the loader ended before its time")
}

/// Runs what blocks on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::new(Class::Internal, error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Target;
    use crate::load::{Batch, Options, ResourcePlan, TableRows, WriteDisposition};
    use arrow_array::{ArrayRef, Int64Array, RecordBatch};

    #[tokio::test]
    async fn what_came_is_kept_also_where_nothing_comes_any_more() {
        let directory = tempfile::tempdir().unwrap();
        let (resource, table) = ("things".to_owned(), "things".to_owned());
        let plan =
            ResourcePlan { resource, table, write_disposition: WriteDisposition::Append, primary_key: Vec::new() };
        let mut options = Options::new("p", "data", "digest", vec![plan]);
        options.commit_interval = std::time::Duration::from_millis(20);
        let target = Target::Parquet { directory: directory.path().into() };

        let mut writer = Writer::begin(target.clone(), options.clone()).0;
        let id = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
        let rows = TableRows {
            table: "things".to_owned(),
            resource: "things".to_owned(),
            parent: None,
            rows: RecordBatch::try_from_iter([("id", id)]).unwrap(),
            roots: Vec::new(),
            new_columns: Vec::new(),
            widened_columns: Vec::new(),
        };
        let batch = Batch { tables: vec![rows], state: "s1".to_owned(), schema: None, changes: Vec::new() };
        writer.stage(batch).await.unwrap();
        while !writer.has_staged() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        drop(writer.idle().await.unwrap());
        assert_eq!(Loader::begin(&target, options).unwrap().1.state.as_deref(), Some("s1"));
    }
}
