//! Build: reads a view into the document of `/stats`.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use kafkaesk_client::{dead_letters::Unsettled, lag::Verdict, meter::PublishedTopic};
use kafkaesk_core::{Reason, Source, span::rough_span, timestamp};
use kafkaesk_worker::snapshot::{Apart, AttemptEnd, State, SubscriptionSnapshot};

use super::{Sort, Wish, document as doc, scaling};
use crate::{
    lag::{Judged, message, of_pause, time},
    rates::{Point, lag, per_second},
    view::{View, silence},
};

/// Problems that are listed, at most.
const PROBLEMS: usize = 50;
/// The characters of a key, at most.
const KEY: usize = 100;
/// Settings that are listed, at most: one file may declare thousands of subscriptions.
const SETTINGS: usize = 300;
/// The characters of a setting's value, at most.
const VALUE: usize = 200;
/// Streams that are listed of the publisher, at most.
const STREAMS: usize = 20;
/// Schema ids that are listed of one of these, at most.
const SCHEMAS: usize = 5;

/// A subscription with what is known of it.
#[derive(Clone, Copy)]
struct Known<'a> {
    it: &'a SubscriptionSnapshot,
    judged: &'a [Judged],
    rates: &'a [Point],
    letters: Option<&'a Unsettled>,
    show_keys: bool,
    hears: bool,
    verdict: Verdict,
}

impl Known<'_> {
    /// Whether its group or pattern contains this, given in lower case.
    fn is_named(&self, search: &str) -> bool {
        [&self.it.group, &self.it.name, &self.it.pattern]
            .iter()
            .any(|name| contains(name, search))
    }

    /// A message's key as text, if keys are shown.
    fn key(&self, key: Option<&[u8]>) -> Option<String> {
        let key = key.filter(|_| self.show_keys)?;
        Some(String::from_utf8_lossy(key).chars().take(KEY).collect())
    }

    /// Whether one of its partitions, such as `orders.placed[3]`, contains this.
    fn has_partition(&self, search: &str) -> bool {
        let mut partitions = self.it.partitions.iter();
        partitions.any(|own| contains(&place(&own.source), search))
    }
}

fn contains(name: &str, search: &str) -> bool {
    search.is_empty() || name.to_lowercase().contains(search)
}

/// The document: `limit` subscriptions, with `listed` entries in each of their lists.
pub(crate) fn build(view: &View, wish: &Wish, limit: usize, listed: usize) -> doc::Stats {
    let rates = view.rates.iter().map(Vec::as_slice);
    let rates = rates.chain(std::iter::repeat(&[][..]));
    let known = view.subscriptions().zip(rates);
    let mut all: Vec<Known<'_>> = known
        .map(|((it, judged), rates)| Known {
            it,
            judged,
            rates,
            letters: view.letters.get(&it.group),
            show_keys: view.show_keys,
            hears: view.hears(),
            verdict: view.verdict(it, judged),
        })
        .collect();
    let (mut problems, problems_total) = problems(view, &all);
    problems.truncate(PROBLEMS);
    // Of all of them, whatever is asked for: so is the sentence.
    let verdict = all.iter().map(|known| known.verdict).max();
    let verdict = verdict.unwrap_or(Verdict::Ok);
    if let Some(group) = &wish.group {
        all.retain(|known| known.it.group == *group || known.it.name == *group);
    }
    let search = wish.search.as_deref().unwrap_or_default().to_lowercase();
    all.retain(|known| known.is_named(&search) || known.has_partition(&search));
    let subscriptions_total = all.len();
    let behind = |known: &Known<'_>| lag(known.judged).unwrap_or(0);
    all.sort_by(|a, b| {
        let names = (&a.it.group, &a.it.pattern).cmp(&(&b.it.group, &b.it.pattern));
        let lags = behind(b).cmp(&behind(a));
        match wish.sort {
            Sort::Verdict => b.verdict.cmp(&a.verdict).then(lags).then(names),
            Sort::Lag => lags.then(names),
            Sort::Group => names,
        }
    });
    doc::Stats {
        at: time(SystemTime::now()),
        version: env!("CARGO_PKG_VERSION"),
        verdict: verdict.name(),
        sentence: sentence(view, verdict, &problems, problems_total),
        connected: view.connected,
        answered_seconds: view.answered.map(|ago| ago.as_secs_f64()),
        shutdown: view.snapshot.shutdown.map(time),
        problems,
        problems_total,
        subscriptions: all
            .iter()
            .skip(wish.skip)
            .take(limit)
            .map(|known| subscription(known, &search, listed))
            .collect(),
        subscriptions_total,
        listed,
        publisher: publisher(view),
        settings: wish.settings.then(|| settings(view)),
    }
}

/// The most important thing: the worst problem, or that all is well.
fn sentence(view: &View, verdict: Verdict, problems: &[doc::Problem], total: usize) -> String {
    let Some(worst) = problems.first() else {
        let running = view.snapshot.subscriptions.iter();
        let running = running.filter(|it| it.state == State::Running).count();
        let known = match verdict {
            Verdict::Ok => "all is well",
            _ => "the lag is not known yet",
        };
        let running = match running {
            1 => "1 subscription runs".to_owned(),
            some => format!("{some} subscriptions run"),
        };
        let without = view.snapshot.subscriptions.iter();
        let without = without.filter(|it| it.state == State::Running && it.partitions.is_empty());
        return match without.count() {
            0 => format!("{known}: {running}"),
            some => format!(
                "{known}: {running}; without a partition: {some} (other members have all, or no stream matches the pattern)"
            ),
        };
    };
    let of = [&worst.group, &worst.partition];
    let of: Vec<&str> = of.into_iter().flatten().map(String::as_str).collect();
    let of = match of.as_slice() {
        [] => String::new(),
        some => format!("{}: ", some.join(" ")),
    };
    let more = match total {
        1 => String::new(),
        total => format!(" (and {} more)", total - 1),
    };
    match worst.verdict {
        "OK" => format!("{of}{}{more}", worst.sentence),
        verdict => format!("{of}{verdict}: {}{more}", worst.sentence),
    }
}

/// What is wrong, worst first, and how much of it there is.
fn problems(view: &View, all: &[Known<'_>]) -> (Vec<doc::Problem>, usize) {
    let problem = |group: Option<&Known<'_>>, verdict: Verdict, sentence: String| doc::Problem {
        group: group.map(|known| known.it.group.clone()),
        partition: None,
        verdict: verdict.name(),
        sentence,
    };
    let mut first = Vec::new();
    if let Some(at) = view.snapshot.shutdown {
        let sentence = format!("the shutdown began at {}", time(at));
        first.push(problem(None, Verdict::Ok, sentence));
    }
    let away = match view.answered {
        _ if !view.connected => Some("it has not connected to Kafka yet".to_owned()),
        Some(ago) if !view.hears() => Some(format!(
            "no broker has answered for {}; look at the brokers and the network",
            rough_span(ago)
        )),
        _ => None,
    };
    first.extend(away.map(|sentence| problem(None, Verdict::Unknown, sentence)));
    let mut of_groups: Vec<(Verdict, Option<u64>, doc::Problem)> = Vec::new();
    for known in all {
        let silent = silence(known.it);
        if known.it.state != State::Ended && silent > view.alive_within {
            let sentence = format!(
                "it has given no sign of life for {}; a handler may block its thread",
                rough_span(silent)
            );
            first.push(problem(Some(known), Verdict::Stall, sentence));
        }
        // Once for all of its partitions, and also where none is behind.
        let pause = known.it.pause.as_ref();
        let pause = pause.map(|pause| (Verdict::Paused, of_pause(pause)));
        let apart = known.it.apart.as_ref();
        let apart = apart.map(|apart| (Verdict::Stall, of_apart(apart)));
        for (verdict, sentence) in pause.into_iter().chain(apart) {
            of_groups.push((verdict, None, problem(Some(known), verdict, sentence)));
        }
        for judged in known.judged {
            let verdict = match judged.verdict {
                Verdict::Ok | Verdict::Unknown => continue,
                // A pause does not hide what is held.
                Verdict::Paused if judged.is_held => Verdict::Held,
                Verdict::Paused => continue,
                verdict => verdict,
            };
            let of_partition = doc::Problem {
                partition: Some(place(&judged.source)),
                ..problem(Some(known), verdict, judged.sentence.clone())
            };
            of_groups.push((verdict, judged.records(), of_partition));
        }
    }
    of_groups.sort_by_key(|it| Reverse((it.0, it.1)));
    let total = first.len() + of_groups.len();
    first.extend(of_groups.into_iter().map(|(_, _, problem)| problem));
    (first, total)
}

fn subscription(known: &Known<'_>, search: &str, listed: usize) -> doc::Subscription {
    let Known {
        it,
        judged,
        rates,
        letters,
        verdict,
        ..
    } = *known;
    let mut attempts = BTreeMap::new();
    let (mut retries, mut finished) = (0, 0);
    for (_, counts) in &it.counts {
        for end in AttemptEnd::ALL {
            *attempts.entry(end.name()).or_default() += counts.of(end);
        }
        retries += counts.retries;
        finished += counts.finished;
    }
    let mut worst_first: Vec<_> = it.partitions.iter().zip(judged).collect();
    worst_first.sort_by_key(|(_, judged)| Reverse((judged.verdict, judged.records())));
    let reason = worst_first.first().map(|(_, judged)| judged);
    let is_named = known.is_named(search);
    let ages = judged.iter().map(|it| it.age).collect::<Option<Vec<_>>>();
    let oldest = ages.map(|ages| ages.into_iter().max().unwrap_or_default());
    // Without a partition nothing is known, unless it takes part and others have them all.
    let is_blind = it.partitions.is_empty() && (it.apart.is_some() || !known.hears);
    let has_letters = !it.dead_letters.is_empty() || letters.is_some_and(|it| it.letters > 0);
    doc::Subscription {
        group: it.group.clone(),
        name: it.name.clone(),
        pattern: it.pattern.clone(),
        state: it.state.name(),
        verdict: verdict.name(),
        sentence: match (&it.apart, reason) {
            (Some(apart), _) => of_apart(apart),
            (None, Some(judged)) => judged.sentence.clone(),
            (None, None) => {
                "it has no partition: other members have all, or no stream matches its pattern"
                    .to_owned()
            }
        },
        lag_records: lag(judged).filter(|_| !is_blind),
        lag_seconds: oldest.filter(|_| !is_blind).map(|age| age.as_secs_f64()),
        finished_per_second: per_second(rates),
        history: rates
            .iter()
            .take(usize::from(listed > 0) * 62)
            .map(moment)
            .collect(),
        instances: it.instances,
        scaled_instances: it.scaled_instances.as_deref().map(scaling::instances),
        wanted_processes: it.wanted_processes.as_deref().map(scaling::processes),
        scaled_partitions: it
            .scaled_partitions
            .as_deref()
            .and_then(scaling::partitions),
        concurrency: it.concurrency,
        scaled: it.scaled.as_ref().map(scaling::handlers),
        running: it.running,
        stuck: it.stuck,
        oldest_running: it
            .oldest_running
            .iter()
            .take(listed)
            .map(|it| doc::Running {
                message: message(&it.source, it.offset).to_string(),
                key: known.key(it.key.as_deref()),
                attempt: it.attempt,
                seconds: it.age.as_secs_f64(),
                messages: it.messages,
            })
            .collect(),
        custody: it.custody,
        oldest_in_custody: it
            .oldest_in_custody
            .as_ref()
            .filter(|_| listed > 0)
            .map(|it| doc::Running {
                message: message(&it.source, it.offset).to_string(),
                key: known.key(it.key.as_deref()),
                attempt: it.attempt,
                seconds: it.age.as_secs_f64(),
                messages: 1,
            }),
        uncommitted: it.uncommitted,
        transaction_error: it.transaction_error.clone(),
        ready: it.ready.records,
        backing_off: it.backing_off.records,
        held_total: it.held_total,
        held: it
            .held
            .iter()
            .take(listed)
            .map(|it| doc::Held {
                message: message(&it.source, it.offset).to_string(),
                key: known.key(it.key.as_deref()),
                attempts: it.attempts,
                since: time(it.since),
                next: time(it.next),
                end: it.end.name(),
                error: it.error.clone().filter(|_| says_nothing(it.end)),
                waiting: it.waiting,
            })
            .collect(),
        pause: it.pause.as_ref().map(|pause| doc::Pause {
            by: pause.by.name(),
            reason: pause.reason.clone(),
            since: time(pause.since),
            until: pause.until.map(time),
        }),
        throttle: it.throttle,
        attempts,
        retries,
        finished,
        dead_letters: it
            .dead_letters
            .iter()
            .map(|(reason, letters)| (reason.as_str().to_owned(), *letters))
            .collect(),
        unsettled_dead_letters: letters.map(|letters| letters.letters),
        oldest_dead_letter: letters.and_then(|letters| timestamp::format(letters.oldest?)),
        recent_dead_letters: it
            .recent_letters
            .iter()
            .take(listed)
            .map(|it| doc::DeadLetter {
                message: message(&it.source, it.offset).to_string(),
                at: time(it.at),
                reason: it.reason.as_str(),
                attempts: it.attempts,
                error: Some(it.error.clone()).filter(|_| quotes_nothing(it.reason)),
            })
            .collect(),
        dead_letters_command: has_letters
            .then(|| format!("kafkaesk-cli dead-letters redrive {}", it.name)),
        schema_refused: it.refused.iter().map(|(_, _, refused)| refused).sum(),
        commits: it.commits,
        silent_seconds: silence(it).as_secs_f64(),
        partitions_total: it.partitions.len(),
        partitions: worst_first
            .iter()
            .filter(|(own, _)| is_named || contains(&place(&own.source), search))
            .take(listed)
            .map(|(own, judged)| {
                let bounds = judged.lag.as_ref().and_then(|lag| lag.bounds);
                let committed = judged.lag.as_ref().and_then(|lag| lag.committed);
                doc::Partition {
                    stream: own.source.stream.as_str().to_owned(),
                    partition: own.source.partition,
                    verdict: judged.verdict.name(),
                    sentence: judged.sentence.clone(),
                    lag_records: judged.records(),
                    lag_seconds: judged.age.map(|age| age.as_secs_f64()),
                    committed: committed.map(|next| next.0),
                    position: own.position.map(|next| next.0),
                    start: bounds.map(|bounds| bounds.first.0),
                    end: bounds.map(|bounds| bounds.end.0),
                    running: own.running,
                    waiting: own.waiting,
                    paused: own.paused,
                    since: time(own.since),
                }
            })
            .collect(),
        errors: it
            .errors
            .iter()
            .take(listed)
            .map(|it| doc::Error {
                end: it.end.name(),
                error: Some(it.error.clone()).filter(|_| says_nothing(it.end)),
                message: message(&it.source, it.offset).to_string(),
                count: it.count,
                first: time(it.first),
                last: time(it.last),
            })
            .collect(),
        rebalances: it
            .rebalances
            .iter()
            .take(listed)
            .map(|it| doc::Rebalance {
                at: time(it.at),
                event: it.event.name(),
                partitions: it.partitions,
                left: it.left,
            })
            .collect(),
    }
}

/// Why it has no partitions.
fn of_apart(apart: &Apart) -> String {
    let since = time(apart.since);
    format!(
        "its partitions went to other members at {since}: {}",
        apart.reason
    )
}

fn publisher(view: &View) -> doc::Publisher {
    let published = &view.published;
    let (others, topics) = (&published.others, &published.topics);
    let called = topics.iter().flat_map(|it| &it.called);
    let delivered = topics.iter().flat_map(|it| &it.partitions);
    doc::Publisher {
        called: called.chain(&others.called).sum(),
        delivered: delivered.map(|it| it.delivered).sum::<u64>() + others.delivered,
        failed: topics.iter().map(|it| it.failed).sum::<u64>() + others.failed,
        queue_records: published.queue_records,
        queue_bytes: published.queue_bytes,
        streams: published_streams(topics),
        streams_total: topics.len(),
    }
}

fn published_streams(topics: &[PublishedTopic]) -> Vec<doc::PublishedStream> {
    let mut streams: Vec<_> = topics
        .iter()
        .map(|it| doc::PublishedStream {
            stream: it.stream.as_str().to_owned(),
            schemas: it
                .schemas
                .iter()
                .take(SCHEMAS)
                .map(ToString::to_string)
                .collect(),
            called: it.called.iter().sum(),
            delivered: it.partitions.iter().map(|own| own.delivered).sum(),
            failed: it.failed,
            refused: it.refused.iter().cloned().collect(),
        })
        .collect();
    streams.sort_by_key(|it| {
        let refused: u64 = it.refused.values().sum();
        Reverse((it.failed + refused, it.delivered))
    });
    streams.truncate(STREAMS);
    streams
}

fn settings(view: &View) -> Vec<doc::Setting> {
    let shown = view.settings.iter().take(SETTINGS);
    shown
        .map(|it| doc::Setting {
            key: it.key.clone(),
            value: it.value.chars().take(VALUE).collect(),
            source: it.source.clone(),
        })
        .collect()
}

fn moment(point: &Point) -> doc::Moment {
    doc::Moment {
        seconds_ago: rounded(point.ago),
        finished: point.finished,
        lag_records: point.lag,
    }
}

fn rounded(span: Duration) -> f64 {
    (span.as_secs_f64() * 10.0).round() / 10.0
}

/// Whether an error of this kind says nothing of the message itself. What does not fit a schema is quoted there.
fn says_nothing(end: AttemptEnd) -> bool {
    end != AttemptEnd::Mismatch
}

/// The same of a dead letter's error.
fn quotes_nothing(reason: Reason) -> bool {
    !matches!(reason, Reason::Mismatch | Reason::NoEvent)
}

fn place(source: &Source) -> String {
    format!("{}[{}]", source.stream, source.partition)
}
