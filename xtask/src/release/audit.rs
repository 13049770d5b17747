//! Audit: licences, sources and bans of every crate by cargo-deny, known vulnerabilities if a database is at hand, and the
//! SBOM by CycloneDX's own schema.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use xtask::{command, paths};

use super::tools;

/// cargo-deny's name for a checkout of the RustSec database.
const DATABASE: &str = "advisory-db-3157b0e258782691";

/// By `deny.toml`.
///
/// # Errors
/// A crate has a licence or comes from a place that `deny.toml` does not allow, or is banned.
pub(super) fn licences(root: &Path) -> Result<()> {
    let mut deny = deny(&root.join("deny.toml"))?;
    command::run(deny.args([
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]))?;
    println!(
        "advisories: not checked; `--advisories DIR` takes a checkout of the RustSec database"
    );
    Ok(())
}

/// Known vulnerabilities, by this checkout of the RustSec database.
///
/// # Errors
/// A crate has one, or the folder is not such a checkout.
pub(super) fn advisories(database: &Path) -> Result<()> {
    if !database.join("crates").is_dir() {
        bail!(
            "{} is not a checkout of the RustSec advisory database: it has no folder `crates`",
            database.display()
        );
    }
    let when = ["log", "-1", "--format=%cs"];
    let when = command::output(Command::new("git").arg("-C").arg(database).args(when))?;
    println!("the database is of {}", when.trim());
    // cargo-deny wants it under a name of its own.
    let home = paths::target().join("advisories");
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    fs::create_dir_all(&home)?;
    let copy = home.join(DATABASE);
    let clone = ["clone", "--quiet"];
    command::output(Command::new("git").args(clone).arg(database).arg(&copy))?;
    // It looks at the time of the last fetch; the one that counts is printed above.
    command::output(
        Command::new("git")
            .arg("-C")
            .arg(&copy)
            .args(["fetch", "--quiet"]),
    )?;
    let settings = fs::read_to_string(paths::root().join("deny.toml"))?;
    let settings = format!(
        "{settings}\n[advisories]\ndb-path = {:?}\nmaximum-db-staleness = \"P9999D\"\n",
        home.display().to_string()
    );
    let config = home.join("deny.toml");
    fs::write(&config, settings)?;
    command::run(deny(&config)?.args(["--offline", "check", "advisories"]))
}

/// cargo-deny on what the program is built from.
fn deny(config: &Path) -> Result<Command> {
    let python = tools()?;
    let mut deny = Command::new(python.with_file_name("cargo-deny"));
    deny.current_dir(paths::root())
        .arg("--manifest-path")
        .arg(paths::root().join("kafkaesk-cli/Cargo.toml"))
        .arg("--config")
        .arg(config);
    Ok(deny)
}

/// By the schema of CycloneDX 1.5.
///
/// # Errors
/// It does not fit.
pub(super) fn sbom(file: &Path) -> Result<()> {
    const CHECK: &str = "\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())
sys.exit(None if error is None else str(error)[:2000])
";
    command::output(Command::new(tools()?).args(["-c", CHECK]).arg(file))
        .with_context(|| format!("{} does not fit CycloneDX 1.5", file.display()))?;
    Ok(())
}
