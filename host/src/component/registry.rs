//! The client of a registry.

use super::artifact::{self, Artifact};
use super::store::Kept;
use super::{Digest, Reference, Store, credentials};
use crate::{Class, Error, Result};
use futures_util::StreamExt;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor};
use oci_client::secrets::RegistryAuth;
use rustls::crypto::ring;
use std::time::Duration;
use std::{fmt, io};
use tokio::sync::OnceCell;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a registry may send nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// The largest component that is fetched, in bytes: what contains an interpreter has some ten million.
const LARGEST: usize = 256 << 20;

/// The registry of one reference, and what was fetched from it before.
pub struct Registry {
    reference: Reference,
    store: Option<Store>,
    session: OnceCell<Session>,
}

/// What requests are sent with, made for the first of them: what the [`Store`] has takes none.
struct Session {
    client: oci_client::Client,
    auth: RegistryAuth,
}

/// A component out of a registry.
pub struct Pulled {
    /// Its bytes, whose digest was verified.
    pub wasm: Vec<u8>,
    /// The reference by which this component, and no other, is named.
    pub pinned: Reference,
    /// Whether what the store had of it was damaged, and was fetched again.
    pub was_damaged: bool,
}

impl Pulled {
    /// Tells of what was damaged.
    pub fn warning(&self) -> Option<Error> {
        self.was_damaged.then(|| {
            Error::new(
                Class::Policy,
                "what was kept of a component did not have its digest any more, and was fetched again",
            )
            .fact("component", &self.pinned)
            .advice(
                "look whether the disk is in order, and who may write to the folder `spile/components` of your caches",
            )
        })
    }
}

impl Registry {
    /// The registry of this reference. `store` is where what is pulled is kept.
    pub fn of(reference: &Reference, store: Option<Store>) -> Self {
        Self { reference: reference.clone(), store, session: OnceCell::new() }
    }

    /// Sends a component there, under the tag of the reference. Gives the reference by which it is pinned.
    ///
    /// # Errors
    /// [`Class::Config`] for a reference with a digest; [`Class::Auth`] where the registry refuses the user, or what is kept of the
    /// user cannot be read; [`Class::Source`] where it fails.
    pub async fn push(&self, component: Artifact) -> Result<Reference> {
        if self.reference.digest().is_some() {
            return Err(Error::new(
                Class::Config,
                "a component is pushed under a tag: its digest follows from its bytes",
            )
            .advice("write `oci://HOST/NAME:TAG`"));
        }
        let (manifest, blobs) = component.parts();
        // What is pushed and what is pinned are the same bytes.
        let manifest = serde_json::to_vec(&manifest)
            .map_err(|error| Error::new(Class::Internal, format!("failed to write a manifest: {error}")))?;
        let digest = Digest::of(&manifest);
        let Session { client, auth } = self.session().await?;
        let send = async {
            client.store_auth_if_needed(self.reference.registry(), auth).await;
            for (digest, bytes) in blobs {
                client.push_blob(&self.reference.0, bytes, &digest).await?;
            }
            let kind = http::HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
            client.push_manifest_raw(&self.reference.0, manifest, kind).await
        };
        send.await.map_err(|error| failed(&self.reference, error))?;
        Ok(self.reference.at(&digest))
    }

    /// The component that the reference names: out of the store, where it is there, else from the registry. For a reference without a
    /// digest the registry is asked in any case.
    ///
    /// # Errors
    /// [`Class::Policy`] where something does not have its digest; [`Class::Config`] where the registry does not have it;
    /// [`Class::Auth`] where it refuses the user, or what is kept of the user cannot be read; [`Class::Source`] where it fails, or has
    /// something else there.
    pub async fn pull(&self) -> Result<Pulled> {
        let mut was_damaged = false;
        let mut kept = |digest: &Digest| match self.store.as_ref().map(|store| store.read(digest)) {
            Some(Kept::Sound(bytes)) => Some(bytes),
            Some(Kept::Damaged) => {
                was_damaged = true;
                None
            }
            Some(Kept::Nothing) | None => None,
        };
        let manifest = match self.reference.digest().as_ref().and_then(&mut kept) {
            Some(manifest) => manifest,
            None => self.manifest().await?,
        };
        let pinned = self.reference.at(&Digest::of(&manifest));
        let (layer, digest) = artifact::layer(&manifest).map_err(|error| error.fact("component", &pinned))?;
        let wasm = match kept(&digest) {
            Some(wasm) => wasm,
            None => self.component(&layer, &digest).await?,
        };
        Ok(Pulled { wasm, pinned, was_damaged })
    }

    async fn manifest(&self) -> Result<Vec<u8>> {
        let Session { client, auth } = self.session().await?;
        let answer = client.pull_manifest_raw(&self.reference.0, auth, &[OCI_IMAGE_MEDIA_TYPE]).await;
        let (manifest, _) = answer.map_err(|error| failed(&self.reference, error))?;
        self.verified(manifest.to_vec(), self.reference.digest().as_ref())
    }

    async fn component(&self, layer: &OciDescriptor, digest: &Digest) -> Result<Vec<u8>> {
        let size = usize::try_from(layer.size).unwrap_or(usize::MAX);
        let too_large = || {
            Error::new(Class::Policy, format!("the component is larger than {} MiB", LARGEST >> 20))
                .fact("component", &self.reference)
        };
        if size > LARGEST {
            return Err(too_large());
        }
        let Session { client, auth } = self.session().await?;
        client.store_auth_if_needed(self.reference.registry(), auth).await;
        let answer = client.pull_blob_stream(&self.reference.0, layer).await;
        let mut pieces = answer.map_err(|error| failed(&self.reference, error))?.stream;
        let mut wasm = Vec::new();
        while let Some(piece) = pieces.next().await {
            wasm.extend_from_slice(&piece.map_err(|error| failed(&self.reference, error.into()))?);
            if wasm.len() > LARGEST {
                return Err(too_large());
            }
        }
        self.verified(wasm, Some(digest))
    }

    /// Bytes that have this digest, or that may have any. They are kept for the next time.
    fn verified(&self, bytes: Vec<u8>, digest: Option<&Digest>) -> Result<Vec<u8>> {
        let has = Digest::of(&bytes);
        if let Some(digest) = digest.filter(|digest| **digest != has) {
            return Err(other_digest(&self.reference, format_args!("it should be {digest}, and is {has}")));
        }
        // A full disk, say, costs the time to fetch it again and nothing else.
        let _not_kept = self.store.as_ref().map(|store| store.keep(&has, &bytes));
        Ok(bytes)
    }

    /// As the user whom `docker login` or `podman login` made known to the registry.
    async fn session(&self) -> Result<&Session> {
        self.session.get_or_try_init(async || self.connect()).await
    }

    fn connect(&self) -> Result<Session> {
        // The library takes the process's own choice; a program that embeds this one may have made it.
        let _made_before = ring::default_provider().install_default();
        let registry = self.reference.registry();
        let protocol = match self.reference.is_on_this_machine() {
            true => ClientProtocol::HttpsExcept(vec![registry.to_owned()]),
            false => ClientProtocol::Https,
        };
        let config = ClientConfig {
            protocol,
            connect_timeout: Some(CONNECT),
            read_timeout: Some(SILENCE),
            user_agent: concat!("spile/", env!("CARGO_PKG_VERSION")),
            platform_resolver: None,
            ..ClientConfig::default()
        };
        let client = oci_client::Client::try_from(config).map_err(|error| failed(&self.reference, error))?;
        Ok(Session { client, auth: credentials::of_user(registry)? })
    }
}

/// What a registry said, for a person.
fn failed(reference: &Reference, failure: OciDistributionError) -> Error {
    let registry = reference.registry();
    let refused = || {
        Error::new(Class::Auth, format!("the registry {registry} refuses this user"))
            .advice(format!("log in: `docker login {registry}` or `podman login {registry}`"))
    };
    let none = || {
        Error::new(Class::Config, format!("the registry {registry} has no such component"))
            .advice("look for a slip in the name, the tag or the digest")
    };
    let error = match &failure {
        OciDistributionError::DigestError(why) => return other_digest(reference, why),
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => refused(),
        OciDistributionError::ServerError { code: 401 | 403, .. } => refused(),
        OciDistributionError::ServerError { code: 404, .. } | OciDistributionError::ImageManifestNotFoundError(_) => {
            none()
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            match envelope.errors.first().map(|error| &error.code) {
                Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => refused(),
                Some(
                    OciErrorCode::ManifestUnknown
                    | OciErrorCode::NameUnknown
                    | OciErrorCode::NotFound
                    | OciErrorCode::BlobUnknown
                    | OciErrorCode::ManifestBlobUnknown,
                ) => none(),
                _ => Error::new(Class::Source, format!("the registry {registry} failed")),
            }
        }
        OciDistributionError::IoError(error) if is_of_digest(error) => return other_digest(reference, error),
        OciDistributionError::RequestError(error) if error.is_connect() => {
            Error::new(Class::Source, format!("the registry {registry} cannot be reached"))
        }
        _ => Error::new(Class::Source, format!("the registry {registry} failed")),
    };
    error.fact("component", reference).fact("reason", causes(&failure))
}

fn other_digest(reference: &Reference, reason: impl fmt::Display) -> Error {
    Error::new(
        Class::Policy,
        format!("the registry {} sent something that does not have its digest", reference.registry()),
    )
    .fact("component", reference)
    .fact("reason", reason)
    .advice("nothing of it was run; ask who keeps the registry")
}

/// The client's own verification, as it comes out of a stream.
fn is_of_digest(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<DigestError>())
}

/// The message of a failure and of what caused it, in one line.
fn causes(failure: &dyn std::error::Error) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}
