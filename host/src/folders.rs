//! Where the program keeps what is the user's (XDG Base Directory Specification).

use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// `$XDG_STATE_HOME/spile`, else `~/.local/state/spile`: what must outlast a run. None where neither is known.
pub fn state() -> Option<PathBuf> {
    of_user("XDG_STATE_HOME", ".local/state")
}

/// `$XDG_CACHE_HOME/spile`, else `~/.cache/spile`: what can be made again.
pub fn cache() -> Option<PathBuf> {
    of_user("XDG_CACHE_HOME", ".cache")
}

/// Makes a folder that is the user's alone, or sees that it is: nobody else could change its permissions. Fails where others may write to it.
pub fn create_own(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let written_by_others = fs::symlink_metadata(folder)?.permissions().mode() & 0o022 != 0;
    if written_by_others {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

/// A path that is not absolute is to be ignored, as the specification says.
fn of_user(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))?;
    Some(base.join("spile"))
}
