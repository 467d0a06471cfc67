//! Finds and loads ADBC drivers: shared libraries that are not part of the program.
//!
//! In this order:
//! 1. the library that `SPILE_ADBC_<DATABASE>` names;
//! 2. a manifest `<database>.toml` in a directory of `ADBC_DRIVER_PATH`;
//! 3. the same in `$XDG_DATA_HOME/spile/drivers` (`~/.local/share/spile/drivers`), where `./justw setup` puts it;
//! 4. the same in `../share/spile/drivers` from the program's own directory, where packages put what they bring;
//! 5. the same in the user's and the system's ADBC directories (`~/.config/adbc/drivers`, `/etc/adbc/drivers`);
//! 6. a library of that name where the system's loader looks.
//!
//! A directory that has no manifest may have the library itself, `lib<database>.so` (`.dylib` on macOS). That is how packages bring
//! it: the driver manager takes the path in a manifest as it stands, and a package does not know where it will be installed.

use std::{env, fs, mem, path::PathBuf, thread};

use adbc_core::{LOAD_FLAG_SEARCH_ENV, LOAD_FLAG_SEARCH_SYSTEM, LOAD_FLAG_SEARCH_USER, options::AdbcVersion};
use adbc_driver_manager::ManagedDriver;

use crate::error::{Class, Error, Result};

/// A driver as its database names it.
#[derive(Clone, Copy, Debug)]
pub struct DriverName {
    /// The database, for messages.
    pub database: &'static str,
    /// The manifest's file name without `.toml`.
    pub manifest: &'static str,
    /// The environment variable that names a library.
    pub variable: &'static str,
    /// The recipe of the project that fetches a library.
    pub recipe: &'static str,
    /// The function that a library is entered by, where a manifest does not say it.
    pub entry_point: &'static str,
}

/// Loads a driver.
///
/// # Errors
/// [`Class::Destination`] where none is found, or the one that was named cannot be loaded.
pub fn load(name: DriverName) -> Result<ManagedDriver> {
    let entry_point = Some(name.entry_point.as_bytes());
    let advice = format!(
        "run `./justw {}` in Spile's folder, or let {} name the library of the driver",
        name.recipe, name.variable
    );
    if let Some(library) = env::var_os(name.variable).filter(|library| !library.is_empty()) {
        return ManagedDriver::load_dynamic_from_filename(&library, entry_point, AdbcVersion::V110).map_err(|error| {
            Error::new(Class::Destination, format!("the driver that {} names cannot be loaded", name.variable))
                .fact("library", library.to_string_lossy())
                .fact("reason", error.message)
                .advice(advice)
        });
    }
    let flags = LOAD_FLAG_SEARCH_ENV | LOAD_FLAG_SEARCH_USER | LOAD_FLAG_SEARCH_SYSTEM;
    ManagedDriver::load_from_name(name.manifest, entry_point, AdbcVersion::V110, flags, Some(directories().collect()))
        .map_err(|error| {
            directories()
                .fold(
                    Error::new(Class::Destination, format!("there is no ADBC driver for {}", name.database)),
                    |failure, directory| failure.fact("looked in", directory.display()),
                )
                .fact("reason", reason(&error))
                .advice(advice)
        })
}

/// Begins to load a driver, on a thread of its own: a large library takes as long as all else of a start. Who needs it then finds it in
/// the process, or says what is wrong.
///
/// Meanwhile the system's loader holds locks at which who starts a thread waits, who looks a function up, and who makes a value that is a
/// thread's own.
pub(super) fn load_early(name: DriverName) {
    // It stays as long as the process. Where there is no thread to be had, it is loaded when it is needed.
    let _ = thread::Builder::new().spawn(move || load(name).map(mem::forget));
}

/// Where drivers are that are for Spile: the user's, then the program's own.
fn directories() -> impl Iterator<Item = PathBuf> {
    drivers_directory().into_iter().chain(packaged_directory())
}

/// Where a package puts the drivers that it brings. The program may be started by a link to it, from anywhere. `None` where there are
/// none.
fn packaged_directory() -> Option<PathBuf> {
    let program = fs::canonicalize(env::current_exe().ok()?).ok()?;
    let directory = program.parent()?.parent()?.join("share").join("spile").join("drivers");
    directory.is_dir().then_some(directory)
}

/// Where `./justw setup` puts drivers. `None` on a machine without a home directory.
pub fn drivers_directory() -> Option<PathBuf> {
    let absolute = |variable| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("share")))?;
    Some(data.join("spile").join("drivers"))
}

/// What the driver manager tried, on one line: it says "not found" even where a library was found and could not be loaded.
fn reason(error: &adbc_core::error::Error) -> String {
    let tried = error.details.iter().flatten().find(|(key, _)| key.ends_with("driver_load_trace"));
    match tried {
        Some((_, trace)) => String::from_utf8_lossy(trace).lines().collect::<Vec<_>>().join("; "),
        None => error.message.clone(),
    }
}
