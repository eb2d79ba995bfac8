//! The bill of materials, as `CycloneDX` 1.6 in JSON: what is in the modules, each with version and licence. They are made
//! of the same, so that one is enough; it names each file by its checksum.

use serde_json::{Value, json};

use crate::{Contents, Module, Package, sha256};

pub(crate) fn document(modules: &[Module; 2], contents: &Contents) -> Value {
    let mut root = component(&contents.root);
    insert(&mut root, "components", modules.iter().map(file).collect());
    let [Module { info, .. }, _] = modules;
    if let Some(commit) = &info.commit {
        insert(&mut root, "properties", json!([{ "name": "jwe-gate:commit", "value": commit }]));
    }
    let packages = std::iter::once(&contents.root).chain(&contents.parts);
    let tools = info.tools.iter().map(|tool| json!({ "type": "application", "name": tool }));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": root, "tools": { "components": tools.collect::<Vec<_>>() } },
        "components": contents.parts.iter().map(component).collect::<Vec<_>>(),
        "dependencies": packages.map(dependencies).collect::<Vec<_>>(),
    })
}

fn component(package: &Package) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": package.purl(),
        "name": package.name,
        "version": package.version,
        "purl": package.purl(),
    });
    if let Some(license) = &package.license {
        insert(&mut component, "licenses", json!([{ "expression": license }]));
    }
    component
}

fn file(module: &Module) -> Value {
    let hash = json!({ "alg": "SHA-256", "content": sha256(&module.wasm) });
    json!({ "type": "file", "name": module.file, "hashes": [hash] })
}

fn dependencies(package: &Package) -> Value {
    json!({ "ref": package.purl(), "dependsOn": package.uses })
}

fn insert(component: &mut Value, name: &str, value: Value) {
    if let Some(members) = component.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use jwe_gate_build_info::BuildInfo;

    use super::*;

    fn package(name: &str, uses: &[&Package]) -> Package {
        let uses = uses.iter().map(|package| package.purl()).collect();
        Package { name: name.into(), version: "1.2.3".into(), license: Some("MIT".into()), uses }
    }

    #[test]
    fn it_names_the_modules_by_their_checksums_and_every_part_with_what_it_uses() {
        let module = |file, wasm: &[u8]| {
            let tools = vec!["rustc 1".into()];
            let info = BuildInfo { version: "1.2.3".into(), commit: Some("c0ffee".into()), tools };
            Module { file, wasm: wasm.to_vec(), info }
        };
        let leaf = package("leaf", &[]);
        let branch = package("branch", &[&leaf]);
        let root = package("jwe-gate", &[&branch]);
        let modules = [module("one.wasm", b"abc"), module("other.wasm", b"")];
        let document = document(&modules, &Contents { root, parts: vec![branch, leaf] });

        let told = &document["metadata"]["component"];
        let sums = [
            ("one.wasm", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            ("other.wasm", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ];
        for (number, (name, sum)) in sums.into_iter().enumerate() {
            let file = &told["components"][number];
            assert_eq!((&file["name"], &file["hashes"][0]["content"]), (&name.into(), &sum.into()));
        }
        assert_eq!(told["properties"][0]["value"], "c0ffee");
        assert_eq!(document["metadata"]["tools"]["components"][0]["name"], "rustc 1");
        let parts = document["components"].as_array().unwrap();
        let purls: Vec<_> = parts.iter().map(|part| part["purl"].as_str().unwrap()).collect();
        assert_eq!(purls, ["pkg:cargo/branch@1.2.3", "pkg:cargo/leaf@1.2.3"]);
        assert_eq!(parts[0]["licenses"][0]["expression"], "MIT");
        let branch = json!({ "ref": "pkg:cargo/branch@1.2.3", "dependsOn": ["pkg:cargo/leaf@1.2.3"] });
        assert_eq!(document["dependencies"][1], branch);
    }
}
