//! SBOM: the crates of the program, and the C libraries inside of them, as a CycloneDX 1.5 document. Pure.

use serde_json::{Value, json};

use super::crates::Crate;

/// C libraries that a crate brings in its own sources. The crate's version names theirs after `+`.
const C_LIBRARIES: [(&str, &str); 3] = [
    ("openssl-src", "openssl"),
    ("rdkafka-sys", "librdkafka"),
    ("zstd-sys", "zstd"),
];

/// The document; the first crate that is named `program` is what it describes.
pub(super) fn document(crates: &[Crate], program: &str) -> Value {
    let described = crates.iter().find(|it| it.name == program);
    let others = crates.iter().filter(|it| it.name != program);
    let components: Vec<Value> = others
        .flat_map(|it| [Some(component(it)), c_library(it)])
        .flatten()
        .collect();
    let dependencies: Vec<Value> = crates
        .iter()
        .map(|it| {
            let on = it.dependencies.iter();
            let mut on: Vec<String> = on.map(|(name, version)| purl(name, version)).collect();
            on.extend(c_library(it).and_then(|it| Some(it["bom-ref"].as_str()?.to_owned())));
            json!({"ref": purl(&it.name, &it.version), "dependsOn": on})
        })
        .collect();
    let mut subject = described.map(component).unwrap_or_default();
    subject["type"] = "application".into();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
        "dependencies": dependencies,
    })
}

fn component(of: &Crate) -> Value {
    let purl = purl(&of.name, &of.version);
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": of.name,
        "version": of.version,
        "purl": purl,
    });
    if let Some(licence) = &of.licence {
        // Cargo's old form of a choice.
        let expression = licence.replace('/', " OR ");
        component["licenses"] = json!([{"expression": expression}]);
    }
    if let Some(checksum) = &of.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(repository) = &of.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    component
}

/// The C library in a crate's sources.
fn c_library(of: &Crate) -> Option<Value> {
    let (_, name) = C_LIBRARIES
        .iter()
        .find(|(of_crate, _)| *of_crate == of.name)?;
    let (_, version) = of.version.split_once('+')?;
    let version = version.trim_start_matches("zstd.");
    let purl = format!("pkg:generic/{name}@{version}");
    Some(
        json!({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}),
    )
}

/// A crate's package URL; `+` has another meaning in a URL.
fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::crates::tests::two;

    #[test]
    fn every_crate_is_listed_once_with_its_licence_and_what_it_depends_on() {
        let document = document(&two(), "own");
        assert_eq!(document["metadata"]["component"]["type"], "application");
        assert_eq!(document["metadata"]["component"]["name"], "own");
        let components = document["components"].as_array().unwrap();
        assert_eq!(components.len(), 1);
        assert_eq!(components[0]["purl"], "pkg:cargo/zlib-sys@1.0.0%2B2.0");
        assert_eq!(
            components[0]["licenses"][0]["expression"],
            "MIT OR Apache-2.0"
        );
        assert_eq!(components[0]["hashes"][0]["content"], "ab");
        let own = &document["dependencies"][0];
        assert_eq!(own["dependsOn"], json!(["pkg:cargo/zlib-sys@1.0.0%2B2.0"]));
    }

    #[test]
    fn the_c_library_inside_a_crate_is_a_component_with_its_own_version() {
        let mut crates = two();
        crates[1].name = "rdkafka-sys".into();
        let document = document(&crates, "own");
        let components = document["components"].as_array().unwrap();
        assert_eq!(components[1]["purl"], "pkg:generic/librdkafka@2.0");
        let of_crate = &document["dependencies"][1];
        assert_eq!(of_crate["dependsOn"], json!(["pkg:generic/librdkafka@2.0"]));
    }
}
