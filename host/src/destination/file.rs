//! Databases that are one file.

use std::path::{Path, PathBuf, absolute};

use super::Access;
use crate::error::{Class, Error, Result};

/// The file's one path, however it was written. It is absolute, which keeps DuckDB from reading `md:x` or `s3://x` as a service, and
/// SQLite from reading `file:x` as a URI.
pub(super) fn locate(path: &Path, access: Access) -> Result<PathBuf> {
    let unusable = |message: String, path: &Path| Error::new(Class::Config, message).fact("file", path.display());
    let full = absolute(path).map_err(|error| unusable(format!("not a usable path: {error}"), path))?;
    let (Some(directory), Some(name)) = (full.parent(), full.file_name()) else {
        return Err(unusable("the destination is not a file".to_owned(), &full));
    };
    if full.is_dir() {
        return Err(unusable("the destination is a directory; it must be a file".to_owned(), &full));
    }
    if full.exists() {
        return full.canonicalize().map_err(|error| unusable(format!("not a usable path: {error}"), &full));
    }
    if access == Access::Read {
        return Err(Error::new(Class::Destination, "the database does not exist").fact("file", full.display()));
    }
    match directory.canonicalize() {
        Ok(directory) if directory.is_dir() => Ok(directory.join(name)),
        _ => Err(unusable("the directory of the database does not exist".to_owned(), &full)
            .advice(format!("create the directory {}, or name another file", directory.display()))),
    }
}
