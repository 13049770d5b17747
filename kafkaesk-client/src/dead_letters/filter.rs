//! Filter: selects the dead letters of a command. Pure.

use kafkaesk_core::{DeadLetter, Offset, Pattern, Reason, TopicPrefix};

use super::Letter;

/// Which dead letters; all of them by default. Everything that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Their origin streams.
    pub stream: Option<Pattern>,
    /// A schema id, or a schema's name for all of its versions.
    pub schema: Option<String>,
    /// Why they were given up.
    pub reason: Option<Reason>,
    /// Written to the topic of dead letters at this time or later, in milliseconds since the Unix epoch.
    pub since: Option<i64>,
    /// Their key, as text.
    pub key: Option<String>,
    /// The one at this partition and offset of the topic of dead letters.
    pub place: Option<(i32, Offset)>,
}

impl Filter {
    /// Whether a letter matches. A letter without a known origin matches only if the filter has no condition on the
    /// origin.
    pub(super) fn takes(&self, letter: &Letter, prefix: &TopicPrefix) -> bool {
        let record = &letter.record;
        if let Some((partition, offset)) = self.place
            && (record.partition(), record.offset) != (partition, offset)
        {
            return false;
        }
        if let Some(since) = self.since
            && record.timestamp.is_none_or(|written| written < since)
        {
            return false;
        }
        if let Some(key) = &self.key
            && record.key() != Some(key.as_bytes())
        {
            return false;
        }
        match &letter.origin {
            Ok(origin) => self.takes_origin(origin, prefix),
            Err(_) => self.stream.is_none() && self.schema.is_none() && self.reason.is_none(),
        }
    }

    fn takes_origin(&self, origin: &DeadLetter, prefix: &TopicPrefix) -> bool {
        let stream = self.stream.as_ref();
        let schema = self.schema.as_deref();
        stream.is_none_or(|pattern| pattern.matches_topic(prefix, origin.topic.as_str()))
            && schema.is_none_or(|wanted| is_of(origin.schema.as_deref(), wanted))
            && self.reason.is_none_or(|reason| reason == origin.reason)
    }
}

/// Whether a schema id is the wanted one, or a version of the wanted name.
fn is_of(id: Option<&str>, wanted: &str) -> bool {
    id.is_some_and(|id| id == wanted || id.rsplit_once(':').is_some_and(|(name, _)| name == wanted))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use kafkaesk_core::{Headers, Record, Source, StreamId, TopicName};

    use super::*;

    fn letter() -> Letter {
        let origin = DeadLetter {
            topic: TopicName::new("shop.orders.placed").unwrap(),
            partition: 3,
            offset: Offset(42),
            timestamp: None,
            group: "billing".to_owned(),
            schema: Some("Order:1".to_owned()),
            reason: Reason::Rejected,
            error: String::new(),
            attempts: 1,
            first: None,
            last: None,
            redriven: 0,
        };
        Letter {
            record: Record {
                source: Arc::new(Source {
                    topic: TopicName::new("shop.__dead__billing").unwrap(),
                    stream: StreamId::new("x").unwrap(),
                    partition: 2,
                }),
                offset: Offset(7),
                timestamp: Some(1000),
                key: Some(Bytes::from_static(b"user-7")),
                headers: Headers::new(),
                value: None,
                unreadable: None,
            },
            origin: Ok(origin),
            settled: None,
        }
    }

    #[test]
    fn each_part_takes_its_letter_and_refuses_every_other() {
        let prefix = TopicPrefix::new("shop.").unwrap();
        let stream = |pattern| Filter {
            stream: Some(Pattern::new(pattern).unwrap()),
            ..Filter::default()
        };
        let schema = |schema: &str| Filter {
            schema: Some(schema.to_owned()),
            ..Filter::default()
        };
        let reason = |reason| Filter {
            reason: Some(reason),
            ..Filter::default()
        };
        let since = |since| Filter {
            since: Some(since),
            ..Filter::default()
        };
        let key = |key: &str| Filter {
            key: Some(key.to_owned()),
            ..Filter::default()
        };
        let place = |partition, offset| Filter {
            place: Some((partition, Offset(offset))),
            ..Filter::default()
        };
        for (filter, taken) in [
            (Filter::default(), true),
            (stream("orders.*"), true),
            (stream("orders"), false),
            (stream("shop.*"), false),
            (schema("Order"), true),
            (schema("Order:1"), true),
            (schema("Order:2"), false),
            (schema("Orde"), false),
            (reason(Reason::Rejected), true),
            (reason(Reason::Attempts), false),
            (since(1000), true),
            (since(1001), false),
            (key("user-7"), true),
            (key("user"), false),
            (place(2, 7), true),
            (place(7, 2), false),
            // The place among the dead letters, not the origin's.
            (place(3, 42), false),
        ] {
            assert_eq!(filter.takes(&letter(), &prefix), taken, "{filter:?}");
        }
    }

    #[test]
    fn what_has_no_origin_is_taken_where_none_is_asked_for() {
        let prefix = TopicPrefix::default();
        let foreign = Letter {
            origin: DeadLetter::read(&Headers::new()).map_err(Into::into),
            ..letter()
        };
        assert!(Filter::default().takes(&foreign, &prefix));
        for filter in [
            Filter {
                reason: Some(Reason::Rejected),
                ..Filter::default()
            },
            Filter {
                stream: Some(Pattern::new("*").unwrap()),
                ..Filter::default()
            },
        ] {
            assert!(!filter.takes(&foreign, &prefix));
        }
    }
}
