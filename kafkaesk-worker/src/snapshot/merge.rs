//! Merge: the snapshots of a subscription's instances become one: counts are added, lists are joined. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use kafkaesk_core::Source;

use super::{Counts, State, SubscriptionSnapshot, TopicMeter, Waiting};
use crate::partitions::by_place;

/// One snapshot of all these instances, in the order of their start; `None` of none. The first one lives as long as the
/// subscription, so its place in life is that of the subscription. What is true of one of them alone, such as a pause, is that
/// of the first one of which it is true.
pub(crate) fn merge(
    parts: impl IntoIterator<Item = Arc<SubscriptionSnapshot>>,
) -> Option<Arc<SubscriptionSnapshot>> {
    let mut parts = parts.into_iter();
    let first = parts.next()?;
    let Some(second) = parts.next() else {
        return Some(first);
    };
    let mut all = Arc::unwrap_or_clone(first);
    for part in [second].into_iter().chain(parts) {
        add(&mut all, Arc::unwrap_or_clone(part));
    }
    Some(Arc::new(all))
}

fn add(to: &mut SubscriptionSnapshot, part: SubscriptionSnapshot) {
    // Every field has a line here, so that a new one is not forgotten.
    let SubscriptionSnapshot {
        group: _,
        name: _,
        pattern: _,
        taken,
        silent_for,
        thread_silent_for,
        state,
        instances,
        scaled_instances: _,
        wanted_processes: _,
        scaled_partitions: _,
        concurrency,
        scaled,
        running,
        oldest_running,
        stuck,
        apart,
        custody,
        oldest_in_custody,
        uncommitted,
        transaction_error,
        ready,
        backing_off,
        held_total,
        held,
        pause,
        pauses,
        throttle,
        partitions,
        counts,
        topics,
        dead_letters,
        recent_letters,
        refused,
        rebalanced,
        rebalances,
        errors,
        commits,
        busy,
    } = part;
    to.taken = to.taken.min(taken);
    if state != State::Ended {
        to.silent_for = to.silent_for.max(silent_for);
        to.thread_silent_for = to.thread_silent_for.max(thread_silent_for);
    }
    to.instances += instances;
    to.concurrency += concurrency;
    if to.scaled.is_none() {
        to.scaled = scaled;
    }
    to.running += running;
    to.oldest_running.extend(oldest_running);
    to.oldest_running.sort_by_key(|it| Reverse(it.age));
    to.oldest_running.truncate(SubscriptionSnapshot::LISTED);
    to.stuck += stuck;
    to.apart = to.apart.take().or(apart);
    to.custody += custody;
    to.oldest_in_custody = [to.oldest_in_custody.take(), oldest_in_custody]
        .into_iter()
        .flatten()
        .max_by_key(|it| it.age);
    to.uncommitted += uncommitted;
    to.transaction_error = to.transaction_error.take().or(transaction_error);
    sum(&mut to.ready, ready);
    sum(&mut to.backing_off, backing_off);
    to.held_total += held_total;
    to.held.extend(held);
    to.held.sort_by_key(|it| it.since);
    to.held.truncate(SubscriptionSnapshot::LISTED);
    to.pause = to.pause.take().or(pause);
    to.pauses += pauses;
    // Each instance starts so many.
    to.throttle = match (to.throttle, throttle) {
        (Some(own), Some(more)) => Some(own.saturating_add(more)),
        (own, more) => own.or(more),
    };
    to.partitions.extend(partitions);
    to.partitions.sort_by(|a, b| by_place(&a.source, &b.source));
    add_counts(&mut to.counts, counts);
    for (topic, meter) in topics {
        match to.topics.iter_mut().find(|(known, _)| *known == topic) {
            Some((_, known)) => add_meter(known, &meter),
            None => to.topics.push((topic, meter)),
        }
    }
    for (reason, count) in dead_letters {
        match to
            .dead_letters
            .iter_mut()
            .find(|(known, _)| *known == reason)
        {
            Some((_, known)) => *known += count,
            None => to.dead_letters.push((reason, count)),
        }
    }
    to.recent_letters.extend(recent_letters);
    to.recent_letters.sort_by_key(|it| Reverse(it.at));
    to.recent_letters.truncate(SubscriptionSnapshot::LETTERS);
    let mut all: BTreeMap<_, u64> = BTreeMap::new();
    for (topic, schema, count) in to.refused.drain(..).chain(refused) {
        *all.entry((topic, schema)).or_default() += count;
    }
    let all = all.into_iter();
    to.refused = all
        .map(|((topic, schema), count)| (topic, schema, count))
        .collect();
    to.rebalanced.assigned += rebalanced.assigned;
    to.rebalanced.revoked += rebalanced.revoked;
    to.rebalanced.lost += rebalanced.lost;
    to.rebalances.extend(rebalances);
    to.rebalances.sort_by_key(|it| Reverse(it.at));
    to.rebalances.truncate(SubscriptionSnapshot::RECENT);
    for error in errors {
        let known = to
            .errors
            .iter_mut()
            .find(|known| known.end == error.end && known.error == error.error);
        match known {
            Some(known) => {
                known.first = known.first.min(error.first);
                known.count += error.count;
                if error.last > known.last {
                    (known.source, known.offset) = (error.source, error.offset);
                    known.last = error.last;
                }
            }
            None => to.errors.push(error),
        }
    }
    to.errors.sort_by_key(|it| Reverse(it.last));
    to.errors.truncate(SubscriptionSnapshot::RECENT);
    to.commits += commits;
    to.busy += busy;
}

fn sum(to: &mut Waiting, more: Waiting) {
    to.records += more.records;
    to.bytes += more.bytes;
}

fn add_meter(to: &mut TopicMeter, more: &TopicMeter) {
    let TopicMeter {
        stream: _,
        elapsed,
        lead,
        batches,
    } = more;
    to.elapsed.add(elapsed);
    to.lead.add(lead);
    to.batches.add(batches);
}

/// A partition that moved between instances has counts in both.
fn add_counts(to: &mut Vec<(Arc<Source>, Counts)>, more: Vec<(Arc<Source>, Counts)>) {
    let places = to.iter().enumerate();
    let places: HashMap<Arc<Source>, usize> = places
        .map(|(at, (source, _))| (source.clone(), at))
        .collect();
    for (source, counts) in more {
        match places.get(&source) {
            Some(at) => to[*at].1.add(&counts),
            None => to.push((source, counts)),
        }
    }
    to.sort_by(|(a, _), (b, _)| by_place(a, b));
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::partitions::source;
    use crate::snapshot::{AttemptEnd, PartitionSnapshot, RecentError};

    fn part(partition: i32, finished: u64) -> SubscriptionSnapshot {
        let mut it = SubscriptionSnapshot::new("g", "g", "orders");
        let counts = Counts {
            finished,
            ..Counts::default()
        };
        it.counts = vec![(source(0), counts), (source(partition), counts)];
        it.partitions = vec![PartitionSnapshot::new(source(partition), SystemTime::now())];
        it.concurrency = 32;
        it.errors = vec![RecentError {
            error: "no".to_owned(),
            end: AttemptEnd::Retry,
            source: source(partition),
            offset: 1,
            first: SystemTime::UNIX_EPOCH + Duration::from_secs(finished),
            last: SystemTime::UNIX_EPOCH + Duration::from_secs(100 - finished),
            count: finished,
        }];
        it
    }

    #[test]
    fn one_instance_is_shown_as_it_is() {
        let one = Arc::new(part(1, 3));
        assert!(Arc::ptr_eq(&merge([one.clone()]).unwrap(), &one));
        assert!(merge([]).is_none());
    }

    #[test]
    fn counts_of_all_instances_are_added_and_each_partition_is_listed_once() {
        let ended = SubscriptionSnapshot {
            state: State::Ended,
            instances: 0,
            concurrency: 0,
            partitions: Vec::new(),
            silent_for: Duration::from_secs(3600),
            ..part(2, 5)
        };
        let parts = [part(2, 3), part(1, 4), ended].map(Arc::new);
        let all = merge(parts).unwrap();
        let counts = all.counts.iter();
        let counts: Vec<_> = counts
            .map(|(source, it)| (source.partition, it.finished))
            .collect();
        assert_eq!(counts, [(0, 12), (1, 4), (2, 8)]);
        let partitions: Vec<_> = all
            .partitions
            .iter()
            .map(|it| it.source.partition)
            .collect();
        assert_eq!(partitions, [1, 2]);
        assert_eq!((all.instances, all.concurrency), (2, 64));
        assert_eq!(
            all.silent_for,
            Duration::ZERO,
            "an instance that ended says nothing"
        );
        let [error] = all.errors.as_slice() else {
            panic!("{:?}", all.errors);
        };
        assert_eq!((error.count, error.source.partition), (12, 2));
    }
}
