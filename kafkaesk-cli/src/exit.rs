//! Exit statuses: maps how a run ended to the process's status. Nothing else in this crate invents a number.

use std::process::ExitCode;

/// What `--help` says about exit statuses. A paragraph is one line, which clap wraps.
pub(crate) const EXIT_HELP: &str = "\
Exit statuses:
  0    done, or nothing to do; standard output closed by its reader
  1    failed, stopped before its end (publish --ndjson, dead-letters redrive), or a filter of
       dead-letters matches nothing; standard error says why
  2    done in part (publish --skip-invalid left lines out, dead-letters left records
       that are not dead letters, worker cut handlers off at shutdown-timeout), or changes
       are pending (--dry-run)
  64   usage: the arguments make no sense
  130  ended at once by a second Ctrl-C
  143  ended at once by a second SIGTERM
  129  ended at once by a second SIGHUP

Every setting has one name: kafka-servers in kafkaesk.toml, KAFKAESK_KAFKA_SERVERS in the environment, \
--kafka-servers here. Flags beat the environment, which beats the file's profile, which beats the file.";

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for is done.
    Done,
    /// It failed; the error was printed.
    Failed,
    /// Done in part, or changes are pending.
    Partial,
    /// The arguments make no sense (`EX_USAGE`; clap's own 2 means something else here).
    Usage,
}

impl Exit {
    /// The process's exit status.
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Partial => 2,
            Self::Usage => 64,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.status())
    }
}
