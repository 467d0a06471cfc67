//! A component as an artifact of a registry, as the CNCF's working group on WebAssembly has it: a manifest with one layer, which is the component,
//! and a configuration that lists what it imports and exports.

use super::Digest;
use crate::{Class, Error, Result};
use bytes::Bytes;
use oci_client::client::{Config, ImageLayer};
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use serde_json::json;
use std::collections::BTreeMap;
use wasm_metadata::Metadata;
use wasmparser::{Parser, Payload};

/// The type of the configuration.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The type of the layer.
const LAYER: &str = "application/wasm";

/// The time that every artifact is from: the same component has the same digest, whoever pushes it, and when.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// A component, and what it says of itself.
pub struct Artifact {
    /// The component.
    pub wasm: Vec<u8>,
    metadata: Metadata,
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Artifact {
    /// Reads what the component says of itself.
    ///
    /// # Errors
    /// [`Class::Config`] where the bytes are no component.
    pub fn new(wasm: Vec<u8>) -> Result<Self> {
        let wrong = |reason: String| Error::new(Class::Config, "not a WebAssembly component").fact("reason", reason);
        let metadata = match wasm_metadata::Payload::from_binary(&wasm).map_err(|error| wrong(format!("{error:#}")))? {
            wasm_metadata::Payload::Component { metadata, .. } => metadata,
            wasm_metadata::Payload::Module(_) => {
                return Err(wrong("it is a core module".to_owned())
                    .advice("make a component of it, such as with `wasm-tools component new` or `jco new`"));
            }
        };
        let (imports, exports) = surface(&wasm).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { wasm, metadata, imports, exports })
    }

    /// Its name and version, as far as it says them.
    pub fn title(&self) -> String {
        let name = self.metadata.name.as_deref().unwrap_or("a component without a name");
        match &self.metadata.version {
            Some(version) => format!("{name} {version}"),
            None => name.to_owned(),
        }
    }

    /// What it imports from the outside.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// What goes to a registry: the manifest, and by their digests what it names.
    pub(super) fn parts(self) -> (OciImageManifest, Vec<(String, Bytes)>) {
        let layer = ImageLayer::new(self.wasm, LAYER.to_owned(), None);
        let config = json!({
            "created": CREATED,
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [layer.sha256_digest()],
            "component": {"exports": self.exports, "imports": self.imports, "target": null},
        });
        let config = Config::new(config.to_string().into_bytes(), CONFIG.to_owned(), None);
        let annotations = Some(annotations(&self.metadata)).filter(|annotations| !annotations.is_empty());
        let mut manifest = OciImageManifest::build(std::slice::from_ref(&layer), &config, annotations);
        manifest.media_type = Some(OCI_IMAGE_MEDIA_TYPE.to_owned());
        let digests = manifest.layers.iter().chain([&manifest.config]).map(|part| part.digest.clone());
        let blobs = digests.zip([layer.data, config.data]).collect();
        (manifest, blobs)
    }
}

/// The names that the artifact's keys have in the field (OCI image specification, "Pre-Defined Annotation Keys").
fn annotations(metadata: &Metadata) -> BTreeMap<String, String> {
    fn text(value: &Option<impl ToString>) -> Option<String> {
        value.as_ref().map(ToString::to_string)
    }
    let said = [
        ("title", text(&metadata.name)),
        ("version", text(&metadata.version)),
        ("description", text(&metadata.description)),
        ("authors", text(&metadata.authors)),
        ("licenses", text(&metadata.licenses)),
        ("source", text(&metadata.source)),
        ("url", text(&metadata.homepage)),
        ("revision", text(&metadata.revision)),
    ];
    said.into_iter().filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?))).collect()
}

/// The names of what a component imports from the outside, and of what it exports.
fn surface(wasm: &[u8]) -> wasmparser::Result<(Vec<String>, Vec<String>)> {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_u32);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            // Nested modules and components import from the outer one.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

/// The layer of a manifest that is the component.
///
/// # Errors
/// [`Class::Source`] for a manifest of something else.
pub(super) fn layer(manifest: &[u8]) -> Result<(OciDescriptor, Digest)> {
    let wrong = |reason: String| {
        Error::new(Class::Source, "the registry has something else under this name").fact("reason", reason)
    };
    let manifest: OciImageManifest = serde_json::from_slice(manifest)
        .map_err(|error| wrong(format!("it is no manifest of one artifact: {error}")))?;
    let [layer] = manifest.layers.as_slice() else {
        return Err(wrong(format!("a component has one layer, and this has {}", manifest.layers.len())));
    };
    if layer.media_type != LAYER {
        return Err(wrong(format!("a component is {LAYER}, and this is {}", layer.media_type)));
    }
    match Digest::parse(&layer.digest) {
        Some(digest) => Ok((layer.clone(), digest)),
        None => Err(wrong(format!("the digest of the component is no SHA-256: {}", layer.digest))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_component_is_the_same_artifact_each_time() {
        let parts = || Artifact::new(crate::COMPONENT.to_vec()).unwrap().parts();
        let (manifest, blobs) = parts();
        let annotations = manifest.annotations.clone().unwrap();
        assert_eq!(annotations["org.opencontainers.image.title"], "spile");
        assert_eq!(annotations["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(annotations["org.opencontainers.image.licenses"], "MIT OR Apache-2.0");
        let config: serde_json::Value = serde_json::from_slice(&blobs[1].1).unwrap();
        assert_eq!(config["layerDigests"], json!([format!("sha256:{}", crate::COMPONENT_DIGEST)]));
        assert_eq!(config["component"]["exports"], json!(["spile:connector/source@0.1.0"]));
        let imports = config["component"]["imports"].as_array().unwrap();
        assert!(imports.contains(&json!("wasi:http/outgoing-handler@0.2.4")), "{imports:?}");
        let text = |manifest| serde_json::to_string(&manifest).unwrap();
        assert_eq!(text(manifest.clone()), text(parts().0));
        let (layer, digest) = layer(text(manifest).as_bytes()).unwrap();
        assert_eq!((digest.digits(), layer.size), (crate::COMPONENT_DIGEST, crate::COMPONENT.len() as i64));
    }

    #[test]
    fn what_is_no_component_is_refused() {
        for (wasm, reason) in [(&b"\0asm\x01\0\0\0"[..], "core module"), (b"", "reason"), (b"PK", "reason")] {
            let error = Artifact::new(wasm.to_vec()).err().unwrap();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn manifests_of_something_else_are_refused() {
        let descriptor = |kind: &str, digest: &str| json!({"mediaType": kind, "digest": digest, "size": 1});
        let manifest = |layers: serde_json::Value| {
            json!({"schemaVersion": 2, "config": descriptor(CONFIG, "sha256:00"), "layers": layers}).to_string()
        };
        let digest = Digest::of(b"").to_string();
        for (manifest, reason) in [
            ("[]".to_owned(), "no manifest"),
            (json!({"schemaVersion": 2, "manifests": []}).to_string(), "no manifest"),
            (manifest(json!([])), "has 0"),
            (manifest(json!([descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &digest)])), "tar+gzip"),
            (manifest(json!([descriptor(LAYER, "sha256:../../etc/passwd")])), "no SHA-256"),
        ] {
            let error = layer(manifest.as_bytes()).unwrap_err();
            assert!(error.class == Class::Source && error.to_string().contains(reason), "{error}");
        }
    }
}
