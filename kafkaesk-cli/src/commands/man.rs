//! `man DIR`: writes a man page for each command.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::{exit::Exit, output};

/// Arguments of `man`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct ManArguments {
    /// The folder to write to, such as /usr/local/share/man/man1; it is created if it does not exist
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Writes the pages; those of an earlier version are replaced.
pub(crate) fn run(arguments: &ManArguments, line: clap::Command) -> anyhow::Result<Exit> {
    let directory = &arguments.directory;
    let shown = directory.display();
    fs::create_dir_all(directory).with_context(|| format!("cannot create {shown}"))?;
    let first = directory.join(format!("{}.1", line.get_name()));
    clap_mangen::generate_to(line, directory)
        .with_context(|| format!("cannot write a man page in {shown}"))?;
    output::line(format!("read them: man -l {}", first.display()))?;
    Ok(Exit::Done)
}
