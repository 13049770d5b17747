//! Rows: reads the `/stats` of all processes into one row for each group and pattern. Pure.

use std::time::Duration;

use kafkaesk_client::lag::Verdict;
use kafkaesk_core::span::rough_span;
use serde_json::Value;

use crate::{output, terminal::escape_str};

/// All processes together.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// How many answer.
    pub(super) answers: usize,
    /// Those that do not, each with the reason.
    pub(super) silent: Vec<String>,
    /// The most important thing of each process where something is wrong.
    pub(super) problems: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// A group and pattern, over all processes.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) group: String,
    pub(super) pattern: String,
    verdict: usize,
    sentence: String,
    lag: Option<u64>,
    seconds: Option<f64>,
    rate: f64,
    running: u64,
    concurrency: u64,
    ready: u64,
    backing_off: u64,
    held_total: u64,
    retries: u64,
    dead_letters: u64,
    processes: u64,
    /// For each process with messages in custody, how many and the oldest.
    pub(super) custody: Vec<String>,
    /// Held messages, each with its attempts and error.
    pub(super) held: Vec<String>,
    /// The last errors.
    pub(super) errors: Vec<String>,
}

/// The heads of the columns.
pub(super) const HEADS: [&str; 12] = [
    "GROUP",
    "PATTERN",
    "VERDICT",
    "LAG",
    "AGE",
    "RATE/S",
    "RUNNING",
    "READY",
    "BACKOFF",
    "HELD",
    "DEAD",
    "PROCESSES",
];

impl Board {
    pub(super) fn of(looks: Vec<(String, anyhow::Result<Value>)>) -> Self {
        let mut board = Self::default();
        for (address, look) in looks {
            match look {
                Ok(stats) => board.add(&address, &stats),
                Err(error) => board.silent.push(format!("{error:#}")),
            }
        }
        board.rows.sort_by(|a, b| {
            let names = (&a.group, &a.pattern).cmp(&(&b.group, &b.pattern));
            (b.verdict, b.lag).cmp(&(a.verdict, a.lag)).then(names)
        });
        board
    }

    fn add(&mut self, address: &str, stats: &Value) {
        self.answers += 1;
        if stats["problems_total"].as_u64() > Some(0) {
            self.problems
                .push(format!("{address}  {}", text(&stats["sentence"])));
        }
        for it in list(&stats["subscriptions"]) {
            let (group, pattern) = (text(&it["group"]), text(&it["pattern"]));
            let known = |row: &&mut Row| row.group == group && row.pattern == pattern;
            match self.rows.iter_mut().find(known) {
                Some(row) => row.add(it),
                None => {
                    let mut row = Row {
                        group,
                        pattern,
                        lag: Some(0),
                        seconds: Some(0.0),
                        ..Row::default()
                    };
                    row.add(it);
                    self.rows.push(row);
                }
            }
        }
    }

    /// A table, worst first, and what is wrong below it.
    pub(super) fn lines(&self) -> Vec<String> {
        let heads = HEADS.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.cells().to_vec()).collect();
        let table: Vec<Vec<String>> = [heads].into_iter().chain(rows).collect();
        let mut lines = output::table(&table);
        lines.extend(self.problems.iter().cloned());
        lines
    }
}

impl Row {
    fn add(&mut self, it: &Value) {
        let number = |key: &str| it[key].as_u64().unwrap_or(0);
        let verdict = text(&it["verdict"]);
        let mut all = Verdict::ALL.iter();
        let place = all.position(|known| known.name() == verdict).unwrap_or(0);
        if place >= self.verdict {
            (self.verdict, self.sentence) = (place, text(&it["sentence"]));
        }
        if it["state"] != "ended" {
            self.processes += 1;
        }
        // Unknown in one process is unknown in all.
        self.lag = self.lag.zip(it["lag_records"].as_u64()).map(|(a, b)| a + b);
        let seconds = self.seconds.zip(it["lag_seconds"].as_f64());
        self.seconds = seconds.map(|(a, b)| a.max(b));
        self.rate += it["finished_per_second"].as_f64().unwrap_or(0.0);
        self.running += number("running");
        self.concurrency += number("concurrency");
        self.ready += number("ready");
        self.backing_off += number("backing_off");
        self.held_total += number("held_total");
        self.retries += number("retries");
        let letters = it["dead_letters"].as_object();
        let letters = letters.map(|all| all.values().filter_map(Value::as_u64).sum::<u64>());
        self.dead_letters += letters.unwrap_or(0);
        let custody = number("custody");
        if custody > 0 {
            let oldest = &it["oldest_in_custody"];
            let seconds = oldest["seconds"].as_f64().unwrap_or(0.0).max(0.0);
            self.custody.push(format!(
                "{custody} messages handled, their committers not finished; the oldest {} for {}",
                text(&oldest["message"]),
                rough_span(Duration::from_secs_f64(seconds))
            ));
        }
        self.held.extend(list(&it["held"]).map(|held| {
            format!(
                "{}  {} attempts since {}  {}",
                text(&held["message"]),
                held["attempts"],
                text(&held["since"]),
                text(&held["error"])
            )
        }));
        self.errors.extend(list(&it["errors"]).map(|error| {
            format!(
                "{}  {} times  {}  {}",
                text(&error["last"]),
                error["count"],
                text(&error["message"]),
                text(&error["error"])
            )
        }));
    }

    pub(super) fn verdict(&self) -> Verdict {
        Verdict::ALL[self.verdict]
    }

    pub(super) fn sentence(&self) -> &str {
        &self.sentence
    }

    /// The cells, as [`HEADS`] names them.
    pub(super) fn cells(&self) -> [String; 12] {
        let unknown = || "?".to_owned();
        [
            self.group.clone(),
            self.pattern.clone(),
            self.verdict().name().to_owned(),
            self.lag.map_or_else(unknown, |lag| lag.to_string()),
            self.seconds.map_or_else(unknown, |seconds| {
                rough_span(Duration::from_secs_f64(seconds.max(0.0)))
            }),
            format!("{:.1}", self.rate),
            format!("{}/{}", self.running, self.concurrency),
            self.ready.to_string(),
            self.backing_off.to_string(),
            self.held_total.to_string(),
            self.dead_letters.to_string(),
            self.processes.to_string(),
        ]
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A text, without what a terminal would act on.
fn text(value: &Value) -> String {
    escape_str(value.as_str().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stats(verdict: &str, lag: Option<u64>, running: u64) -> Value {
        json!({
            "problems_total": u64::from(verdict != "OK"),
            "sentence": "billing orders.placed[3]: HELD",
            "subscriptions": [{
                "group": "billing", "pattern": "orders.*", "state": "running", "verdict": verdict,
                "sentence": "why", "lag_records": lag, "lag_seconds": 1.5, "running": running,
                "concurrency": 32, "held": [{"message": "orders.placed[3]@4711", "attempts": 17,
                "since": "2026", "error": "refused\u{1b}[2J"}], "dead_letters": {"rejected": 2},
            }],
        })
    }

    #[test]
    fn processes_of_one_group_are_one_row_with_the_worst_verdict() {
        let board = Board::of(vec![
            ("a".into(), Ok(stats("OK", Some(3), 1))),
            ("b".into(), Ok(stats("HELD", Some(4), 2))),
            ("c".into(), Err(anyhow::anyhow!("c does not answer"))),
        ]);
        assert_eq!(
            (board.answers, board.silent.len(), board.rows.len()),
            (2, 1, 1)
        );
        let cells = board.rows[0].cells();
        assert_eq!(cells[2..5], ["HELD", "7", "1s"]);
        assert_eq!(
            (cells[6].as_str(), cells[10].as_str(), cells[11].as_str()),
            ("3/64", "4", "2")
        );
        assert_eq!(board.problems, ["b  billing orders.placed[3]: HELD"]);
        assert!(!board.rows[0].held[0].contains('\u{1b}'));
    }

    #[test]
    fn a_lag_that_one_process_does_not_know_is_not_known() {
        let looks = vec![
            ("a".into(), Ok(stats("OK", Some(3), 1))),
            ("b".into(), Ok(stats("UNKNOWN", None, 1))),
        ];
        assert_eq!(Board::of(looks).rows[0].cells()[3], "?");
    }
}
