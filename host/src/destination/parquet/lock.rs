//! One run of a pipeline at a time.

use std::{
    fs::{File, TryLockError},
    io::{Read, Write},
    path::Path,
    process,
};

use jiff::Timestamp;

use super::failed;
use crate::error::{Class, Error, Result};

/// A lock that ends with the process at the latest, however that ends. The file stays, so that nobody locks one that is gone.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, and notes who holds it. Does not wait.
    pub fn take(path: &Path) -> Result<Self> {
        let unusable = |error: &_| failed("the lock cannot be taken", path, error);
        let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = options.map_err(|error| unusable(&error))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(held(path, file)),
            Err(TryLockError::Error(error)) => return Err(unusable(&error)),
            Ok(()) => {}
        }
        let holder = format!("process {}, since {:.0}\n", process::id(), Timestamp::now());
        file.set_len(0).and_then(|()| file.write_all(holder.as_bytes())).map_err(|error| unusable(&error))?;
        Ok(Self { _file: file })
    }
}

fn held(path: &Path, mut file: File) -> Error {
    let busy = Error::new(Class::Destination, "another run of the pipeline has the directory open")
        .fact("lock", path.display())
        .advice("end that process, or wait for it: a pipeline has one run at a time");
    let mut holder = String::new();
    match file.read_to_string(&mut holder) {
        Ok(length) if length > 0 => busy.fact("held by", holder.trim()),
        _ => busy,
    }
}
