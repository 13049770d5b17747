//! `completions SHELL`: the command line's shape goes in, a shell's completion script comes out.

use clap::Args;
use clap_complete::Shell;

use crate::{exit::Exit, output};

/// Arguments of `completions`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct CompletionsArguments {
    /// Which shell
    pub shell: Shell,
}

/// Prints the script.
pub(crate) fn run(
    arguments: &CompletionsArguments,
    mut line: clap::Command,
) -> anyhow::Result<Exit> {
    let name = line.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut line, name, &mut script);
    output::line(script.trim_ascii_end())?;
    Ok(Exit::Done)
}
