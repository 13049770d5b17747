//! What a connection says of its questions to the brokers.

use std::{collections::BTreeMap, time::Duration};

use kafkaesk_client::{
    Connection, Settings,
    broker::TopicSpec,
    consumer::Start,
    dev::DevBroker,
    meter::{ActionKind, PublishEnd},
    testing,
};

use crate::support::{commits, connect, content, open, read_contents, spec};

/// Questions that were answered, and that failed.
fn asked(connection: &Connection, kind: ActionKind) -> (u64, u64) {
    let shown = &connection.published().actions[kind as usize];
    assert_eq!(shown.kind, kind);
    assert_eq!(shown.time.count(), shown.ok + shown.failed);
    (shown.ok, shown.failed)
}

#[tokio::test]
async fn each_question_is_counted_once_by_its_kind_and_its_end() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let broker = connection.broker();
    assert_eq!(
        asked(&connection, ActionKind::Metadata),
        (1, 0),
        "connecting"
    );
    broker.cluster().await.unwrap();
    assert_eq!(asked(&connection, ActionKind::Metadata), (2, 0));
    let prefix = &kafka.settings().topic_prefix;
    let mut wanted = TopicSpec {
        topic: prefix.topic(&crate::support::stream("a")).unwrap(),
        partitions: 1,
        replication_factor: 1,
        config: BTreeMap::new(),
    };
    broker.create_topic(&wanted).await.unwrap();
    wanted.topic = prefix.topic(&crate::support::stream("b")).unwrap();
    wanted.config.insert("no.such.setting".into(), "1".into());
    broker.create_topic(&wanted).await.unwrap_err();
    assert_eq!(asked(&connection, ActionKind::CreateTopics), (1, 1));
    broker.flush(Duration::from_secs(1)).await.unwrap();
    let once = [
        ActionKind::CreateTopics,
        ActionKind::Flush,
        ActionKind::Metadata,
    ];
    for kind in ActionKind::ALL {
        if !once.contains(&kind) {
            assert_eq!(asked(&connection, kind), (0, 0), "{kind:?}");
        }
    }
    assert_eq!(asked(&connection, ActionKind::Flush), (1, 0));
}

#[tokio::test]
async fn a_members_commits_are_counted_when_they_are_answered() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    connection
        .publisher()
        .publish("content.a", &content("x"))
        .await
        .unwrap();
    let group = format!("{}group", kafka.prefix());
    let wanted = spec(Some(&group), "content.a", Start::Earliest);
    let mut consumer = connection.broker().consume(wanted).await.unwrap();
    let read = read_contents(&mut consumer, 1).await;
    assert_eq!(asked(&connection, ActionKind::StartConsumer), (1, 0));
    consumer.control().commit(commits(&read));
    while asked(&connection, ActionKind::Commit) != (1, 0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The same once more, as the last commit of a member that leaves.
    let closed = consumer.control();
    let closed = closed.close(commits(&read));
    closed.await.unwrap();
    assert_eq!(asked(&connection, ActionKind::Commit), (2, 0));
}

#[tokio::test]
async fn publishes_to_the_dev_broker_are_counted_as_their_receipts_say() {
    let broker = DevBroker::start("127.0.0.1:0").unwrap();
    let connection = open(&Settings::new(&broker.address().to_string())).await;
    let publisher = connection.publisher();
    let mut last = None;
    for _ in 0..20 {
        let publish = publisher.publish("content.a", &content("x")).key("k");
        last = Some(publish.await.unwrap());
    }
    let (last, shown) = (last.unwrap(), connection.published());
    assert_eq!(shown.topics[0].called[PublishEnd::Accepted as usize], 20);
    assert_eq!(shown.topics[0].partitions.len(), 1);
    let partition = &shown.topics[0].partitions[0];
    assert_eq!(
        (partition.partition, partition.delivered),
        (last.partition, 20)
    );
    assert_eq!(partition.offset, last.offset);
    assert_eq!(asked(&connection, ActionKind::CreateTopics).1, 0);
    assert_eq!(shown.brokers_up, Some(true));
}

#[tokio::test]
async fn nobody_is_asked_where_the_broker_is_in_memory() {
    let connection = Connection::in_memory(Settings::default());
    connection
        .publisher()
        .publish("content.a", &content("x"))
        .await
        .unwrap();
    let shown = connection.published();
    assert_eq!(shown.topics.len(), 1);
    assert!(shown.actions.is_empty());
    assert_eq!((shown.brokers_up, shown.last_answer), (None, None));
}
