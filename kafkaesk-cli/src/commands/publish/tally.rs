//! Tally: counts how each line of `publish --ndjson` ended, in order. Gives the counts, the exit status and the place to
//! resume. Pure.

use crate::exit::Exit;

/// Why no further line is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// This line could not be published.
    Refused {
        line: u64,
        /// Whether `--skip-invalid` would have passed over it.
        skippable: bool,
    },
    /// The reader of the answers has closed standard output.
    OutputClosed,
    /// The input or the output failed; the error is printed by itself.
    Failed,
    /// Ctrl-C or SIGTERM.
    Signal,
}

/// What became of the lines.
#[derive(Debug)]
pub(super) struct Tally {
    published: u64,
    refused: u64,
    /// The last line whose end is known.
    last: u64,
    last_published: u64,
    stop: Option<Stop>,
    /// Whether the input has no further line.
    whole: bool,
    /// Lines that were not published since the run stopped, the one that stopped it included. As many as can be in
    /// flight, at most.
    left: Vec<u64>,
    /// Lines that may have been published or not: the brokers' answer did not come. The first of them stops the run, so
    /// these are bounded as well.
    unknown: Vec<u64>,
}

impl Tally {
    /// Of lines from this one on.
    pub(super) fn from_line(line: u64) -> Self {
        Self {
            published: 0,
            refused: 0,
            last: line - 1,
            last_published: 0,
            stop: None,
            whole: false,
            left: Vec::new(),
            unknown: Vec::new(),
        }
    }

    pub(super) fn published(&mut self, line: u64) {
        self.published += 1;
        self.last = line;
        self.last_published = line;
    }

    pub(super) fn refused(&mut self, line: u64) {
        self.refused += 1;
        self.last = line;
        if self.stop.is_some() {
            self.left.push(line);
        }
    }

    /// It is unknown whether this line was published.
    pub(super) fn unknown(&mut self, line: u64) {
        self.last = line;
        self.left.push(line);
        self.unknown.push(line);
    }

    /// The first reason counts.
    pub(super) fn stop(&mut self, why: Stop) {
        self.stop.get_or_insert(why);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// The input has no further line.
    pub(super) fn input_ended(&mut self) {
        self.whole = true;
    }

    /// Lines published and refused so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.published, self.refused)
    }

    /// What the run ends with.
    pub(super) fn exit(&self) -> Exit {
        match (self.stopped(), self.refused) {
            (Some(_), _) => Exit::Failed,
            (None, 0) => Exit::Done,
            (None, _) => Exit::Partial,
        }
    }

    /// Why lines remain. A stop that came when every line was on its way left none behind.
    fn stopped(&self) -> Option<Stop> {
        self.stop.filter(|_| !self.whole || !self.left.is_empty())
    }

    /// The line to resume at: after the last published line, so that none is published twice.
    fn resume(&self) -> u64 {
        let first = self.left.iter().find(|line| **line > self.last_published);
        first.copied().unwrap_or(self.last + 1)
    }

    /// Lines that resuming would leave out: behind them one was published.
    fn alone(&self) -> Vec<u64> {
        let resume = self.resume();
        let left = self.left.iter().copied();
        left.filter(|line| *line < resume).collect()
    }

    /// The text for people: what was done, why the run stopped, and how to resume without losing or repeating a line.
    pub(super) fn summary(&self, seconds: f64) -> String {
        let mut text = format!("{} published", self.published);
        if self.refused > 0 {
            text.push_str(&format!(", {} refused", self.refused));
        }
        if !self.unknown.is_empty() {
            text.push_str(&format!(", {} unknown", self.unknown.len()));
        }
        text.push_str(&format!(" in {seconds:.1} s"));
        let Some(why) = self.stopped() else {
            return text;
        };
        text.push_str(&match why {
            Stop::Refused { line, .. } => format!("; stopped at line {line}"),
            Stop::OutputClosed => {
                "; stopped: the reader of standard output has closed it".to_owned()
            }
            Stop::Failed => "; stopped".to_owned(),
            Stop::Signal => "; stopped by a signal".to_owned(),
        });
        let resume = self.resume();
        let alone = self.alone();
        if self.published > 0 {
            text.push_str(&format!(
                ". Every line before {resume} that is not named above was published"
            ));
        }
        if !alone.is_empty() {
            text.push_str(&format!(
                ", except {}: correct and publish them alone",
                ranges(&alone)
            ));
        }
        if !self.unknown.is_empty() {
            text.push_str(&format!(
                ". It is unknown whether line {} was published, since the brokers' answer did not come: publishing it again may write it twice, leaving it out may lose it. Look for it with `kafkaesk-cli tail` first",
                ranges(&self.unknown)
            ));
        }
        if self.whole && resume > self.last {
            text.push_str("; no line is left to resume with");
            return text;
        }
        text.push_str("; ");
        match why {
            Stop::Refused { line, skippable } if line == resume => {
                text.push_str(&format!("correct it and resume with --from-line {resume}"));
                if skippable {
                    text.push_str(", or pass over such lines with --skip-invalid");
                }
            }
            _ => text.push_str(&format!("resume with --from-line {resume}")),
        }
        text
    }
}

/// `1000, 1003-1010`, of ascending numbers.
fn ranges(lines: &[u64]) -> String {
    lines
        .chunk_by(|one, next| one + 1 == *next)
        .map(|range| match range {
            [one] => one.to_string(),
            range => format!("{}-{}", range[0], range[range.len() - 1]),
        })
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Stop = Stop::Refused {
        line: 3,
        skippable: true,
    };

    /// Lines 1 to 3, the third of which stops the run; then those in flight, published or not.
    fn stopped_at_3(behind: &[bool]) -> Tally {
        let mut tally = Tally::from_line(1);
        tally.published(1);
        tally.published(2);
        tally.stop(REFUSED);
        tally.refused(3);
        for (line, published) in (4..).zip(behind) {
            match published {
                true => tally.published(line),
                false => tally.refused(line),
            }
        }
        tally
    }

    #[test]
    fn whatever_was_in_flight_resuming_neither_loses_nor_doubles_a_line() {
        for bits in 0..64_u32 {
            let behind: Vec<bool> = (0..6).map(|bit| bits & (1 << bit) != 0).collect();
            let tally = stopped_at_3(&behind);
            let published = |line: u64| line < 3 || line > 3 && behind[line as usize - 4];
            for line in 1..=9 {
                let again = line >= tally.resume() || tally.alone().contains(&line);
                assert_ne!(again, published(line), "line {line} of {behind:?}");
            }
            assert!(tally.resume() <= 10);
        }
    }

    #[test]
    fn the_summary_says_what_to_correct_and_where_to_resume() {
        assert_eq!(
            stopped_at_3(&[false]).summary(0.1),
            "2 published, 2 refused in 0.1 s; stopped at line 3. Every line before 3 that is not named above was published; correct it and resume with --from-line 3, or pass over such lines with --skip-invalid"
        );
        let mut tally = stopped_at_3(&[false, true, false, true, false]);
        let text = tally.summary(0.1);
        assert!(
            text.ends_with("line 3. Every line before 8 that is not named above was published, except 3-4, 6: correct and publish them alone; resume with --from-line 8"),
            "{text}"
        );
        tally.published(9);
        tally.input_ended();
        let text = tally.summary(0.1);
        assert!(
            text.ends_with(
                "except 3-4, 6, 8: correct and publish them alone; no line is left to resume with"
            ),
            "{text}"
        );
        assert_eq!(tally.exit(), Exit::Failed);
    }

    #[test]
    fn a_stop_that_leaves_no_line_behind_is_none() {
        for why in [Stop::Signal, Stop::OutputClosed] {
            let mut tally = Tally::from_line(7);
            tally.published(7);
            tally.stop(why);
            assert_eq!(tally.exit(), Exit::Failed);
            assert!(tally.summary(0.1).ends_with("resume with --from-line 8"));
            tally.input_ended();
            assert_eq!(tally.exit(), Exit::Done);
            assert_eq!(tally.summary(0.1), "1 published in 0.1 s");
            tally.refused(8);
            assert_eq!(tally.exit(), Exit::Failed);
        }
    }

    #[test]
    fn a_stop_before_the_first_answer_resumes_where_the_run_began() {
        let mut tally = Tally::from_line(7);
        tally.stop(Stop::Signal);
        assert_eq!(
            tally.summary(0.1),
            "0 published in 0.1 s; stopped by a signal; resume with --from-line 7"
        );
    }

    #[test]
    fn a_line_of_unknown_fate_is_neither_lost_nor_doubled_without_a_word() {
        let mut tally = Tally::from_line(1);
        tally.published(1);
        tally.stop(Stop::Refused {
            line: 2,
            skippable: false,
        });
        tally.unknown(2);
        tally.unknown(3);
        tally.published(4);
        tally.unknown(5);
        let text = tally.summary(0.1);
        assert!(
            text.starts_with("2 published, 3 unknown in 0.1 s"),
            "{text}"
        );
        // Publishing alone or resuming covers each, and the text says that each may come twice.
        assert!(
            text.contains("except 2-3: correct and publish them alone"),
            "{text}"
        );
        assert!(
            text.contains("It is unknown whether line 2-3, 5 was published"),
            "{text}"
        );
        assert!(text.ends_with("resume with --from-line 5"), "{text}");
        assert_eq!(tally.exit(), Exit::Failed);
    }

    #[test]
    fn lines_that_were_skipped_leave_it_done_in_part() {
        let mut tally = Tally::from_line(1);
        tally.refused(1);
        tally.published(2);
        tally.input_ended();
        assert_eq!(tally.exit(), Exit::Partial);
    }
}
