//! `completions SHELL`: prints a shell's completion script.

use clap::Args;
use clap_complete::Shell;

use crate::{completion, exit::Exit, output};

/// Arguments of `completions`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct CompletionsArguments {
    /// Which shell
    pub shell: Shell,
}

/// Prints the script. bash, zsh and fish ask the program at each word, and so complete values as well; the others get
/// clap's static script.
pub(crate) fn run(
    arguments: &CompletionsArguments,
    mut line: clap::Command,
) -> anyhow::Result<Exit> {
    let name = line.get_name().to_owned();
    let script = match completion::script(arguments.shell, &name) {
        Some(script) => script.into_bytes(),
        None => {
            let mut script = Vec::new();
            clap_complete::generate(arguments.shell, &mut line, name, &mut script);
            script
        }
    };
    output::line(script.trim_ascii_end())?;
    Ok(Exit::Done)
}
