//! Wheel: a Python package with the program in it. PyPA's `wheel pack` writes the archive and its RECORD. maturin would
//! compile the program again, so what is tested would not be what is in the wheel.

use std::{fs, path::Path, process::Command};

use anyhow::Result;
use xtask::{command, paths};

use super::{
    EPOCH,
    folder::{LICENCES, SBOM},
    program::Program,
    tools,
};

/// Makes `kafkaesk_cli-VERSION-py3-none-PLATFORM.whl`.
///
/// # Errors
/// Python or its packages are missing.
pub(super) fn build(program: &Program, folder: &Path, dist: &Path) -> Result<()> {
    let version = &program.version;
    let unpacked = dist.join("wheel");
    let info = unpacked.join(format!("kafkaesk_cli-{version}.dist-info"));
    // What is in here comes into the `bin` of an environment.
    let scripts = unpacked.join(format!("kafkaesk_cli-{version}.data/scripts"));
    fs::create_dir_all(info.join("licenses"))?;
    fs::create_dir_all(info.join("sboms"))?;
    fs::create_dir_all(&scripts)?;
    fs::copy(&program.path, scripts.join("kafkaesk-cli"))?;
    for licence in LICENCES {
        fs::copy(folder.join(licence), info.join("licenses").join(licence))?;
    }
    fs::copy(folder.join(SBOM), info.join("sboms").join(SBOM))?;
    fs::write(info.join("WHEEL"), wheel(program))?;
    let readme = fs::read_to_string(paths::root().join("kafkaesk-cli/README.md"))?;
    fs::write(info.join("METADATA"), metadata(version, &readme))?;
    let mut pack = Command::new(tools()?);
    pack.args(["-m", "wheel", "pack", "--dest-dir"]).arg(dist);
    command::output(pack.arg(&unpacked).env("SOURCE_DATE_EPOCH", EPOCH))?;
    fs::remove_dir_all(unpacked)?;
    Ok(())
}

/// How it may be installed: pip refuses it where glibc is older.
fn wheel(program: &Program) -> String {
    let glibc = program.glibc;
    format!(
        "Wheel-Version: 1.0\nGenerator: kafkaesk xtask\nRoot-Is-Purelib: false\nTag: py3-none-manylinux_{}_{}_{}\n",
        glibc.0, glibc.1, program.platform.machine
    )
}

fn metadata(version: &str, readme: &str) -> String {
    let mut text = format!(
        "Metadata-Version: 2.4\n\
         Name: kafkaesk-cli\n\
         Version: {version}\n\
         Summary: Publish and consume schema-checked events on Apache Kafka, with handlers in any language\n\
         Project-URL: Source, https://github.com/kafkaesk/kafkaesk\n\
         License-Expression: MIT OR Apache-2.0\n"
    );
    for licence in LICENCES {
        text.push_str(&format!("License-File: {licence}\n"));
    }
    text.push_str(
        "Keywords: kafka,events,json-schema,messaging\n\
         Classifier: Operating System :: POSIX :: Linux\n\
         Classifier: Programming Language :: Rust\n\
         Requires-Python: >=3.8\n\
         Description-Content-Type: text/markdown\n\n",
    );
    text + readme
}
