//! What is packed: the OCI image, read back as a registry and a proxy read it, and the checksums.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "also the helpers of a test may fail it")]

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use flate2::read::GzDecoder;
use jwe_gate_package::{Contents, Package};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A module that names its version and nothing else.
const WASM: &[u8] = b"\0asm\x01\0\0\0\0\x0d\x07version0.1.0";

/// The same with another section after it.
const FOR_NGINX: &[u8] = b"\0asm\x01\0\0\0\0\x0d\x07version0.1.0\0\x02\x01x";

struct Folder(PathBuf);

impl Folder {
    /// Packs [`WASM`] and [`FOR_NGINX`] in a folder of its own.
    fn packed(name: &str) -> Self {
        let folder = Self(env::temp_dir().join(format!("jwe-gate-package-{}-{name}", process::id())));
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(folder.0.join("jwe_gate.wasm"), WASM).unwrap();
        fs::write(folder.0.join("jwe_gate_nginx.wasm"), FOR_NGINX).unwrap();
        folder.pack().unwrap();
        folder
    }

    fn pack(&self) -> anyhow::Result<()> {
        let root = Package { name: "jwe-gate".into(), version: "0.1.0".into(), license: None, uses: BTreeSet::new() };
        jwe_gate_package::write(&self.0, &Contents { root, parts: Vec::new() })
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&fs::read(self.0.join(file)).unwrap()).unwrap()
    }

    /// The content that a descriptor refers to, size and digest being right.
    fn blob(&self, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let bytes = fs::read(self.0.join("oci/blobs/sha256").join(digest)).unwrap();
        assert_eq!((sha256(&bytes), Some(bytes.len() as u64)), (digest.to_owned(), descriptor["size"].as_u64()));
        bytes
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&self.blob(&self.json("oci/index.json")["manifests"][0])).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Every file below a folder, with its content.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push((path.clone(), fs::read(&path).unwrap())) }
    }
    found.sort();
    found
}

#[test]
fn the_last_layer_holds_the_module_as_plugin_wasm() {
    let folder = Folder::packed("layer");
    let manifest = folder.manifest();
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.last().unwrap()["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    let mut tar = Vec::new();
    GzDecoder::new(&*folder.blob(layers.last().unwrap())).read_to_end(&mut tar).unwrap();
    let config: Value = serde_json::from_slice(&folder.blob(&manifest["config"])).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(&tar)));

    let mut archive = tar::Archive::new(&*tar);
    let mut entries = archive.entries().unwrap();
    let mut plugin = entries.next().unwrap().unwrap();
    let mut wasm = Vec::new();
    plugin.read_to_end(&mut wasm).unwrap();
    assert_eq!((plugin.path().unwrap().as_ref(), wasm.as_slice()), (Path::new("plugin.wasm"), WASM));
    assert_eq!((plugin.header().mtime().unwrap(), plugin.header().uid().unwrap()), (0, 0));
    assert!(entries.next().is_none());
}

#[test]
fn the_layout_is_named_by_its_version_and_has_nothing_that_is_not_referred_to() {
    let folder = Folder::packed("layout");
    assert_eq!(folder.json("oci/oci-layout")["imageLayoutVersion"], "1.0.0");
    let entry = &folder.json("oci/index.json")["manifests"][0];
    assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], "0.1.0");
    assert_eq!(fs::read_dir(folder.0.join("oci/blobs/sha256")).unwrap().count(), 3);
}

#[test]
fn packing_again_elsewhere_gives_the_same_files_and_leaves_nothing_of_before() {
    let (one, other) = (Folder::packed("one"), Folder::packed("another-folder"));
    let stale = other.0.join("oci/blobs/sha256/stale");
    fs::write(&stale, "left over").unwrap();
    other.pack().unwrap();
    let (of_one, of_other) = (files(&one.0), files(&other.0));
    assert_eq!(of_one.len(), of_other.len());
    for ((path, content), (_, other_content)) in of_one.iter().zip(&of_other) {
        assert_eq!(content, other_content, "{}", path.display());
    }
}

#[test]
fn the_checksum_files_are_what_sha256sum_reads() {
    let folder = Folder::packed("checksum");
    for (file, wasm) in [("jwe_gate.wasm", WASM), ("jwe_gate_nginx.wasm", FOR_NGINX)] {
        let checksum = fs::read_to_string(folder.0.join(format!("{file}.sha256"))).unwrap();
        assert_eq!(checksum, format!("{}  {file}\n", sha256(wasm)));
    }
}

#[test]
fn modules_of_different_builds_are_not_packed() {
    let folder = Folder::packed("builds");
    let other = [&WASM[..WASM.len() - 1], b"1"].concat();
    fs::write(folder.0.join("jwe_gate_nginx.wasm"), other).unwrap();
    assert!(folder.pack().unwrap_err().to_string().contains("not of one build"));
    fs::remove_file(folder.0.join("jwe_gate_nginx.wasm")).unwrap();
    assert!(folder.pack().unwrap_err().to_string().contains("jwe_gate_nginx.wasm"));
}
