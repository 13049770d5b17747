//! Lag on mock clusters: where not every broker answers, and on the dev broker.

use std::time::{Duration, Instant};

use kafkaesk_client::{
    Settings,
    consumer::Start,
    core::{NextOffset, Source, TopicName},
    dev::DevBroker,
    lag::PartitionLag,
};
use rdkafka::{
    ClientConfig,
    mocking::MockCoordinator,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::support::{commits, content, open, read_contents, spec, stream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_does_not_answer_hides_its_own_partitions_alone() {
    let owner: BaseProducer = ClientConfig::new()
        .set("test.mock.num.brokers", "3")
        .create()
        .unwrap();
    let mock = owner.client().mock_cluster().unwrap();
    mock.create_topic("a", 3, 1).unwrap();
    let asked: Vec<_> = (0..3)
        .map(|partition| {
            mock.partition_leader("a", partition, Some(partition + 1))
                .unwrap();
            Source {
                topic: TopicName::new("a").unwrap(),
                stream: stream("a"),
                partition,
            }
        })
        .collect();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", mock.bootstrap_servers())
        .create()
        .unwrap();
    for partition in 0..3 {
        let record = BaseRecord::<(), str>::to("a").partition(partition);
        producer.send(record.payload("x")).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
    // The broker that is away coordinates no group of this test.
    mock.coordinator(MockCoordinator::Group("g".to_owned()), 1)
        .unwrap();
    let mut settings = Settings::new(&mock.bootstrap_servers());
    settings.connect_timeout = Duration::from_secs(3);
    let connection = open(&settings).await;
    let behind = async || {
        let lags = connection.lag_of("g", &asked).await.unwrap();
        lags.iter().map(PartitionLag::records).collect::<Vec<_>>()
    };
    assert_eq!(behind().await, [Some(1), Some(1), Some(1)]);
    mock.broker_round_trip_time(3, Duration::from_secs(60))
        .unwrap();
    let begun = Instant::now();
    assert_eq!(behind().await, [Some(1), Some(1), None]);
    assert!(begun.elapsed() < settings.connect_timeout * 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dev_broker_answers_as_well() {
    let broker = DevBroker::start("127.0.0.1:0").unwrap();
    let connection = open(&Settings::new(&broker.address().to_string())).await;
    let publisher = connection.publisher();
    for n in 0..3 {
        let publish = publisher.publish("content.a", &content(n.to_string()));
        publish.partition(1).await.unwrap();
    }
    let wanted = spec(Some("g"), "content.a", Start::Earliest);
    let mut consumer = connection.broker().consume(wanted).await.unwrap();
    let read = read_contents(&mut consumer, 3).await;
    let control = consumer.control();
    control.close(commits(&read[..1])).await.unwrap();
    let asked = [(*read[0].0.source).clone()];
    let lags = connection.lag_of("g", &asked).await.unwrap();
    assert_eq!(lags[0].committed, Some(NextOffset(1)));
    assert_eq!(lags[0].records(), Some(2));
}
