//! Where components come from: a file, or a registry of OCI artifacts.
//!
//! A component in a registry is run by the digest of its manifest ([`Reference::pinned`]): a tag may name another one tomorrow. The manifest
//! has the digest of the component's bytes. Both are verified at every load, whether they come over the network or out of the
//! [`Store`], so it does not matter who serves them.

mod artifact;
mod credentials;
mod reference;
mod registry;
mod store;

pub use artifact::Artifact;
pub use reference::{Digest, Reference};
pub use registry::{Pulled, Registry};
pub use store::Store;

use crate::{Class, Error, Result};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// In a registry.
    Registry(Reference),
}

impl Place {
    /// The same place, for a path that begins at this folder.
    #[must_use]
    pub fn from_folder(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            Self::Registry(reference) => Self::Registry(reference),
        }
    }

    /// Reads the component, which makes requests where it is in a registry and not in the [`Store`]. `tell` hears of what the store held and
    /// had to be fetched again.
    ///
    /// # Errors
    /// [`Class::Config`] for a file that cannot be read and a reference without a digest; those of [`Registry::pull`].
    pub async fn read(&self, tell: impl FnOnce(Error)) -> Result<Vec<u8>> {
        match self {
            Self::File(path) => std::fs::read(path)
                .map_err(|error| Error::new(Class::Config, format!("failed to read {}: {error}", path.display()))),
            Self::Registry(reference) => {
                reference.pinned()?;
                let pulled = Registry::of(reference, Store::of_user()).pull().await?;
                pulled.warning().map(tell);
                Ok(pulled.wasm)
            }
        }
    }
}

/// What begins with `oci:` is a reference, and all else a path.
impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("oci:") { text.parse().map(Self::Registry) } else { Ok(Self::File(text.into())) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}
