//! Folder: everything that belongs to the program for a plain machine, and the tarball of it. The wheel and the npm package
//! take their files from here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use xtask::{command, paths};

use super::{EPOCH, crates, notices, program::Program, sbom};

/// The list of all components.
pub(super) const SBOM: &str = "sbom.cdx.json";
/// The licences of ours and of everything inside.
pub(super) const LICENCES: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-LICENSES"];

/// The completion script of each shell, by the name that the shell's own folder wants.
const SCRIPTS: [(&str, &str); 3] = [
    ("bash", "kafkaesk-cli"),
    ("zsh", "_kafkaesk-cli"),
    ("fish", "kafkaesk-cli.fish"),
];

/// The folder's name, and that of the tarball before `.tar.gz`.
pub(super) fn name(program: &Program) -> String {
    let Program {
        version, platform, ..
    } = program;
    format!("kafkaesk-cli-{version}-{}", platform.triple)
}

/// The folder.
pub(super) fn path(program: &Program, dist: &Path) -> PathBuf {
    dist.join(name(program))
}

/// Makes the folder and its tarball.
///
/// # Errors
/// The program fails to write its own files, or a crate names no licence.
pub(super) fn build(program: &Program, dist: &Path) -> Result<()> {
    let folder = path(program, dist);
    let root = paths::root();
    fs::create_dir_all(folder.join("completions"))?;
    fs::copy(&program.path, folder.join("kafkaesk-cli"))?;
    for (shell, script) in SCRIPTS {
        let asked = ["completions", shell];
        // By its name: the scripts call the program as it was called.
        let text = command::output(by_name(&folder).args(asked))?;
        fs::write(folder.join("completions").join(script), text)?;
    }
    command::output(by_name(&folder).arg("man").arg(folder.join("man/man1")))?;
    for (from, to) in [
        ("LICENSE-APACHE", "LICENSE-APACHE"),
        ("LICENSE-MIT", "LICENSE-MIT"),
        ("CHANGELOG.md", "CHANGELOG.md"),
        ("kafkaesk-cli/README.md", "README.md"),
    ] {
        fs::copy(root.join(from), folder.join(to))?;
    }
    let crates = crates::all(program.platform.triple)?;
    println!("{} crates", crates.len());
    fs::write(folder.join(LICENCES[2]), notices::text(&crates)?)?;
    let document = sbom::document(&crates, "kafkaesk-cli");
    fs::write(folder.join(SBOM), serde_json::to_vec_pretty(&document)?)?;
    tar(&name(program), dist)
}

/// The program of the folder, called without a path.
fn by_name(folder: &Path) -> Command {
    let mut command = Command::new("kafkaesk-cli");
    command.env("PATH", folder);
    command
}

fn tar(name: &str, dist: &Path) -> Result<()> {
    let archive = format!("{name}.tar.gz");
    command::output(
        Command::new("tar")
            .current_dir(dist)
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .args(["--mode=go=rX,u=rwX", &format!("--mtime=@{EPOCH}")])
            .args(["--use-compress-program=gzip -n", "-cf", &archive, name]),
    )?;
    Ok(())
}
