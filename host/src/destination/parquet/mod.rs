//! Parquet files: a directory in the place of a database, without a driver.
//!
//! ```text
//! DIR/<dataset>/<table>/<load>-<n>.parquet                 published rows
//! DIR/<dataset>/_spile/<pipeline>/manifest.json            which files these are: the truth
//!                                 lock                     held by a run as long as it lasts
//!                                 staging/<table>/<load>-<n>.parquet.staged
//! ```
//!
//! What happens here is durable when it returns, and safe to do again: [`Folder`] knows the places, `file` writes the rows,
//! `lock` keeps other runs out. What is to happen when is decided in `load::files`.

mod file;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf, absolute},
};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::lock::Lock;
use crate::error::{Class, Error, Result};
pub(crate) use file::schema;

/// The folder for what is ours, in a dataset's.
const OURS: &str = "_spile";

/// The longest name of a folder, in bytes. File systems take 255.
const LONGEST: usize = 255;

/// What a staged file's name ends with: not even a reader of all `*.parquet` below the directory takes it for rows.
const STAGED: &str = ".staged";

/// A pipeline's places in a dataset, held against other runs of the pipeline.
pub(crate) struct Folder {
    dataset: PathBuf,
    ours: PathBuf,
    /// None where it is only looked at.
    _lock: Option<Lock>,
}

impl Folder {
    /// Creates what is missing below the directory, and takes the lock.
    ///
    /// # Errors
    /// [`Class::Config`] for a directory that cannot be right; [`Class::Destination`] where another run of the pipeline holds the
    /// lock, or the file system refuses.
    pub fn open(directory: &Path, dataset: &str, pipeline: &str) -> Result<Self> {
        let dataset = locate(directory)?.join(dataset);
        let ours = dataset.join(OURS).join(pipeline);
        create(&ours).map_err(|error| failed("a folder cannot be created", &ours, &error))?;
        let lock = Lock::take(&ours.join("lock"))?;
        Ok(Self { dataset, ours, _lock: Some(lock) })
    }

    /// The places of a pipeline that may have run, to be looked at. Nothing is created.
    ///
    /// # Errors
    /// [`Class::Config`] for a directory that cannot be right.
    pub fn look(directory: &Path, dataset: &str, pipeline: &str) -> Result<Self> {
        let dataset = locate(directory)?.join(dataset);
        let ours = dataset.join(OURS).join(pipeline);
        Ok(Self { dataset, ours, _lock: None })
    }

    /// The files of a table, as a pattern.
    pub fn pattern(&self, table: &str) -> String {
        self.dataset.join(table).join("*.parquet").display().to_string()
    }

    /// The manifest's text. `None` where there is none yet.
    pub fn manifest(&self) -> Result<Option<Vec<u8>>> {
        let path = self.manifest_path();
        match fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("the manifest cannot be read", &path, &error)),
        }
    }

    /// Puts a manifest in the place of the one that is there, at once.
    pub fn replace_manifest(&self, text: &[u8]) -> Result<()> {
        let (path, new) = (self.manifest_path(), self.ours.join("manifest.json.new"));
        let replace = || {
            let mut file = File::create(&new)?;
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            sync(&self.ours)
        };
        replace().map_err(|error| failed("the manifest cannot be written", &path, &error))
    }

    /// Where the manifest is, for messages.
    pub fn manifest_path(&self) -> PathBuf {
        self.ours.join("manifest.json")
    }

    /// Writes a file of staged rows.
    pub fn stage(&self, table: &str, name: &str, schema: &SchemaRef, rows: &[RecordBatch]) -> Result<()> {
        let path = self.staged(table, name);
        let folder = self.staging().join(table);
        create(&folder).map_err(|error| failed("a folder cannot be created", &folder, &error))?;
        file::write(&path, schema, rows)?;
        sync(&folder).map_err(|error| failed("a folder cannot be written", &folder, &error))
    }

    /// Whether a file of staged rows is there.
    pub fn is_staged(&self, table: &str, name: &str) -> bool {
        self.staged(table, name).is_file()
    }

    /// Whether a file is in its table's folder.
    pub fn is_published(&self, table: &str, name: &str) -> bool {
        self.published(table, name).is_file()
    }

    /// Makes a table's folder, and checks that a file of staged rows will find its place free.
    pub fn make_place(&self, table: &str, name: &str) -> Result<()> {
        let folder = self.dataset.join(table);
        create(&folder).map_err(|error| failed("a folder cannot be created", &folder, &error))?;
        if self.is_published(table, name) {
            return Err(Error::new(Class::Destination, "a file that is none of this pipeline's is in the way")
                .fact("file", self.published(table, name).display())
                .advice("move it elsewhere: the next run goes on from here"));
        }
        Ok(())
    }

    /// Moves a file of staged rows to its place, if it is not there yet.
    pub fn publish(&self, table: &str, name: &str) -> Result<()> {
        let (from, to) = (self.staged(table, name), self.published(table, name));
        let moved = create(&self.dataset.join(table)).and_then(|()| fs::rename(&from, &to));
        match moved {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_published(table, name) => Ok(()),
            Err(error) => Err(failed("a file cannot be moved to its place", &from, &error)
                .fact("place", to.display())
                .advice("the rows are complete: the next run moves them first")),
            Ok(()) => Ok(()),
        }
    }

    /// Removes a published file, if it is still there.
    pub fn remove(&self, table: &str, name: &str) -> Result<()> {
        let path = self.published(table, name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("a file cannot be removed", &path, &error))
            }
            _ => Ok(()),
        }
    }

    /// Makes what was moved and removed in a table's folder durable.
    pub fn settle(&self, table: &str) -> Result<()> {
        let folder = self.dataset.join(table);
        sync(&folder).map_err(|error| failed("a folder cannot be written", &folder, &error))
    }

    /// Removes staged files but those to keep: `keep` gets the table and the file's name. They are in this pipeline's own folder, so
    /// no other wrote them.
    pub fn sweep(&self, keep: impl Fn(&str, &str) -> bool) -> Result<()> {
        let staging = self.staging();
        let swept = || {
            for folder in entries(&staging)?.iter().filter(|folder| folder.path().is_dir()) {
                let table = folder.file_name();
                let mut is_empty = true;
                for file in entries(&folder.path())? {
                    let name = file.file_name();
                    let name = name.to_str().and_then(|name| name.strip_suffix(STAGED)).zip(table.to_str());
                    if name.is_some_and(|(name, table)| !keep(table, name)) {
                        fs::remove_file(file.path())?;
                    } else {
                        is_empty = false;
                    }
                }
                if is_empty {
                    fs::remove_dir(folder.path())?;
                }
            }
            Ok(())
        };
        swept().map_err(|error| failed("what an interrupted run left cannot be removed", &staging, &error))
    }

    fn staging(&self) -> PathBuf {
        self.ours.join("staging")
    }

    fn staged(&self, table: &str, name: &str) -> PathBuf {
        self.staging().join(table).join(format!("{name}{STAGED}"))
    }

    fn published(&self, table: &str, name: &str) -> PathBuf {
        self.dataset.join(table).join(name)
    }
}

/// Why a name cannot be that of a folder, if so: it goes on after "the table …".
pub(crate) fn unusable_folder(name: &str) -> Option<String> {
    let reason = match name {
        "" => "it is empty".to_owned(),
        _ if name.starts_with('.') => "it begins with a dot".to_owned(),
        _ if name.eq_ignore_ascii_case(OURS) => "it is reserved".to_owned(),
        _ if name.len() > LONGEST => format!("it has more than {LONGEST} bytes"),
        _ => {
            let character = name.chars().find(|c| matches!(c, '/' | '\\') || c.is_control())?;
            format!("it contains {character:?}")
        }
    };
    Some(format!("is called {name:?}, which cannot be the name of a folder: {reason}"))
}

/// The directory's one path, however it was written. It is created where it does not exist, but not the one that it is in: that
/// would hide a mistyped path.
fn locate(directory: &Path) -> Result<PathBuf> {
    let unusable = |message: &str, path: &Path| Error::new(Class::Config, message).fact("directory", path.display());
    let full = absolute(directory).map_err(|error| unusable("not a usable path", directory).fact("reason", error))?;
    if !full.is_dir() {
        if full.exists() {
            return Err(unusable("the destination is a file; it must be a directory", &full));
        }
        if let Some(parent) = full.parent().filter(|parent| !parent.is_dir()) {
            return Err(unusable("the directory that the destination is in does not exist", &full)
                .advice(format!("create the directory {}, or name another one", parent.display())));
        }
    }
    Ok(full)
}

/// Creates a folder, and those that it is in, durably.
fn create(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(parent) = folder.parent() else { return Err(io::ErrorKind::NotFound.into()) };
    create(parent)?;
    match fs::create_dir(folder) {
        // Another pipeline may have been quicker.
        Err(error) if !(error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir()) => Err(error),
        _ => sync(parent),
    }
}

/// Makes the entries of a folder durable.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

/// An error of the file system.
fn failed(message: &str, path: &Path, error: &io::Error) -> Error {
    let failure = Error::new(Class::Destination, message).fact("path", path.display()).fact("reason", error);
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            failure.advice("make room: what was committed is kept, and the next run goes on from there")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failure.advice("let the program write there, or name another directory")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_folder() {
        for name in ["users", "users__tags", "日本", "a b", "a..b", "_private", &"x".repeat(255)] {
            assert_eq!(unusable_folder(name), None, "{name}");
        }
        for (name, reason) in [
            ("", "it is empty"),
            ("..", "it begins with a dot"),
            (".hidden", "it begins with a dot"),
            ("_spile", "it is reserved"),
            ("_Spile", "it is reserved"),
            ("a/b", "it contains '/'"),
            ("a\\b", "it contains '\\\\'"),
            ("a\0", "it contains '\\0'"),
            ("a\n", "it contains '\\n'"),
            (&"x".repeat(256), "it has more than 255 bytes"),
        ] {
            assert!(unusable_folder(name).unwrap().ends_with(reason), "{name:?}");
        }
    }

    #[test]
    fn what_is_done_twice_is_done_once() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path(), "data", "p").unwrap();
        let (schema, name) = (schema([("n", crate::destination::DataType::Bigint)]), "1-1.parquet");
        folder.stage("t", name, &schema, &[]).unwrap();
        folder.make_place("t", name).unwrap();
        for _ in 0..2 {
            folder.publish("t", name).unwrap();
        }
        assert!(!folder.is_staged("t", name) && folder.is_published("t", name));
        assert!(folder.make_place("t", name).unwrap_err().message.contains("in the way"));
        for _ in 0..2 {
            folder.remove("t", name).unwrap();
        }
        assert!(!folder.is_published("t", name));
        // Neither here nor there: that is a loss, and not what was done before.
        assert_eq!(folder.publish("t", name).unwrap_err().message, "a file cannot be moved to its place");
    }
}
