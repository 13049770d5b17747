//! A group whose partitions the brokers assign (KIP-848) is seen as any other.

use std::{collections::BTreeMap, time::Duration};

use kafkaesk_client::{
    consumer::Start,
    core::{NextOffset, TopicName},
    testing,
};

use crate::support::{connect, content, read_contents, spec};

#[tokio::test]
async fn the_members_and_topics_of_a_group_are_seen_whichever_protocol_it_has() {
    for protocol in ["classic", "consumer"] {
        let kafka = testing::kafka().await;
        let connection = connect(&kafka).await;
        let publisher = connection.publisher();
        publisher.publish("content.a", &content("a")).await.unwrap();
        publisher.publish("content.b", &content("b")).await.unwrap();
        let topic = |name| TopicName::new(format!("{}{name}", kafka.prefix())).unwrap();
        let (a, b) = (topic("content.a"), topic("content.b"));

        let group = format!("{}group", kafka.prefix());
        let mut wanted = spec(Some(&group), "content.a", Start::Earliest);
        let settings = &mut wanted.kafka_settings;
        settings.insert("group.protocol".into(), protocol.into());
        let broker = connection.broker();
        let mut consumer = broker.consume(wanted).await.unwrap();
        read_contents(&mut consumer, 1).await;

        assert_eq!(
            broker.readers(&a).await.unwrap(),
            BTreeMap::from([(group.clone(), 1)]),
            "{protocol}"
        );
        let of_other = broker.readers(&b).await.unwrap();
        assert_eq!(of_other, BTreeMap::new(), "{protocol}");
        let position = broker.group_position(&group, &a, 0).await.unwrap();
        assert_eq!(position.members.len(), 1, "{protocol}");
        assert!(position.members[0].contains("kafkaesk"), "{position:?}");
        let moved = broker.move_group(&group, &a, 0, NextOffset(0)).await;
        let error = moved.unwrap_err().to_string();
        assert!(error.contains(&position.members[0]), "{protocol}: {error}");

        drop(consumer);
        let gone = async {
            while !broker.readers(&a).await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(15), gone)
            .await
            .expect("a group without members reads nothing");
        let position = broker.group_position(&group, &a, 0).await.unwrap();
        assert!(position.members.is_empty(), "{protocol}: {position:?}");
        let moved = broker.move_group(&group, &a, 0, NextOffset(0)).await;
        moved.unwrap_or_else(|error| panic!("{protocol}: {error}"));
    }
}
