//! npm: the package with the program for one platform, and the package that users install, which has a launcher and asks for
//! that of their platform. npm itself packs both.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use anyhow::Result;
use serde_json::{Value, json};
use xtask::{command, paths};

use super::{
    folder::{LICENCES, SBOM},
    program::Program,
};

const LAUNCHER: &str = include_str!("../../release/launcher.sh");

/// Makes `kafkaesk-cli-VERSION.tgz` and `kafkaesk-cli-linux-CPU-VERSION.tgz`.
///
/// # Errors
/// npm is missing or refuses a package.
pub(super) fn build(program: &Program, folder: &Path, dist: &Path) -> Result<()> {
    let version = &program.version;
    let name = format!("kafkaesk-cli-linux-{}", program.platform.cpu);
    let unpacked = dist.join("npm");
    let of_platform = unpacked.join(&name);
    fs::create_dir_all(of_platform.join("bin"))?;
    fs::copy(&program.path, of_platform.join("bin/kafkaesk-cli"))?;
    for file in LICENCES.iter().chain(&[SBOM]) {
        fs::copy(folder.join(file), of_platform.join(file))?;
    }
    fs::write(
        of_platform.join("README.md"),
        format!(
            "The program of the package `kafkaesk-cli` for Linux on {}, with glibc {}.{} or later.\n",
            program.platform.cpu, program.glibc.0, program.glibc.1
        ),
    )?;
    let mut manifest = common(&name, version);
    manifest["os"] = json!(["linux"]);
    manifest["cpu"] = json!([program.platform.cpu]);
    manifest["libc"] = json!(["glibc"]);
    // Yarn would keep it in an archive, where it cannot be started.
    manifest["preferUnplugged"] = true.into();
    write(&of_platform, &manifest)?;

    let launcher = unpacked.join("kafkaesk-cli");
    fs::create_dir_all(launcher.join("bin"))?;
    let script = launcher.join("bin/kafkaesk-cli");
    fs::write(&script, LAUNCHER)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let readme = paths::root().join("kafkaesk-cli/README.md");
    fs::copy(readme, launcher.join("README.md"))?;
    for file in &LICENCES[..2] {
        fs::copy(folder.join(file), launcher.join(file))?;
    }
    let mut manifest = common("kafkaesk-cli", version);
    manifest["bin"] = json!({"kafkaesk-cli": "bin/kafkaesk-cli"});
    manifest["os"] = json!(["linux"]);
    manifest["optionalDependencies"] = json!({name: version});
    write(&launcher, &manifest)?;

    for package in [&of_platform, &launcher] {
        let mut pack = Command::new("npm");
        pack.args(["pack", "--loglevel=error", "--pack-destination"]);
        command::output(pack.arg(dist).current_dir(package))?;
    }
    fs::remove_dir_all(unpacked)?;
    Ok(())
}

fn common(name: &str, version: &str) -> Value {
    json!({
        "name": name,
        "version": version,
        "description": "Publish and consume schema-checked events on Apache Kafka, with handlers in any language",
        "license": "MIT OR Apache-2.0",
        "repository": "github:kafkaesk/kafkaesk",
        "keywords": ["kafka", "events", "json-schema", "messaging"],
        "files": ["bin", "LICENSE-*", "THIRD-PARTY-LICENSES", SBOM],
    })
}

fn write(folder: &Path, manifest: &Value) -> Result<()> {
    let text = serde_json::to_vec_pretty(manifest)?;
    Ok(fs::write(folder.join("package.json"), text)?)
}
