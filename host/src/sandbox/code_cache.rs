//! Keeps compiled components, because compiling takes seconds and loading takes milliseconds.

use crate::folders;
use crc32fast::Hasher as Checksum;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

/// How much of a file is read at once: what stays in a processor's cache.
const PIECE: usize = 128 << 10;

/// Where the code of a component came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeSource {
    /// It was in the cache.
    Cached,
    /// It was compiled, because it was not in the cache.
    Compiled,
    /// It was compiled, because what the cache held was damaged.
    Rebuilt,
}

impl fmt::Display for CodeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cached => "cached",
            Self::Compiled => "compiled",
            Self::Rebuilt => "rebuilt after a damaged cache",
        })
    }
}

/// A folder of compiled components, each named by the digest of its bytes and by what engine it was compiled for. Beside each
/// stands its checksum, by which a damaged one is found: code is mapped into memory as it stands in the file.
///
/// Compiled code is run as it is, so the folder must be the user's alone. One that others may write to is not used.
#[derive(Clone, Debug)]
pub struct CodeCache {
    folder: PathBuf,
}

impl CodeCache {
    /// `$XDG_CACHE_HOME/spile/code`, or `~/.cache/spile/code`. `None` where neither is known.
    pub fn of_user() -> Option<Self> {
        Some(Self::at(folders::cache()?.join("code")))
    }

    /// In this folder, which is made when it is needed.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The component of this digest, from the cache if it is there, else compiled and kept. A cache that cannot be used is no failure.
    pub(super) fn load(&self, engine: &Engine, wasm: &[u8], digest: &str) -> wasmtime::Result<(Component, CodeSource)> {
        if folders::create_own(&self.folder).is_err() {
            return Ok((Component::from_binary(engine, wasm)?, CodeSource::Compiled));
        }
        let file = self.file(engine, digest);
        let source = match read(&file, engine) {
            Ok(Some(component)) => return Ok((component, CodeSource::Cached)),
            Ok(None) => CodeSource::Rebuilt,
            Err(_) => CodeSource::Compiled,
        };
        let component = Component::from_binary(engine, wasm)?;
        // A full disk, say, costs the time to compile again and nothing else.
        let _not_kept = component.serialize().map(|code| self.write(&file, &code));
        Ok((component, source))
    }

    fn file(&self, engine: &Engine, digest: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.folder.join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }

    /// Writes the code and its checksum, each of which is either whole or not there. Where another process writes at the same
    /// time the two may not fit: then they are written anew by whoever notices.
    fn write(&self, file: &Path, code: &[u8]) -> io::Result<()> {
        let persist = |file: &Path, bytes: &[u8]| {
            let mut temporary = NamedTempFile::new_in(&self.folder)?;
            temporary.write_all(bytes)?;
            temporary.persist(file)?;
            io::Result::Ok(())
        };
        persist(file, code)?;
        persist(&checksum_file(file), format!("{:08x}", crc32fast::hash(code)).as_bytes())
    }
}

/// Where the checksum of a file stands.
fn checksum_file(file: &Path) -> PathBuf {
    file.with_extension("crc32")
}

/// Maps a file. `None` if it is damaged.
fn read(file: &Path, engine: &Engine) -> io::Result<Option<Component>> {
    let code = File::open(file)?;
    let Ok(expected) = fs::read_to_string(checksum_file(file)) else { return Ok(None) };
    let (mut checksum, mut piece, mut rest) = (Checksum::new(), vec![0; PIECE], &code);
    loop {
        match rest.read(&mut piece)? {
            0 => break,
            length => checksum.update(piece.get(..length).unwrap_or_default()),
        }
    }
    if format!("{:08x}", checksum.finalize()) != expected {
        return Ok(None);
    }
    // SAFETY: the code is what `Component::serialize` of the same engine version gave: this module alone writes to the
    // folder, which no other user can write to, and replaces files as a whole; and the checksum says that this one is as it was
    // written. wasmtime checks version and configuration by itself.
    Ok(unsafe { Component::deserialize_file(engine, file) }.ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    const WASM: &[u8] = b"\0asm\x0d\0\x01\0";

    fn source(cache: &CodeCache) -> CodeSource {
        cache.load(&Engine::default(), WASM, "digest").unwrap().1
    }

    fn only_file(folder: &Path) -> PathBuf {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<_> = files.filter(|file| file.extension().is_some_and(|ending| ending == "cwasm")).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.into_iter().next().unwrap()
    }

    #[test]
    fn what_was_compiled_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::at(folder.path().join("spile/code"));
        assert_eq!(source(&cache), CodeSource::Compiled);
        assert_eq!(source(&cache), CodeSource::Cached);
        assert_eq!(fs::metadata(&cache.folder).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_damaged_file_is_rebuilt_and_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::at(folder.path());
        source(&cache);
        let file = only_file(folder.path());
        let whole = fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [&[] as &[u8], &whole[..10], &whole[..whole.len() - 1], &flipped] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(source(&cache), CodeSource::Rebuilt);
            assert_eq!(source(&cache), CodeSource::Cached);
        }
        fs::remove_file(checksum_file(&file)).unwrap();
        assert_eq!(source(&cache), CodeSource::Rebuilt);
        assert_eq!(source(&cache), CodeSource::Cached);
        only_file(folder.path());
    }

    #[test]
    fn code_for_another_engine_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::at(folder.path());
        source(&cache);
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let (_, other) = cache.load(&Engine::new(&config).unwrap(), WASM, "digest").unwrap();
        assert_eq!(other, CodeSource::Compiled);
        assert_eq!(source(&cache), CodeSource::Cached);
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let cache = CodeCache::at(folder.path());
        assert_eq!((source(&cache), source(&cache)), (CodeSource::Compiled, CodeSource::Compiled));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_no_failure() {
        let file = NamedTempFile::new().unwrap();
        assert_eq!(source(&CodeCache::at(file.path().join("code"))), CodeSource::Compiled);
    }
}
