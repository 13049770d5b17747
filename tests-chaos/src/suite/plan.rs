//! Plan: everything that a run does, made from a scenario's name and a seed before anything starts. Does nothing itself.

use std::{fmt, time::Duration};

use fastrand::Rng;
use kafkaesk_client::mutation::Mutation;

use crate::work::Work;

/// Which Kafka a run needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Brokers {
    One,
    Three,
}

/// A step of a schedule. Workers and brokers have numbers; a worker that is started again keeps its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Start(usize),
    Kill(usize),
    Terminate(usize),
    Stop(usize),
    Continue(usize),
    /// Handlers of a worker that begin from here on hang.
    Hang(usize),
    /// They go on, one after the other.
    Release(usize),
    KillBroker(usize),
    EndBroker(usize),
    StartBroker(usize),
    /// Kills the broker that leads the commits' log, and so coordinates every group.
    KillCoordinator,
    StartCoordinator,
    /// Connections through the proxy end, and new ones are refused.
    Cut,
    /// Nothing passes the proxy, and neither side gets an error.
    Hole,
    Delay(Duration),
    /// Bytes a second and connection.
    Throttle(u64),
    Restore,
    Grow(u32),
    /// Transactions write records that are never committed.
    AbortedTransaction,
    /// The stream's topic is deleted. The publisher creates it again, where it may.
    DeleteStream,
    CreateStream,
    /// Records are deleted when they are half a second old.
    ShortRetention,
    LongRetention,
    /// The topic of dead letters is deleted.
    DeleteLetters,
    CreateLetters,
    /// The topic of dead letters takes nothing.
    RefuseLetters(Refusal),
    TakeLetters(Refusal),
}

/// Why a topic takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Every record is larger than its `max.message.bytes`.
    TooLarge,
    /// Nobody has the right to write it.
    Denied,
}

/// A step, and when after the start of the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: Duration,
    pub(super) action: Action,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:.2} s {:?}", self.after.as_secs_f64(), self.action)
    }
}

/// What messages ask of their handlers.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    /// The longest ordinary handler.
    pub(super) quick: Duration,
    /// One of so many messages takes `slow`; 0 for none.
    pub(super) slow_one_in: u64,
    pub(super) slow: Duration,
    /// One of so many messages fails one to four times; 0 for none.
    pub(super) fails_one_in: u64,
    /// One of so many messages panics once or twice; 0 for none.
    pub(super) panics_one_in: u64,
    /// One of so many messages is poison, half of them fail and half are rejected; 0 for none.
    pub(super) poison_one_in: u64,
    /// No poison comes before this message.
    pub(super) poison_from: u64,
}

impl Mix {
    /// The next message.
    pub(super) fn work(&self, rng: &mut Rng, seq: u64) -> Work {
        let one_in = |rng: &mut Rng, count: u64| count > 0 && rng.u64(..count) == 0;
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let slow = one_in(rng, self.slow_one_in);
        let takes = match slow {
            true => micros(self.slow),
            false => rng.u64(..=micros(self.quick)),
        };
        // Drawn only where there is poison: the seeds of other scenarios stay what they were.
        let poison = one_in(rng, self.poison_one_in) && seq >= self.poison_from;
        let rejects = poison && rng.bool();
        if poison {
            return Work {
                seq,
                takes,
                fails: if rejects { 0 } else { u32::MAX },
                panics: 0,
                rejects,
            };
        }
        Work {
            seq,
            takes,
            fails: if one_in(rng, self.fails_one_in) {
                rng.u32(1..=4)
            } else {
                0
            },
            panics: if one_in(rng, self.panics_one_in) {
                rng.u32(1..=2)
            } else {
                0
            },
            rejects: false,
        }
    }
}

/// What workers with manual commit do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Custody {
    /// For how long a message is held at the most.
    pub(super) hold: Duration,
    /// Whether it does not end at a revoke.
    pub(super) deaf: bool,
    /// `max-uncommitted`.
    pub(super) most: u32,
}

/// A run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) scenario: &'static str,
    pub(super) seed: u64,
    pub(super) brokers: Brokers,
    /// Workers reach the broker through the proxy.
    pub(super) proxied: bool,
    /// The publisher does as well.
    pub(super) publisher_proxied: bool,
    pub(super) messages: u64,
    /// How long the publisher publishes and the schedule lasts.
    pub(super) length: Duration,
    pub(super) workers: usize,
    pub(super) partitions: u32,
    pub(super) keys: u64,
    pub(super) concurrency: u32,
    pub(super) shutdown_timeout: Duration,
    /// How many failed attempts a message has, with short waits between them; `None` for the product's own.
    pub(super) attempts: Option<u32>,
    /// librdkafka properties of the workers' consumers.
    pub(super) properties: Vec<(&'static str, String)>,
    pub(super) session: Duration,
    /// How often workers look for topics.
    pub(super) discovery: Duration,
    /// `max.poll.interval.ms` of the workers' consumers.
    pub(super) max_poll: Duration,
    /// How the suite creates the stream's topic before the publisher needs it; `None` where the publisher does, with Kafka's
    /// own settings.
    pub(super) stream: Option<Vec<(&'static str, &'static str)>>,
    /// Whether handlers publish a copy of each message, in transactions.
    pub(super) copies: bool,
    pub(super) mix: Mix,
    /// Manual commit.
    pub(super) custody: Option<Custody>,
    /// Batches: how many messages one has at the most.
    pub(super) batch: Option<u32>,
    /// Workers add and remove instances about so often.
    pub(super) shuffled: Option<Duration>,
    pub(super) steps: Vec<Step>,
    /// A fault in the workers' code, which the checker must notice.
    pub(super) mutation: Option<Mutation>,
}

impl Plan {
    pub(super) fn step(&mut self, after: f64, action: Action) {
        self.steps.push(Step {
            after: Duration::from_secs_f64(after),
            action,
        });
    }

    /// Whether other runs on the same brokers are not disturbed.
    pub(super) fn spares_the_brokers(&self) -> bool {
        let spares = |action: &Action| {
            !matches!(
                action,
                Action::KillBroker(_)
                    | Action::EndBroker(_)
                    | Action::StartBroker(_)
                    | Action::KillCoordinator
                    | Action::StartCoordinator
                    | Action::Cut
                    | Action::Hole
                    | Action::Delay(_)
                    | Action::Throttle(_)
            )
        };
        self.brokers == Brokers::One && self.steps.iter().all(|step| spares(&step.action))
    }

    /// A session that is shorter than Kafka's own.
    pub(super) fn short_session(&mut self) {
        self.session_of(Duration::from_secs(6));
    }

    /// A session of this length.
    pub(super) fn session_of(&mut self, session: Duration) {
        self.session = session;
        let millis = self.session.as_millis().to_string();
        self.properties.push(("session.timeout.ms", millis));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::scenarios::{SCENARIOS, plan};

    #[test]
    fn a_seed_makes_the_same_plan_and_another_seed_another_one() {
        for scenario in SCENARIOS {
            let make = |seed| format!("{:?}", plan(scenario, seed, 1000));
            assert_eq!(make(1), make(1), "{}", scenario.name);
            assert_ne!(make(1), make(2), "{}", scenario.name);
        }
    }

    #[test]
    fn a_seed_makes_the_same_messages() {
        let scenario = &SCENARIOS[0];
        let works = |seed| -> Vec<Work> {
            let mix = plan(scenario, seed, 1000).mix;
            let mut rng = Rng::with_seed(seed);
            (0..100).map(|seq| mix.work(&mut rng, seq)).collect()
        };
        assert_eq!(works(3), works(3));
        assert_ne!(works(3), works(4));
    }

    #[test]
    fn every_fault_of_a_plan_is_over_before_its_length() {
        for scenario in SCENARIOS {
            for seed in 0..20 {
                let plan = plan(scenario, seed, 1000);
                for step in &plan.steps {
                    assert!(step.after <= plan.length, "{} {step}", scenario.name);
                }
            }
        }
    }
}
