//! What was fetched from registries, kept for the next time.

use super::Digest;
use crate::folders;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use tempfile::NamedTempFile;

/// A folder of manifests and components, each named by its digest. What is read from it is verified each time, so who may write to it
/// can make a load slower, and nothing else.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// What a store has of a digest.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    /// Bytes that have the digest.
    Sound(Vec<u8>),
    /// Bytes that have another one.
    Damaged,
    /// Nothing that can be read.
    Nothing,
}

impl Store {
    /// `$XDG_CACHE_HOME/spile/components`, or `~/.cache/spile/components`. None where neither is known.
    pub fn of_user() -> Option<Self> {
        Some(Self::at(folders::cache()?.join("components")))
    }

    /// In this folder, which is made when it is needed.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Reads and verifies.
    pub fn read(&self, digest: &Digest) -> Kept {
        match fs::read(self.file(digest)) {
            Ok(bytes) if Digest::of(&bytes) == *digest => Kept::Sound(bytes),
            Ok(_) => Kept::Damaged,
            Err(_) => Kept::Nothing,
        }
    }

    /// Keeps bytes of this digest.
    pub fn keep(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut temporary = NamedTempFile::new_in(&self.folder)?;
        temporary.write_all(bytes)?;
        temporary.persist(self.file(digest))?;
        Ok(())
    }

    fn file(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("sha256-{}", digest.digits()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sound_bytes_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("components"));
        let digest = Digest::of(b"component");
        assert_eq!(store.read(&digest), Kept::Nothing);
        store.keep(&digest, b"component").unwrap();
        assert_eq!(store.read(&digest), Kept::Sound(b"component".to_vec()));
        fs::write(store.file(&digest), b"another").unwrap();
        assert_eq!(store.read(&digest), Kept::Damaged);
        store.keep(&digest, b"component").unwrap();
        assert_eq!(store.read(&digest), Kept::Sound(b"component".to_vec()));
    }
}
