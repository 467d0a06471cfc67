//! Where the program keeps what is the user's (XDG Base Directory Specification).

use std::env;
use std::path::PathBuf;

/// `$XDG_STATE_HOME/spile`, else `~/.local/state/spile`: what must outlast a run. None where neither is known.
pub fn state() -> Option<PathBuf> {
    of_user("XDG_STATE_HOME", ".local/state")
}

/// `$XDG_CACHE_HOME/spile`, else `~/.cache/spile`: what can be made again.
pub fn cache() -> Option<PathBuf> {
    of_user("XDG_CACHE_HOME", ".cache")
}

/// A path that is not absolute is to be ignored, as the specification says.
fn of_user(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))?;
    Some(base.join("spile"))
}
