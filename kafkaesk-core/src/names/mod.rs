//! Names of streams, topics, prefixes and schemas, checked against Kafka's limits and the reserved words. Needs no
//! broker.

mod characters;
mod prefix;
mod schema;
mod stream;
mod topic;

pub(crate) use characters::is_name_character;
pub use characters::{MAX_TOPIC_BYTES, NameError};
pub use prefix::TopicPrefix;
pub use schema::SchemaName;
pub(crate) use schema::check_schema_name;
pub use stream::StreamId;
pub use topic::{
    BINDINGS_TOPIC, DEAD_TOPIC_MARK, RESERVED_WORDS, RETRY_TOPIC_MARK, SCHEMA_TOPIC_MARK,
    TopicName, collide, is_reserved_topic,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_never_reserved_by_the_seam_of_prefix_and_id() {
        let prefix = TopicPrefix::new("shop_").unwrap();
        for word in RESERVED_WORDS {
            let stream = StreamId::new(format!("{}x", &word[1..])).unwrap();
            assert!(matches!(
                prefix.topic(&stream),
                Err(NameError::ReservedTopic { .. })
            ));
            let error = TopicPrefix::new(format!("a{word}b")).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn the_length_is_counted_with_the_prefix() {
        let stream = StreamId::new("s".repeat(249)).unwrap();
        assert!(TopicPrefix::default().topic(&stream).is_ok());
        let error = TopicPrefix::new("a").unwrap().topic(&stream).unwrap_err();
        assert!(matches!(error, NameError::TooLong { bytes: 250, .. }));
    }

    #[test]
    fn a_topic_leads_back_to_its_stream_and_to_no_other_prefix() {
        let shop = TopicPrefix::new("shop.").unwrap();
        let stream = StreamId::new("orders.placed").unwrap();
        let topic = shop.topic(&stream).unwrap();
        assert_eq!(shop.stream_of(topic.as_str()), Some(stream));
        assert_eq!(shop.stream_of("shop.__schema__Order"), None);
        assert_eq!(shop.stream_of("shop.__streams__"), None);
        assert_eq!(shop.stream_of("other.orders"), None);
        for topic in [
            "shop.__streams__",
            "shop.__dead__billing",
            "shop.__retry__billing",
            "shop.__connect__orders",
        ] {
            assert_eq!(TopicPrefix::default().stream_of(topic), None);
        }
        assert_eq!(
            shop.schema_of("shop.__schema__Order").unwrap().as_str(),
            "Order"
        );
        assert_eq!(shop.schema_of("__schema__Order"), None);
    }

    #[test]
    fn a_group_has_a_topic_of_dead_letters_and_one_to_retry_from_or_a_name_that_kafka_refuses() {
        let shop = TopicPrefix::new("shop.").unwrap();
        assert_eq!(
            shop.dead_topic("billing").unwrap().as_str(),
            "shop.__dead__billing"
        );
        let retry = shop.retry_topic("billing").unwrap();
        assert_eq!(retry.as_str(), "shop.__retry__billing");
        // Consumers of the group read it; patterns never do.
        assert_eq!(
            shop.consumed_stream(retry.as_str()).unwrap().as_str(),
            "__retry__billing"
        );
        assert_eq!(shop.stream_of(retry.as_str()), None);
        assert!(shop.consumed_stream("shop.__dead__billing").is_some());
        assert_eq!(shop.consumed_stream("shop.__schema__Order"), None);
        for topic in ["__dead__billing", "shop.__schema__Order", "shop.orders"] {
            assert_eq!(shop.dead_group(topic), None);
        }
        assert_eq!(shop.dead_group("shop.__dead__billing"), Some("billing"));
        assert_eq!(shop.dead_group("shop.__dead__"), None);
        assert_eq!(shop.dead_group("shop.__retry__billing"), None);
        assert_eq!(shop.consumed_stream("other.__retry__billing"), None);
        for refused in ["", "a b", "a:b", &"g".repeat(240)] {
            assert!(shop.dead_topic(refused).is_err(), "{refused}");
            assert!(shop.retry_topic(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn names_that_differ_only_in_dot_and_underscore_collide() {
        assert!(collide("a.b_c", "a_b.c"));
        assert!(!collide("a.b", "a.b"));
        assert!(!collide("a.b", "a-b"));
    }

    #[test]
    fn prefixes_are_ambiguous_when_one_begins_the_other() {
        let prefix = |p: &str| TopicPrefix::new(p).unwrap();
        assert!(prefix("").is_ambiguous_with(&prefix("shop.")));
        assert!(prefix("shop").is_ambiguous_with(&prefix("shopping.")));
        assert!(!prefix("shop.").is_ambiguous_with(&prefix("shopping.")));
        assert!(!prefix("shop.").is_ambiguous_with(&prefix("shop.")));
    }
}
