//! Where refresh tokens are kept from one run to the next.

use crate::digest::sha256_of;
use crate::{Class, Error, Result, folders};
use std::fmt;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// The largest refresh token that is kept, in bytes.
const MAX_TOKEN: u64 = 64 * 1024;

/// Keeps refresh tokens. A server that rotates them takes each only once, so the one that it gave last must be there for the
/// next run, whatever becomes of this one: a token is saved before what came with it is used.
pub trait TokenStore: Send + Sync {
    /// The token that was saved last under this key. Called before each request for a token, so that a store which cannot save
    /// can fail in time.
    fn load(&self, key: &TokenKey) -> Result<Option<Zeroizing<String>>>;

    /// Puts a token in the place of the one that was saved before.
    fn save(&self, key: &TokenKey, token: &str) -> Result<()>;
}

/// Names a refresh token: 64 hexadecimal digits that tell nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenKey(String);

impl TokenKey {
    /// The key that is told by all of these. The configured refresh token is among them, so that another one in the
    /// configuration is a new beginning.
    pub(super) fn new(parts: &[&str]) -> Self {
        Self(sha256_of(parts))
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Keeps refresh tokens in files that only their owner can read, one for each key.
#[derive(Clone, Debug)]
pub struct TokenFiles {
    folder: PathBuf,
}

impl TokenFiles {
    /// Keeps them in this folder, which is made where it is missing.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Keeps them in the user's state folder (`$XDG_STATE_HOME`, else `~/.local/state`). None where the user has none.
    pub fn of_user() -> Option<Self> {
        Some(Self::in_folder(folders::state()?.join("tokens")))
    }

    fn path(&self, key: &TokenKey) -> PathBuf {
        self.folder.join(&key.0)
    }

    fn open_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        fs::set_permissions(&self.folder, Permissions::from_mode(0o700))
    }
}

fn failed(action: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(Class::Auth, format!("failed to {action} a refresh token: {error}"))
        .fact("file", path.display())
        .advice("the folder is $XDG_STATE_HOME/spile/tokens, else ~/.local/state/spile/tokens")
}

impl TokenStore for TokenFiles {
    fn load(&self, key: &TokenKey) -> Result<Option<Zeroizing<String>>> {
        let path = self.path(key);
        self.open_folder().map_err(|error| failed("prepare the folder of", &self.folder, &error))?;
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|error| failed("read", &path, &error))?,
        };
        let mut token = Zeroizing::new(String::new());
        file.take(MAX_TOKEN).read_to_string(&mut token).map_err(|error| failed("read", &path, &error))?;
        Ok(Some(token).filter(|token| !token.is_empty()))
    }

    fn save(&self, key: &TokenKey, token: &str) -> Result<()> {
        let path = self.path(key);
        let save = || {
            self.open_folder()?;
            // Only its owner can read it, from the beginning; and there is no instant at which there is half of it.
            let mut file = NamedTempFile::new_in(&self.folder)?;
            file.write_all(token.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            File::open(&self.folder)?.sync_all()
        };
        save().map_err(|error| failed("save", &path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = TokenFiles::in_folder(folder.path().join("a/tokens"));
        let key = TokenKey::new(&["a", "b"]);
        assert!(store.load(&key).unwrap().is_none());
        for token in ["first", "second"] {
            store.save(&key, token).unwrap();
            assert_eq!(store.load(&key).unwrap().unwrap().as_str(), token);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&store.folder), mode(&store.path(&key))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&store.folder).unwrap().count(), 1);
        assert!(store.load(&TokenKey::new(&["ab", ""])).unwrap().is_none());
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error_before_any_token_is_asked_for() {
        let file = NamedTempFile::new().unwrap();
        let error = TokenFiles::in_folder(file.path().join("tokens")).load(&TokenKey::new(&[])).unwrap_err();
        assert_eq!(error.class, Class::Auth);
        assert!(error.facts.iter().any(|(label, _)| *label == "file"));
    }
}
