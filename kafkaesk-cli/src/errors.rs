//! Errors for people: prints an error chain as `error: …` lines. Never a Rust debug dump or a backtrace.

use kafkaesk_client::settings::SettingsError;

use crate::{exit::Exit, output::is_closed};

/// An argument that makes no sense, by itself or with the others: exit status 64.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

impl Usage {
    /// An argument's own error.
    pub(crate) fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// What a run that failed with this error ends with.
pub(crate) fn exit(error: &anyhow::Error) -> Exit {
    let flag = error
        .downcast_ref::<SettingsError>()
        .is_some_and(SettingsError::is_flag);
    if flag || error.is::<Usage>() {
        Exit::Usage
    } else {
        Exit::Failed
    }
}

/// The text for a chain: the error, then each cause on a line of its own. A cause that its parent's text already
/// holds is left out.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !last.contains(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
        last = cause;
    }
    text
}

/// Whether the cause is a standard output that its reader closed: `| head` ends so, which is not an error.
pub(crate) fn is_closed_output(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(is_closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_on_lines_of_their_own_and_are_not_repeated() {
        let error = anyhow::anyhow!("no such file").context("reading a.json");
        assert_eq!(
            describe(&error),
            "error: reading a.json\n  because: no such file"
        );
        let error = anyhow::anyhow!("no such file").context("reading a.json: no such file");
        assert_eq!(describe(&error), "error: reading a.json: no such file");
    }
}
