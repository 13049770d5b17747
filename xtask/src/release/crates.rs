//! Crates: what the program is made of, from cargo. Input: the workspace. Output: each crate with its licence, source and
//! dependencies. Crates that only tests use are left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::command;

use crate::cargo::cargo;

/// One crate of the program.
#[derive(Clone, Debug)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) licence: Option<String>,
    pub(super) repository: Option<String>,
    /// Where its sources are on this machine.
    pub(super) folder: PathBuf,
    /// Whether it is one of ours.
    pub(super) is_own: bool,
    /// The registry's SHA-256; none for ours.
    pub(super) checksum: Option<String>,
    /// Names and versions of the crates that it depends on.
    pub(super) dependencies: BTreeSet<(String, String)>,
}

/// All crates that the program is built from, ordered by name and version.
///
/// # Errors
/// cargo fails.
pub(super) fn all(triple: &str) -> Result<Vec<Crate>> {
    // `cargo metadata` unites the features of the whole workspace; `cargo tree` takes those of the program alone.
    let tree = command::output(&mut cargo(&[
        "tree",
        "--locked",
        "--package=kafkaesk-cli",
        "--edges=normal,build",
        "--prefix=none",
        "--no-dedupe",
        "--format={p}",
        "--target",
        triple,
    ]))?;
    let wanted = named(&tree);
    let metadata = command::output(&mut cargo(&["metadata", "--locked", "--format-version=1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let lock = std::fs::read_to_string(xtask::paths::root().join("Cargo.lock"))?;
    crates(&wanted, &metadata, &checksums(&lock))
}

/// Name and version of each line of `cargo tree`.
fn named(tree: &str) -> BTreeSet<(String, String)> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?;
            let version = words.next()?.strip_prefix('v')?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect()
}

/// The checksums of a `Cargo.lock`, whose form cargo writes: one member on each line, `name` and `version` first.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let member = |package: &str, name: &str| {
        let start = format!("{name} = \"");
        let line = package.lines().find_map(|line| line.strip_prefix(&start))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    lock.split("[[package]]")
        .filter_map(|package| {
            let key = (member(package, "name")?, member(package, "version")?);
            Some((key, member(package, "checksum")?))
        })
        .collect()
}

fn crates(
    wanted: &BTreeSet<(String, String)>,
    metadata: &Value,
    checksums: &BTreeMap<(String, String), String>,
) -> Result<Vec<Crate>> {
    let packages = metadata["packages"].as_array().context("no packages")?;
    let key = |package: &Value| {
        let text = |member: &str| package[member].as_str().unwrap_or_default().to_owned();
        (text("name"), text("version"))
    };
    let by_id: BTreeMap<&str, (String, String)> = packages
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, key(package))))
        .collect();
    let nodes = metadata["resolve"]["nodes"].as_array();
    let mut edges: BTreeMap<(String, String), BTreeSet<(String, String)>> = BTreeMap::new();
    for node in nodes.into_iter().flatten() {
        let from = node["id"].as_str().and_then(|id| by_id.get(id));
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array();
            let is_built = kinds
                .into_iter()
                .flatten()
                .any(|kind| kind["kind"] != "dev");
            let to = dependency["pkg"].as_str().and_then(|id| by_id.get(id));
            if let (true, Some(from), Some(to)) = (is_built, from, to)
                && wanted.contains(to)
            {
                edges.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    let mut crates = Vec::new();
    for package in packages.iter().filter(|it| wanted.contains(&key(it))) {
        let (name, version) = key(package);
        let manifest = PathBuf::from(package["manifest_path"].as_str().context("no manifest")?);
        let text = |member: &str| package[member].as_str().map(str::to_owned);
        crates.push(Crate {
            licence: text("license"),
            repository: text("repository"),
            folder: manifest.parent().context("no folder")?.to_owned(),
            is_own: package["source"].is_null(),
            checksum: checksums.get(&key(package)).cloned(),
            dependencies: edges.remove(&key(package)).unwrap_or_default(),
            name,
            version,
        });
    }
    crates.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    anyhow::ensure!(
        crates.len() == wanted.len(),
        "`cargo tree` names {} crates, `cargo metadata` has {} of them",
        wanted.len(),
        crates.len()
    );
    Ok(crates)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A program that depends on one crate of the registry, and in tests on another.
    pub(in crate::release) fn two() -> Vec<Crate> {
        let package = |name: &str, source: Value| {
            json!({"id": name, "name": name, "version": "1.0.0+2.0", "source": source,
                "license": "MIT/Apache-2.0", "repository": "https://example.org", "manifest_path": format!("/nowhere/{name}/Cargo.toml")})
        };
        let dependency =
            |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [package("zlib-sys", "registry".into()), package("own", Value::Null), package("test", "registry".into())],
            "resolve": {"nodes": [
                {"id": "own", "deps": [dependency("zlib-sys", Value::Null), dependency("test", "dev".into())]},
            ]},
        });
        let wanted =
            named("own v1.0.0+2.0 (/nowhere)\nzlib-sys v1.0.0+2.0\nzlib-sys v1.0.0+2.0 (*)\n");
        let lock = "[[package]]\nname = \"zlib-sys\"\nversion = \"1.0.0+2.0\"\nchecksum = \"ab\"\n\n[[package]]\nname = \"own\"\nversion = \"1.0.0+2.0\"\n";
        crates(&wanted, &metadata, &checksums(lock)).unwrap()
    }

    #[test]
    fn crates_of_tests_are_left_out_and_the_registrys_checksum_is_kept() {
        let crates = two();
        let names: Vec<&str> = crates.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["own", "zlib-sys"]);
        assert!(crates[0].is_own && crates[0].checksum.is_none());
        assert_eq!(crates[1].checksum.as_deref(), Some("ab"));
        let to: Vec<_> = crates[0].dependencies.iter().collect();
        assert_eq!(to, [&("zlib-sys".to_owned(), "1.0.0+2.0".to_owned())]);
    }
}
