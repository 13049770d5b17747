//! Program: builds the release program, or takes one that is built; strips it, and reads from it which systems it runs
//! on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use xtask::{command, paths};

use crate::cargo::cargo;

/// The newest glibc that a release may need. RHEL 9, Ubuntu 22.04 and Debian 12 have this one or a later one.
const BASELINE: Glibc = Glibc(2, 34);
/// What every glibc system has. Anything else would have to be installed by the user.
const SYSTEM_LIBRARIES: [&str; 7] = [
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
];

/// The program that is released.
pub(super) struct Program {
    /// Without symbols.
    pub(super) path: PathBuf,
    /// The workspace's version.
    pub(super) version: String,
    pub(super) platform: Platform,
    pub(super) glibc: Glibc,
}

/// A version of glibc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glibc(pub(super) u32, pub(super) u32);

/// One platform, by the names that each world has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Platform {
    /// Rust's.
    pub(super) triple: &'static str,
    /// Python's, and the kernel's.
    pub(super) machine: &'static str,
    /// npm's.
    pub(super) cpu: &'static str,
}

const PLATFORMS: [Platform; 2] = [
    Platform {
        triple: "x86_64-unknown-linux-gnu",
        machine: "x86_64",
        cpu: "x64",
    },
    Platform {
        triple: "aarch64-unknown-linux-gnu",
        machine: "aarch64",
        cpu: "arm64",
    },
];

/// The program in `dist`, with its symbols in a file beside it.
///
/// # Errors
/// It does not build, has another version than the workspace, or needs more than [`BASELINE`] and [`SYSTEM_LIBRARIES`].
pub(super) fn prepare(given: Option<&Path>, dist: &Path) -> Result<Program> {
    let platform = platform()?;
    let built = match given {
        Some(given) => given.to_owned(),
        None => build()?,
    };
    let version = version()?;
    let said = command::output(Command::new(&built).arg("--version"))?;
    if said.trim() != format!("kafkaesk-cli {version}") {
        bail!(
            "{} says {:?}, but the workspace's version is {version}",
            built.display(),
            said.trim()
        );
    }
    let path = dist.join("kafkaesk-cli");
    let symbols = dist.join(format!("kafkaesk-cli-{version}-{}.debug", platform.triple));
    let only_symbols = ["--only-keep-debug", "--compress-debug-sections"];
    command::output(
        Command::new("objcopy")
            .args(only_symbols)
            .args([&built, &symbols]),
    )?;
    command::output(
        Command::new("objcopy")
            .arg("--strip-all")
            .arg(format!("--add-gnu-debuglink={}", symbols.display()))
            .args([&built, &path]),
    )?;
    let (glibc, needed) = needs(&path)?;
    if glibc > BASELINE {
        bail!(
            "the program needs glibc {}.{}, and a release may need {}.{} at most: build it on an older system",
            glibc.0,
            glibc.1,
            BASELINE.0,
            BASELINE.1
        );
    }
    let foreign = needed
        .iter()
        .find(|it| !SYSTEM_LIBRARIES.contains(&it.as_str()));
    if let Some(foreign) = foreign {
        bail!("the program needs {foreign}, which a plain system may lack: link it statically");
    }
    println!(
        "{}: {} MB, and {} MB of symbols apart; needs glibc {}.{} and nothing else",
        path.display(),
        megabytes(&path)?,
        megabytes(&symbols)?,
        glibc.0,
        glibc.1
    );
    Ok(Program {
        path,
        version,
        platform,
        glibc,
    })
}

/// The program alone, so that no feature of a test is in it.
fn build() -> Result<PathBuf> {
    command::run(&mut cargo(&[
        "build",
        "--release",
        "--locked",
        "--package",
        "kafkaesk-cli",
        "--bin",
        "kafkaesk-cli",
    ]))?;
    Ok(paths::target().join("release/kafkaesk-cli"))
}

/// The one version of everything that is released.
fn version() -> Result<String> {
    let id = command::output(&mut cargo(&["pkgid", "--package", "kafkaesk-cli"]))?;
    let version = id.trim().rsplit(['#', '@']).next().unwrap_or_default();
    Ok(version.to_owned())
}

fn platform() -> Result<Platform> {
    let said = command::output(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("`rustc -vV` names no host")?;
    PLATFORMS
        .into_iter()
        .find(|it| it.triple == host)
        .with_context(|| {
            let known = PLATFORMS.map(|it| it.triple).join(", ");
            format!("there are packages for {known}, and this machine is {host}")
        })
}

/// The glibc and the shared libraries that a program needs.
fn needs(program: &Path) -> Result<(Glibc, Vec<String>)> {
    let symbols = command::output(Command::new("objdump").arg("-T").arg(program))?;
    let headers = command::output(Command::new("objdump").arg("-p").arg(program))?;
    let glibc = newest_glibc(&symbols).context("`objdump -T` names no version of glibc")?;
    Ok((glibc, libraries(&headers)))
}

/// The newest `GLIBC_2.N` among the symbols that `objdump -T` lists.
fn newest_glibc(symbols: &str) -> Option<Glibc> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|text| {
        let mut parts = text.split(|c: char| !c.is_ascii_digit() && c != '.');
        let mut numbers = parts.next()?.split('.');
        let major = numbers.next()?.parse().ok()?;
        Some(Glibc(major, numbers.next()?.parse().ok()?))
    });
    versions.max()
}

/// The libraries that `objdump -p` names as needed.
fn libraries(headers: &str) -> Vec<String> {
    let lines = headers.lines().map(str::trim);
    let needed = lines.filter_map(|line| line.strip_prefix("NEEDED"));
    needed.map(|name| name.trim().to_owned()).collect()
}

fn megabytes(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)?.len().div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_is_compared_by_number() {
        let symbols = "\
0000000000000000      DF *UND*  0000000000000000 (GLIBC_2.9) pipe2
0000000000000000      DF *UND*  0000000000000000 (GLIBC_2.34) pthread_create
0000000000000000      DF *UND*  0000000000000000 (GLIBC_2.2.5) strlen
0000000000000000      DF *UND*  0000000000000000 (GCC_3.0)   _Unwind_Resume";
        assert_eq!(newest_glibc(symbols), Some(Glibc(2, 34)));
        assert_eq!(newest_glibc("no symbols"), None);
        assert!(Glibc(2, 9) < Glibc(2, 34));
    }

    #[test]
    fn needed_libraries_are_read_from_the_headers() {
        let headers = "Dynamic Section:\n  NEEDED               libgcc_s.so.1\n  NEEDED               libc.so.6\n  INIT  0x1";
        assert_eq!(libraries(headers), ["libgcc_s.so.1", "libc.so.6"]);
    }
}
