//! Which packages are in the module, by what the compiler did: neither build tools nor what other programs of the
//! workspace need.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Message, Metadata, MetadataCommand, PackageId};

const TARGET: &str = "wasm32-wasip1";
const ROOT: &str = "jwe-gate";

/// The packages in the module.
#[derive(Debug)]
pub struct Contents {
    /// The filter itself.
    pub root: Package,
    /// What it is made of, sorted.
    pub parts: Vec<Package>,
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression.
    pub license: Option<String>,
    /// The packages that it uses itself, as [`Package::purl`].
    pub uses: BTreeSet<String>,
}

impl Package {
    /// Its name in every bill of materials: a package URL.
    #[must_use]
    pub fn purl(&self) -> String {
        purl(&self.name, &self.version)
    }
}

impl Contents {
    /// Reads cargo's messages about the build of the filter.
    ///
    /// # Errors
    ///
    /// When they cannot be read, are about something else, or cargo does not know these packages.
    pub fn of_build(messages: impl BufRead) -> Result<Self> {
        let compiled = compiled(messages)?;
        let metadata = MetadataCommand::new()
            .other_options(["--locked", "--filter-platform", TARGET].map(str::to_owned).to_vec())
            .exec()?;
        let mut packages = packages(&metadata, &compiled)?;
        ensure!(packages.len() == compiled.len(), "packages were compiled that cargo does not know");
        let root = packages.iter().position(|package| package.name == ROOT).context("the filter was not built")?;
        let root = packages.swap_remove(root);
        packages.sort();
        Ok(Self { root, parts: packages })
    }
}

/// What was compiled for the module's target. The same packages may also have been compiled for build tools.
fn compiled(messages: impl BufRead) -> Result<BTreeSet<PackageId>> {
    let mut packages = BTreeSet::new();
    for message in Message::parse_stream(messages) {
        let Message::CompilerArtifact(artifact) = message? else { continue };
        if artifact.filenames.iter().any(|file| file.components().any(|part| part.as_str() == TARGET)) {
            packages.insert(artifact.package_id);
        }
    }
    Ok(packages)
}

fn packages(metadata: &Metadata, compiled: &BTreeSet<PackageId>) -> Result<Vec<Package>> {
    let of_compiled = metadata.packages.iter().filter(|package| compiled.contains(&package.id));
    let purls: BTreeMap<&PackageId, String> =
        of_compiled.clone().map(|package| (&package.id, purl(&package.name, &package.version.to_string()))).collect();
    let nodes = &metadata.resolve.as_ref().context("cargo resolved nothing")?.nodes;
    let uses = |id: &PackageId| {
        let node = nodes.iter().find(|node| node.id == *id);
        let used = node.into_iter().flat_map(|node| &node.dependencies);
        used.filter_map(|id| purls.get(id).cloned()).collect()
    };
    let package = |package: &cargo_metadata::Package| Package {
        name: package.name.to_string(),
        version: package.version.to_string(),
        // The form of old manifests, which SPDX does not know.
        license: package.license.as_ref().map(|license| license.replace(" / ", "/").replace('/', " OR ")),
        uses: uses(&package.id),
    };
    Ok(of_compiled.map(package).collect())
}

fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(package: &str, folder: &str) -> String {
        let target = r#"{"kind":["lib"],"crate_types":["lib"],"name":"x","src_path":"/x.rs","edition":"2024","doctest":true,"test":true,"doc":true}"#;
        let profile =
            r#"{"opt_level":"3","debuginfo":0,"debug_assertions":false,"overflow_checks":false,"test":false}"#;
        format!(
            r#"{{"reason":"compiler-artifact","package_id":"{package}","manifest_path":"/Cargo.toml","target":{target},"profile":{profile},"features":[],"filenames":["{folder}/libx.rlib"],"executable":null,"fresh":true}}"#
        ) + "\n"
    }

    #[test]
    fn build_tools_are_not_in_the_module() {
        let messages = message("in", "/t/wasm32-wasip1/wasm/deps") + &message("tool", "/t/wasm/deps");
        let found = compiled((messages + "{\"reason\":\"build-finished\",\"success\":true}\n").as_bytes()).unwrap();
        assert_eq!(found.into_iter().map(|id| id.repr).collect::<Vec<_>>(), ["in"]);
    }

    #[test]
    fn a_build_of_something_else_is_refused() {
        assert!(Contents::of_build(&b""[..]).is_err());
        assert!(Contents::of_build(message("unknown", "/t/wasm32-wasip1/wasm").as_bytes()).is_err());
    }
}
