//! `cargo xtask release`: builds what users install (a tarball, a Python wheel, npm packages) into a folder, and with
//! `--check` installs each of them and uses it. Publishes nothing.

mod audit;
mod container;
mod crates;
mod deploy;
mod folder;
mod notices;
mod npm;
mod program;
mod sbom;
mod sources;
mod trial;
mod wheel;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use clap::Args;
use xtask::{
    command,
    kafka::{Kafka, docker},
    machine, paths, python,
};

use crate::{cargo::build_all, steps::Steps};

/// Times in archives: 1980-01-01, the earliest that a wheel can hold. Equal inputs give equal archives.
const EPOCH: &str = "315532800";

#[derive(Args)]
pub(crate) struct ReleaseArgs {
    /// A program that is already built, for work on the packages: no release build
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Also install each package into a fresh folder and use it, and check licences and the SBOM
    #[arg(long)]
    check: bool,
    /// Also build each crate from its package, as `cargo install` does (compiles librdkafka several times)
    #[arg(long)]
    crates: bool,
    /// A checkout of the RustSec advisory database: also look for known vulnerabilities
    #[arg(long, value_name = "DIR")]
    advisories: Option<PathBuf>,
}

pub(crate) fn run(args: &ReleaseArgs) -> Result<()> {
    let kafka = args.check.then(Kafka::find).transpose()?;
    build(args, kafka.as_ref())
}

fn build(args: &ReleaseArgs, kafka: Option<&Kafka>) -> Result<()> {
    machine::interop_tools()?;
    machine::release_tools()?;
    machine::monitoring_tools()?;
    let mut steps = Steps::new(true, &[]);
    let dist = dist()?;
    let mut program = None;
    steps.step("program", || {
        program = Some(program::prepare(args.binary.as_deref(), &dist)?);
        Ok(())
    });
    if let Some(program) = program {
        packages(&mut steps, &program, &dist);
        if let Some(kafka) = kafka {
            check(&mut steps, &program, &dist, kafka);
        }
    }
    if args.check {
        steps.step("licences", || audit::licences(&paths::root()));
        steps.step("packages of the crates", || sources::check(false));
    }
    if let Some(database) = &args.advisories {
        steps.step("advisories", || audit::advisories(database));
    }
    if args.crates {
        steps.step("builds of the crates' packages", || sources::check(true));
    }
    steps.finish()?;
    println!("in {}", dist.display());
    Ok(())
}

/// What `cargo xtask test` runs: the packages with the program that the tests use, in under three minutes.
///
/// # Errors
/// As [`run`].
pub(crate) fn briefly(kafka: &Kafka) -> Result<()> {
    build_all()?;
    build(
        &ReleaseArgs {
            binary: Some(paths::target().join("debug/kafkaesk-cli")),
            check: true,
            crates: false,
            advisories: None,
        },
        Some(kafka),
    )
}

fn packages(steps: &mut Steps, program: &program::Program, dist: &Path) {
    steps.step("tarball", || folder::build(program, dist));
    let folder = folder::path(program, dist);
    steps.step("wheel", || wheel::build(program, &folder, dist));
    steps.step("npm packages", || npm::build(program, &folder, dist));
    steps.step("checksums", || checksums(dist));
}

fn check(steps: &mut Steps, program: &program::Program, dist: &Path, kafka: &Kafka) {
    steps.step("SBOM by CycloneDX's schema", || {
        audit::sbom(&folder::path(program, dist).join(folder::SBOM))
    });
    steps.step("files that documents name", || named(program, dist));
    steps.step("deploy/", || deploy::check(program, dist));
    steps.step("use the tarball", || trial::tarball(program, dist));
    steps.step("use the wheel", || trial::wheel(dist));
    steps.step("use the npm packages", || trial::npm(program, dist));
    match docker::engine() {
        true => steps.step("use the image", || container::check(program, dist, kafka)),
        false => println!("the image was not built: no Docker engine answers"),
    }
}

/// What users read that names files of a release.
const READ: [&str; 4] = [
    "README.md",
    "docs/deploy.md",
    "deploy/docker/Dockerfile",
    "deploy/compose/compose.yml",
];

/// Looks that each file of a release that a document names was built.
fn named(program: &program::Program, dist: &Path) -> Result<()> {
    let mut found = 0;
    for document in READ {
        let text = fs::read_to_string(paths::root().join(document))?;
        for name in artefacts(&text) {
            anyhow::ensure!(
                dist.join(name).exists(),
                "{document} names {name}, which a release of version {} does not have",
                program.version
            );
            found += 1;
        }
    }
    anyhow::ensure!(found > 0, "no document names a file of a release");
    Ok(())
}

/// The names of packages and folders with a version in a text.
fn artefacts(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| c.is_whitespace() || "`()|".contains(c));
    let names = words.map(|word| word.trim_start_matches("./"));
    names.filter(|name| {
        let rest = name.strip_prefix("kafkaesk");
        rest.is_some_and(|rest| rest.contains(|c: char| c.is_ascii_digit()) && rest.contains('-'))
            && !name.contains(['/', ':', '…'])
    })
}

/// The folder of the artefacts, empty.
fn dist() -> Result<PathBuf> {
    let dist = paths::target().join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    fs::create_dir_all(&dist)?;
    Ok(dist)
}

/// The interpreter that has the tools of a release.
fn tools() -> Result<PathBuf> {
    python::environment(
        "release",
        &paths::root().join("xtask/release/requirements.txt"),
    )
}

/// `SHA256SUMS` of every file that is given away, and a look that they are right.
fn checksums(dist: &Path) -> Result<()> {
    let sums =
        "sha256sum -- *.tar.gz *.whl *.tgz > SHA256SUMS && sha256sum --check --quiet SHA256SUMS";
    command::output(Command::new("sh").args(["-c", sums]).current_dir(dist))?;
    print!("{}", fs::read_to_string(dist.join("SHA256SUMS"))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::artefacts;

    #[test]
    fn packages_with_a_version_are_found_in_a_text_and_other_words_are_not() {
        let text = "| `pip install ./kafkaesk_cli-0.1.0-py3-none-any.whl` | kafkaesk-cli init x2, kafkaesk-cli:0.1.0\n(kafkaesk-cli-0.1.0.tgz)";
        let found: Vec<&str> = artefacts(text).collect();
        assert_eq!(
            found,
            [
                "kafkaesk_cli-0.1.0-py3-none-any.whl",
                "kafkaesk-cli-0.1.0.tgz"
            ]
        );
    }
}
