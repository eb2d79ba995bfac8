//! An OCI image of the filter, as a layout on disk.
//!
//! Istio, Envoy Gateway and Higress read two forms: an ordinary image whose last layer is a tar.gz with a `plugin.wasm`,
//! and one of exactly two layers of types of their own. A single layer of the type
//! `application/vnd.module.wasm.content.layer.v1+wasm`, which some tools make, is refused by all of them. This is the
//! first form, since every registry and every tool for images takes it.

use std::fs;
use std::path::Path;

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use crate::{Module, sha256};

const PLUGIN: &str = "plugin.wasm";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Writes the layout into `folder`, in place of what is there.
pub(crate) fn write(folder: &Path, module: &Module) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let blobs = Blobs(folder.join("blobs/sha256"));
    fs::create_dir_all(&blobs.0)?;

    let tar = archive(&module.wasm)?;
    let layer = blobs.write(LAYER, &compressed(&tar)?)?;
    let config = blobs.write(CONFIG, config(&tar).to_string().as_bytes())?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": [layer],
        "annotations": annotations(module),
    });
    let mut entry = blobs.write(MANIFEST, manifest.to_string().as_bytes())?;
    if let Some(entry) = entry.as_object_mut() {
        entry.insert("annotations".to_owned(), json!({ "org.opencontainers.image.ref.name": module.info.version }));
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    });
    fs::write(folder.join("index.json"), index.to_string())?;
    fs::write(folder.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;
    Ok(())
}

/// The folder of contents, each named by its checksum.
struct Blobs(std::path::PathBuf);

impl Blobs {
    /// Writes one, and returns the descriptor by which others refer to it.
    fn write(&self, media_type: &str, bytes: &[u8]) -> Result<Value> {
        let digest = sha256(bytes);
        fs::write(self.0.join(&digest), bytes)?;
        Ok(json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() }))
    }
}

/// A tar of the one file. Owner and time are zero.
fn archive(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(wasm.len().try_into()?);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, PLUGIN, wasm)?;
    Ok(archive.into_inner()?)
}

fn compressed(tar: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut encoder, tar)?;
    Ok(encoder.finish()?)
}

fn config(tar: &[u8]) -> Value {
    let layers = json!({ "type": "layers", "diff_ids": [format!("sha256:{}", sha256(tar))] });
    json!({ "architecture": "wasm", "os": "wasip1", "config": {}, "rootfs": layers })
}

fn annotations(module: &Module) -> Value {
    let mut annotations = json!({
        "module.wasm.image/variant": "compat",
        "org.opencontainers.image.title": "jwe-gate",
        "org.opencontainers.image.version": module.info.version,
        "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
    });
    if let (Some(annotations), Some(commit)) = (annotations.as_object_mut(), &module.info.commit) {
        annotations.insert("org.opencontainers.image.revision".to_owned(), json!(commit));
    }
    annotations
}
