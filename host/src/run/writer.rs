//! Writing beside reading.

use crate::load::{self, Loader, Published};
use crate::{Class, Error, Result};
use tokio::task::{JoinHandle, spawn_blocking};

/// A loader that works on a thread of its own, one batch behind the connector.
pub(super) struct Writer {
    /// The loader comes back with whether it staged durably. None only while a batch is handed over.
    working: Option<JoinHandle<(Loader, Result<bool>)>>,
}

impl Writer {
    pub fn new(loader: Loader) -> Self {
        Self { working: Some(tokio::spawn(std::future::ready((loader, Ok(false))))) }
    }

    /// Waits until the batch before is taken. Whether it and all before it are staged durably.
    pub async fn is_staged(&mut self) -> Result<bool> {
        let (loader, is_staged) = self.taken().await?;
        self.working = Some(tokio::spawn(std::future::ready((loader, Ok(false)))));
        Ok(is_staged)
    }

    /// Hands over a batch, once the one before is staged.
    pub async fn stage(&mut self, batch: load::Batch) -> Result<()> {
        let mut loader = self.idle().await?;
        self.working = Some(spawn_blocking(move || {
            let staged = loader.stage(batch);
            (loader, staged)
        }));
        Ok(())
    }

    /// Stages durably what was handed over.
    pub async fn keep(&mut self) -> Result<()> {
        let mut loader = self.idle().await?;
        blocking(move || loader.commit()).await
    }

    /// Goes on only where every value went into its column as it is, and nothing else looks wrong.
    pub async fn refuse(&mut self, suspicious: Vec<Error>) -> Result<()> {
        let loader = self.idle().await?;
        let loader = blocking(move || loader.refuse(suspicious)).await?;
        *self = Self::new(loader);
        Ok(())
    }

    pub async fn publish(&mut self, state: String) -> Result<Published> {
        let loader = self.idle().await?;
        blocking(move || loader.publish(&state)).await
    }

    /// The loader, once it has done its work.
    async fn idle(&mut self) -> Result<Loader> {
        self.taken().await.map(|(loader, _)| loader)
    }

    async fn taken(&mut self) -> Result<(Loader, bool)> {
        let gone = || Error::new(Class::Internal, "the loader ended before its time");
        let working = self.working.as_mut().ok_or_else(gone)?;
        // Awaited in place, so that a caller that is dropped meanwhile leaves the loader here.
        let ended = working.await;
        // Also where it panicked: what has ended is not to be awaited again.
        self.working = None;
        let (loader, staged) = ended.map_err(|error| Error::new(Class::Internal, error.to_string()))?;
        staged.map(|is_staged| (loader, is_staged))
    }
}

/// Runs what blocks on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::new(Class::Internal, error.to_string())))
}
