//! Line: what a worker tells the suite, one JSON object a line on its standard output. Each is written by one system call
//! before the worker goes on, so that what a killed worker did is known.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch. Suite, workers and brokers run on one machine, so their times compare.
pub(crate) type Micros = i64;

/// Now.
pub(crate) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(0))
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// When it was written.
    pub(crate) at: Micros,
    /// What it says.
    #[serde(flatten)]
    pub(crate) said: Said,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "e", rename_all = "kebab-case")]
pub(crate) enum Said {
    /// The worker listens to signals: the first line of each.
    Listening,
    /// A handler starts.
    Start(Handled),
    /// A handler ended.
    End {
        /// What it handled.
        #[serde(flatten)]
        handled: Handled,
        /// How.
        how: Ended,
    },
    /// A handler returned, and its message waits for its committer (manual commit).
    Kept {
        /// Which run of a handler.
        n: u64,
    },
    /// `done` of a committer resolved: the brokers have a commit that covers the message.
    Confirmed {
        /// Which run of a handler.
        n: u64,
    },
    /// `done` of a committer changed nothing.
    Stale {
        /// Which run of a handler.
        n: u64,
    },
    /// Partitions changed hands, as the worker's log names them: `topic[0] topic[1]`.
    Partitions {
        /// What happened to them.
        change: Change,
        /// Their names.
        names: String,
    },
    /// The worker's log warns of records that it could not read, or of a topic that was created again.
    Warned {
        /// The warning.
        text: String,
    },
    /// The worker's run is over.
    Report(Report),
}

/// An attempt at a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handled {
    /// The topic.
    pub(crate) t: String,
    /// The partition.
    pub(crate) p: i32,
    /// The offset.
    pub(crate) o: i64,
    /// The key.
    pub(crate) k: String,
    /// The message's number.
    pub(crate) q: u64,
    /// The attempt.
    pub(crate) a: u32,
    /// Which run of a handler this is, of all of its worker.
    pub(crate) n: u64,
}

/// How a handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ended {
    /// The message is done.
    Done,
    /// It returned an error.
    Failed,
    /// It rejected the message.
    Rejected,
    /// It panicked.
    Panicked,
    /// It was dropped before its end.
    CutOff,
}

/// What happened to partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// They are this worker's from here on.
    Assigned,
    /// They are to be given up.
    Revoked,
    /// They are gone.
    Lost,
}

/// What a worker's run reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Handled messages.
    pub(crate) handled: u64,
    /// Messages that were begun and did not end, those in custody included.
    pub(crate) unfinished: u64,
    /// Handled messages that will be repeated.
    pub(crate) redelivered: u64,
    /// The error that ended it.
    pub(crate) error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        let handled = Handled {
            t: "p.load".into(),
            p: 1,
            o: 2,
            k: "k".into(),
            q: 3,
            a: 1,
            n: 1,
        };
        for said in [
            Said::Listening,
            Said::Start(handled.clone()),
            Said::End {
                handled,
                how: Ended::CutOff,
            },
            Said::Kept { n: 1 },
            Said::Confirmed { n: 1 },
            Said::Stale { n: 1 },
            Said::Partitions {
                change: Change::Lost,
                names: "a[0]".into(),
            },
            Said::Warned {
                text: "a[0]".into(),
            },
            Said::Report(Report::default()),
        ] {
            let line = Line { at: 7, said };
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
        }
    }
}
