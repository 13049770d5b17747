//! What `dev` said: prints its own lines, and no line again that the start before printed as well. Keeps the lines of two starts.

use std::{collections::BTreeSet, io};

use crate::output;

/// The lines of this start and of the one before.
#[derive(Debug, Default)]
pub(super) struct Said {
    former: BTreeSet<String>,
    now: BTreeSet<String>,
}

impl Said {
    /// A start begins.
    pub(super) fn begin(&mut self) {
        self.former = std::mem::take(&mut self.now);
    }

    /// The start failed: the next one repeats nothing of the one before it.
    pub(super) fn fail(&mut self) {
        self.now.append(&mut self.former);
    }

    /// A line of standard output.
    ///
    /// # Errors
    /// As writing fails.
    pub(super) fn line(&mut self, text: String) -> io::Result<()> {
        match self.is_new(text.clone()) {
            true => output::line(text),
            false => Ok(()),
        }
    }

    /// A hint on standard output.
    ///
    /// # Errors
    /// As writing fails.
    pub(super) fn hint(&mut self, text: String) -> io::Result<()> {
        match self.is_new(text.clone()) {
            true => output::hint(&text),
            false => Ok(()),
        }
    }

    /// A note on standard error.
    pub(super) fn note(&mut self, text: String) {
        if self.is_new(text.clone()) {
            output::note(text);
        }
    }

    fn is_new(&mut self, text: String) -> bool {
        let is_new = !self.former.contains(&text);
        self.now.insert(text);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_new_unless_the_start_before_had_it() {
        let mut said = Said::default();
        let mut starts = |lines: &[&str]| {
            said.begin();
            let new = |line: &&str| said.is_new((*line).to_owned());
            lines.iter().map(new).collect::<Vec<_>>()
        };
        assert_eq!(starts(&["a", "b"]), [true, true]);
        assert_eq!(starts(&["a", "c"]), [false, true]);
        assert_eq!(starts(&["b", "a"]), [true, false]);
        said.begin();
        said.fail();
        said.begin();
        assert!(!said.is_new("a".to_owned()));
    }
}
