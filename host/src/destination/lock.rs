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
        let unusable = |error: io::Error| {
            Error::new(Class::Destination, "the lock cannot be taken")
                .fact("path", path.display())
                .fact("reason", error)
        };
        let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = options.map_err(unusable)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(held(path, file)),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
            Ok(()) => {}
        }
        let holder = format!("process {}, since {:.0}\n", process::id(), Timestamp::now());
        file.set_len(0).and_then(|()| file.write_all(holder.as_bytes())).map_err(unusable)?;
        Ok(Self { file })
    }
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
