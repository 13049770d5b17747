//! Completion: the words of a command line become the candidates for its last word. One engine for every shell, which
//! asks the configuration and the cluster for streams, schemas, profiles and groups.
//!
//! clap_complete's own engine for this is behind a feature that says it may change in any release (`unstable-dynamic`);
//! its static scripts know no values, and bash's end after the first word of a program whose name has a hyphen
//! (clap #6421).

mod line;
mod values;

use clap_complete::Shell;

pub(crate) use line::{Kind, wanted};
pub(crate) use values::values;

/// A shell's script for a program of this name; `None` for a shell that has none of ours.
pub(crate) fn script(shell: Shell, name: &str) -> Option<String> {
    let script = match shell {
        Shell::Bash => include_str!("bash.sh"),
        Shell::Zsh => include_str!("zsh.zsh"),
        Shell::Fish => include_str!("fish.fish"),
        _ => return None,
    };
    let function: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    Some(script.replace("NAME", name).replace("FUNCTION", &function))
}
