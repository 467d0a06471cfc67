//! Keeps compiled components, because compiling takes seconds and loading takes milliseconds.

use sha2::{Digest, Sha256};
use std::collections::hash_map::DefaultHasher;
use std::fs::{self, DirBuilder, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{env, fmt};
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes of the checksum that a file begins with.
const CHECKSUM: usize = 32;

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

/// A folder of compiled components, each named by the digest of its bytes and by what engine it was compiled for.
///
/// Compiled code is run as it is, so the folder must be the user's alone. One that others may write to is not used.
#[derive(Clone, Debug)]
pub struct CodeCache {
    folder: PathBuf,
}

impl CodeCache {
    /// `$XDG_CACHE_HOME/spile/code`, or `~/.cache/spile/code`. `None` where neither is known.
    pub fn of_user() -> Option<Self> {
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(Self::at(base.join("spile/code")))
    }

    /// In this folder, which is made when it is needed.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The component, from the cache if it is there, else compiled and kept. A cache that cannot be used is no failure.
    pub(super) fn load(&self, engine: &Engine, wasm: &[u8]) -> wasmtime::Result<(Component, CodeSource)> {
        if self.own_folder().is_err() {
            return Ok((Component::from_binary(engine, wasm)?, CodeSource::Compiled));
        }
        let file = self.file(engine, wasm);
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

    fn file(&self, engine: &Engine, wasm: &[u8]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let digest: String = Sha256::digest(wasm).iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }

    /// Makes the folder, or sees that it is the user's own: nobody else could change its permissions.
    fn own_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let written_by_others = fs::symlink_metadata(&self.folder)?.permissions().mode() & 0o022 != 0;
        if written_by_others {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        fs::set_permissions(&self.folder, Permissions::from_mode(0o700))
    }

    /// Writes a file that is either whole or not there.
    fn write(&self, file: &Path, code: &[u8]) -> io::Result<()> {
        let mut temporary = NamedTempFile::new_in(&self.folder)?;
        temporary.write_all(&Sha256::digest(code))?;
        temporary.write_all(code)?;
        temporary.persist(file)?;
        Ok(())
    }
}

/// Reads a file. `None` if it is damaged.
fn read(file: &Path, engine: &Engine) -> io::Result<Option<Component>> {
    let bytes = fs::read(file)?;
    let whole = bytes
        .split_at_checked(CHECKSUM)
        .filter(|(checksum, code)| Sha256::digest(code).as_slice() == *checksum)
        .map(|(_, code)| code);
    Ok(whole.and_then(|code| {
        // SAFETY: the code is what `Component::serialize` of the same engine version gave: this module alone writes to the
        // folder, which no other user can write to, and the checksum says that the file is as it was written. wasmtime
        // checks version and configuration by itself.
        unsafe { Component::deserialize(engine, code) }.ok()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WASM: &[u8] = b"\0asm\x0d\0\x01\0";

    fn source(cache: &CodeCache) -> CodeSource {
        cache.load(&Engine::default(), WASM).unwrap().1
    }

    fn only_file(folder: &Path) -> PathBuf {
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
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
        for damaged in [&[] as &[u8], &whole[..10], &whole[..CHECKSUM], &whole[..whole.len() - 1], &flipped] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(source(&cache), CodeSource::Rebuilt);
            assert_eq!(source(&cache), CodeSource::Cached);
        }
        only_file(folder.path());
    }

    #[test]
    fn code_for_another_engine_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::at(folder.path());
        source(&cache);
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let (_, other) = cache.load(&Engine::new(&config).unwrap(), WASM).unwrap();
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
