//! Routes: finds the subscription that handles a record. It is the instance's own, except for a redriven message: that
//! goes to the subscription of its group whose pattern matches the original stream.
//!
//! Next: `instance/attempts.rs` runs its handler.

use std::sync::Arc;

use kafkaesk_core::{DeadLetter, Pattern, Record, Source, TopicName};

use crate::{BatchOptions, context::Context, delivery::Delivery, options::Commit};

/// The subscriptions of one group.
#[derive(Debug)]
pub(crate) struct Routes {
    /// The group's retry topic, if this instance reads it.
    retry_topic: Option<TopicName>,
    /// All subscriptions of the group in this process.
    group: Vec<(Pattern, Arc<Context>)>,
}

/// Where a record of the retry topic goes.
#[derive(Debug)]
pub(crate) enum Route {
    /// To a handler.
    Handler(Delivery),
    /// Back to the dead letters, for this reason.
    Unroutable(Delivery, String),
}

impl Routes {
    /// Of an instance that reads the group's retry topic, or of one that does not.
    pub(crate) fn new(retry_topic: Option<TopicName>, group: Vec<(Pattern, Arc<Context>)>) -> Self {
        Self { retry_topic, group }
    }

    /// Whether one of them commits by hand.
    pub(crate) fn commit_manually(&self) -> bool {
        let mut group = self.group.iter();
        group.any(|(_, context)| context.options.commit == Commit::Manual)
    }

    /// How the instance makes transactions, if its own subscription works in them, or one whose redriven messages it handles.
    pub(crate) fn transactions(&self, own: &Context) -> Option<BatchOptions> {
        let batch = |context: &Context| context.options.batch.filter(|it| it.transaction);
        let mut group = self.group.iter().filter(|_| self.retry_topic.is_some());
        batch(own).or_else(|| group.find_map(|(_, context)| batch(context)))
    }

    /// Whether this is a partition of the retry topic.
    pub(crate) fn is_retry(&self, source: &Source) -> bool {
        self.retry_topic.as_ref() == Some(&source.topic)
    }

    /// Turns a record of the retry topic into the original message. `own`: the instance's own subscription, if no other
    /// matches.
    pub(crate) fn of(&self, record: Record, own: &Arc<Context>) -> Route {
        let letter = match DeadLetter::read(&record.headers) {
            Ok(letter) => letter,
            Err(error) => {
                let why = format!("a record of the retry topic that no redrive wrote: {error}");
                return Route::Unroutable(Delivery::new(record, own.clone()), why);
            }
        };
        let prefix = &own.connection.settings().topic_prefix;
        let stream = prefix.stream_of(letter.topic.as_str());
        let matching = stream.as_ref().and_then(|stream| {
            let mut group = self.group.iter();
            group.find(|(pattern, _)| pattern.matches(stream.as_str()))
        });
        let (place, own_stream) = (record.offset, record.source.stream.clone());
        let origin = Record {
            source: Arc::new(Source {
                topic: letter.topic.clone(),
                stream: stream.unwrap_or(own_stream),
                partition: letter.partition,
            }),
            offset: letter.offset,
            timestamp: letter.timestamp,
            ..record
        };
        match matching {
            Some((_, context)) => {
                Route::Handler(Delivery::redriven(origin, place, letter, context.clone()))
            }
            None => {
                let why = format!(
                    "no subscription of group {} in this worker takes topic {}",
                    own.group, letter.topic
                );
                Route::Unroutable(Delivery::redriven(origin, place, letter, own.clone()), why)
            }
        }
    }
}
