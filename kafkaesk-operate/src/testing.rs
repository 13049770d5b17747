//! What unit tests share: views made of plain data.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use kafkaesk_client::lag::Verdict;
use kafkaesk_core::{NextOffset, Source, StreamId, TopicName};
use kafkaesk_worker::snapshot::{
    AttemptEnd, Counts, HeldMessage, PartitionSnapshot, Snapshot, State, SubscriptionSnapshot,
    Unsettled,
};

use crate::{lag::Judged, view::View};

pub(crate) fn source(stream: &str, partition: i32) -> Arc<Source> {
    Arc::new(Source {
        topic: TopicName::new(format!("shop.{stream}")).unwrap(),
        stream: StreamId::new(stream).unwrap(),
        partition,
    })
}

/// A subscription of a group that runs, with a partition of each of these streams, three messages handled in each.
pub(crate) fn running(group: &str, streams: &[&str]) -> SubscriptionSnapshot {
    let mut it = SubscriptionSnapshot::new(group, group, "orders.*");
    it.state = State::Running;
    it.concurrency = 4;
    for stream in streams {
        let source = source(stream, 0);
        let mut own = PartitionSnapshot::new(source.clone(), SystemTime::now());
        own.position = Some(NextOffset(3));
        it.partitions.push(own);
        let mut counts = Counts::default();
        counts.attempts[0] = 3;
        counts.finished = 3;
        it.counts.push((source, counts));
    }
    it
}

/// The first message of the first partition failed for this long.
pub(crate) fn hold(it: &mut SubscriptionSnapshot, since: Duration) {
    let own = &mut it.partitions[0];
    own.first_unfinished = Some(Unsettled {
        offset: 3,
        timestamp: Some(0),
    });
    let held = HeldMessage {
        source: own.source.clone(),
        offset: 3,
        key: None,
        attempts: 17,
        since: SystemTime::now() - since,
        next: SystemTime::now(),
        end: AttemptEnd::Retry,
        error: Some("connection refused".into()),
        waiting: 0,
    };
    own.holding = Some(Box::new(held.clone()));
    it.held.push(held);
    it.held_total = 1;
}

/// A view of these subscriptions while all is well; nothing is known of their lag.
pub(crate) fn view(subscriptions: Vec<SubscriptionSnapshot>) -> View {
    let lags = subscriptions.iter().map(|it| {
        let judged = it.partitions.iter().map(|own| Judged {
            source: own.source.clone(),
            lag: None,
            verdict: Verdict::Unknown,
            age: None,
            sentence: String::new(),
            is_held: false,
        });
        judged.collect()
    });
    View {
        lags: lags.collect(),
        snapshot: Snapshot {
            expected: subscriptions.len(),
            subscriptions: subscriptions.into_iter().map(Arc::new).collect(),
            shutdown: None,
        },
        answered: Some(Duration::from_secs(1)),
        alive_within: Duration::from_secs(30),
        connected: true,
        ..View::default()
    }
}
