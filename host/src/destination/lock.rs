//! One run at a time, where a destination is files.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Write},
    path::Path,
    process,
};

use jiff::Timestamp;

use crate::error::{Class, Error, Result};

/// A lock that ends with the process at the latest, however that ends. The file stays, so that nobody locks one that is gone.
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// A process that is just being started has a copy of the file for a moment, and closing ours alone would leave it locked.
    fn drop(&mut self) {
        // Where that fails the lock ends with the last copy.
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Takes the lock, and notes who holds it. Does not wait.
    ///
    /// # Errors
    /// [`Class::Destination`] where another run holds it, which is named; where the file cannot be used.
    pub fn take(path: &Path) -> Result<Self> {
        let unusable = |error| unusable(path, error);
        let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = locked(path, options.map_err(unusable)?, File::try_lock)?;
        let holder = format!("process {}, since {:.0}\n", process::id(), Timestamp::now());
        file.set_len(0).and_then(|()| file.write_all(holder.as_bytes())).map_err(unusable)?;
        Ok(Self { file })
    }
}

/// That nobody holds the lock just now; makes no file.
///
/// # Errors
/// As [`Lock::take`].
pub(crate) fn is_free(path: &Path) -> Result<()> {
    match File::open(path) {
        // Several may look at once.
        Ok(file) => locked(path, file, File::try_lock_shared)?.unlock().map_err(|error| unusable(path, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable(path, error)),
    }
}

fn locked(path: &Path, file: File, lock: fn(&File) -> std::result::Result<(), TryLockError>) -> Result<File> {
    match lock(&file) {
        Err(TryLockError::WouldBlock) => Err(held(path, file)),
        Err(TryLockError::Error(error)) => Err(unusable(path, error)),
        Ok(()) => Ok(file),
    }
}

fn unusable(path: &Path, error: io::Error) -> Error {
    Error::new(Class::Destination, "the lock cannot be taken").fact("path", path.display()).fact("reason", error)
}

fn held(path: &Path, mut file: File) -> Error {
    let busy = Error::new(Class::Destination, "another run is writing there")
        .fact("lock", path.display())
        .advice("end that process, or wait for it: there is one run at a time");
    let mut holder = String::new();
    match file.read_to_string(&mut holder) {
        Ok(length) if length > 0 => busy.fact("held by", holder.trim()),
        _ => busy,
    }
}
