//! The bookkeeping on a real broker: one verdict for everybody, whatever races.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafkaesk_client::{
    ClientError, Connection, Settings,
    broker::{Broker, TopicSpec},
    catalog::{Pushed, StreamSpec},
    core::{Headers, SchemaName, TopicName, TopicPrefix},
    memory::MemoryBroker,
    schema::EventSchema,
    testing,
};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    producer::{BaseProducer, BaseRecord, Producer},
};

use crate::support::{Content, connect, document, id, open, stream, topics};

/// How long anything of Kafka may take before its test has failed.
const TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_writers_racing_with_different_documents_end_with_one_winner_and_nine_refusals() {
    let kafka = testing::kafka().await;
    let settings = kafka.settings();
    let mut tasks = Vec::new();
    for n in 0..10 {
        let settings = settings.clone();
        tasks.push(tokio::spawn(async move {
            let connection = open(&settings).await;
            let own = document(&format!(r#"{{"type":"object","maxProperties":{n}}}"#));
            let pushed = connection.catalog().push(&id("Race:1"), &own).await;
            let stored = connection.catalog().schema(&id("Race:1")).await.unwrap();
            (pushed, stored.document.identity())
        }));
    }
    let mut winners = 0;
    let mut identities = Vec::new();
    for task in tasks {
        let (pushed, identity) = task.await.unwrap();
        match pushed {
            Ok(Pushed::New) => winners += 1,
            Err(ClientError::SchemaConflict { diff, .. }) => {
                assert!(diff.contains("maxProperties"), "{diff}");
            }
            other => panic!("{other:?}"),
        }
        identities.push(identity);
    }
    assert_eq!(winners, 1);
    identities.dedup();
    assert_eq!(identities.len(), 1, "readers disagree");
}

/// A valid document of at least so many bytes.
fn long_document(bytes: usize) -> kafkaesk_client::schema::Document {
    let description = "x".repeat(bytes);
    document(&format!(
        r#"{{"type":"object","description":"{description}"}}"#
    ))
}

/// A long document gets room when its topic is created; a topic without room is named before anything is written.
async fn a_long_document_has_room_or_is_refused_before_anything_is_written(connection: Connection) {
    let catalog = connection.catalog();
    let long = long_document(1_400_000);
    assert_eq!(
        catalog.push(&id("Long:1"), &long).await.unwrap(),
        Pushed::New
    );
    let stored = catalog.schema(&id("Long:1")).await.unwrap();
    assert!(stored.document.same_as(&long));
    let short = document(r#"{"type":"object"}"#);
    assert_eq!(
        catalog.push(&id("Short:1"), &short).await.unwrap(),
        Pushed::New
    );
    for attempt in [
        catalog.plan_push(&id("Short:2"), &long).await,
        catalog.push(&id("Short:2"), &long).await,
    ] {
        let error = attempt.unwrap_err();
        assert!(
            matches!(error, ClientError::SchemaTooLarge { .. }),
            "{error}"
        );
        let text = error.to_string();
        for part in [
            "Short:2",
            "__schema__Short",
            "max.message.bytes",
            "message.max.bytes",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
    assert_eq!(
        catalog
            .log(id("Short:1").name())
            .await
            .unwrap()
            .versions
            .len(),
        1
    );
}

#[tokio::test]
async fn a_long_document_has_room_or_is_refused_before_anything_is_written_on_kafka() {
    let kafka = testing::kafka().await;
    a_long_document_has_room_or_is_refused_before_anything_is_written(connect(&kafka).await).await;
}

#[tokio::test]
async fn a_long_document_has_room_or_is_refused_before_anything_is_written_in_memory() {
    let connection = Connection::in_memory(Settings::new("memory"));
    a_long_document_has_room_or_is_refused_before_anything_is_written(connection).await;
}

#[tokio::test]
async fn a_version_once_stored_never_changes() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let catalog = connection.catalog();
    let first = document(r#"{"type":"object","required":["a"]}"#);
    assert_eq!(
        catalog.plan_push(&id("S:1"), &first).await.unwrap(),
        Pushed::New
    );
    assert!(topics(&kafka).is_empty(), "planning wrote something");
    assert_eq!(catalog.push(&id("S:1"), &first).await.unwrap(), Pushed::New);
    let again = document("{ \"required\": [\"a\"],\n \"type\": \"object\" }");
    assert_eq!(
        catalog.push(&id("S:1"), &again).await.unwrap(),
        Pushed::Unchanged
    );
    let other = document(r#"{"type":"object","required":["b"]}"#);
    let text = catalog
        .push(&id("S:1"), &other)
        .await
        .unwrap_err()
        .to_string();
    assert!(text.contains("schemas are constant"), "{text}");
    assert!(text.contains("required"), "{text}");
    assert_eq!(catalog.push(&id("S:2"), &other).await.unwrap(), Pushed::New);
    assert_eq!(
        catalog.schema_names().await.unwrap(),
        [SchemaName::new("S").unwrap()]
    );
    let log = catalog.log(&SchemaName::new("S").unwrap()).await.unwrap();
    assert_eq!(log.versions.keys().copied().collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_schema_log_is_kept_whole_by_its_topic() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    connection
        .catalog()
        .push(&id("Kept:1"), &document("true"))
        .await
        .unwrap();
    let topic = kafka
        .settings()
        .topic_prefix
        .schema_topic(&SchemaName::new("Kept").unwrap())
        .unwrap();
    let config = connection
        .broker()
        .topic_config(&topic)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(config["cleanup.policy"], "delete");
    assert_eq!(config["retention.ms"], "-1");
    assert_eq!(config["retention.bytes"], "-1");
    assert_eq!(config["unclean.leader.election.enable"], "false");
    let cluster = connection.broker().cluster().await.unwrap();
    assert_eq!(cluster.topics[topic.as_str()].partitions, 1);
}

#[tokio::test]
async fn an_aborted_transaction_does_not_count() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let catalog = connection.catalog();
    let topic = format!("{}__schema__Txn", kafka.prefix());
    // The log's topic comes with another version.
    catalog.push(&id("Txn:9"), &document("true")).await.unwrap();
    tokio::task::spawn_blocking(Transaction::open(
        &kafka,
        &topic,
        "1",
        r#"{"maxProperties":1}"#,
    ))
    .await
    .unwrap()
    .abort();
    let mine = document(r#"{"maxProperties":2}"#);
    assert_eq!(
        catalog.push(&id("Txn:1"), &mine).await.unwrap(),
        Pushed::New
    );
    let stored = catalog.schema(&id("Txn:1")).await.unwrap();
    assert!(stored.document.same_as(&mine));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_waits_for_an_open_transaction_and_is_the_logs() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let catalog = connection.catalog();
    catalog
        .push(&id("Held:9"), &document("true"))
        .await
        .unwrap();
    let topic = format!("{}__schema__Held", kafka.prefix());
    let foreign = Transaction::open(&kafka, &topic, "1", r#"{"maxProperties":1}"#);
    let foreign = tokio::task::spawn_blocking(foreign).await.unwrap();
    let mine = document(r#"{"maxProperties":2}"#);
    let version = id("Held:1");
    let pushing = catalog.push(&version, &mine);
    let ending = async {
        wait_for_records(&kafka, &topic, 3).await;
        tokio::task::spawn_blocking(|| foreign.commit())
            .await
            .unwrap();
    };
    let (pushed, ()) = tokio::join!(pushing, ending);
    let error = pushed.unwrap_err();
    assert!(
        matches!(error, ClientError::SchemaConflict { .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_stays_open_leaves_the_outcome_unknown() {
    let kafka = testing::kafka().await;
    // With its own connect-timeout, which bounds every question as well: a short one fails on a busy machine.
    let connection = connect(&kafka).await;
    let catalog = connection.catalog();
    let mine = document(r#"{"maxProperties":2}"#);
    catalog.push(&id("Held:9"), &mine).await.unwrap();
    let topic = format!("{}__schema__Held", kafka.prefix());
    let foreign = Transaction::open(&kafka, &topic, "8", "true");
    let foreign = tokio::task::spawn_blocking(foreign).await.unwrap();
    let text = catalog
        .push(&id("Held:1"), &mine)
        .await
        .unwrap_err()
        .to_string();
    assert!(text.contains("a transaction of another program"), "{text}");
    assert!(text.contains("unknown"), "{text}");
    // Nobody else waits: what is stable is read.
    assert!(catalog.schema(&id("Held:9")).await.is_ok());
    tokio::task::spawn_blocking(|| foreign.abort())
        .await
        .unwrap();
    // The coordinator answers before the mark is in the log.
    let name = SchemaName::new("Held").unwrap();
    let begun = Instant::now();
    while !catalog.log(&name).await.unwrap().versions.contains_key(&1) {
        assert!(begun.elapsed() < TIMEOUT);
    }
    assert_eq!(
        catalog.push(&id("Held:1"), &mine).await.unwrap(),
        Pushed::Unchanged
    );
}

#[tokio::test]
async fn asking_creates_nothing() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let catalog = connection.catalog();
    assert!(catalog.schema(&id("Nowhere:1")).await.is_err());
    assert!(
        catalog
            .log(&SchemaName::new("Nowhere").unwrap())
            .await
            .unwrap()
            .versions
            .is_empty()
    );
    assert!(catalog.bindings().await.unwrap().streams.is_empty());
    let spec = StreamSpec::new(stream("nothing.here"));
    assert!(catalog.plan_stream(&spec).await.unwrap().created);
    let topic = kafka
        .settings()
        .topic_prefix
        .topic(&stream("nothing.here"))
        .unwrap();
    assert!(
        connection
            .broker()
            .last_value(&topic)
            .await
            .unwrap()
            .is_none()
    );
    // Brokers create one topic after the other: what looking had created would be there before this one.
    let fence = create_foreign(&kafka, "Fence", 1, ("cleanup.policy", "compact")).await;
    assert_eq!(topics(&kafka), [fence.to_string()]);
}

/// Foreign records cost the reader no memory, and what counts has a bound.
#[tokio::test]
async fn a_log_that_keeps_too_much_is_refused_and_one_full_of_garbage_is_not() {
    let memory = Arc::new(MemoryBroker::default());
    let mut settings = Settings::new("memory");
    settings.topic_prefix = TopicPrefix::new("").unwrap();
    let connection = Connection::with_broker(settings, memory.clone());
    let name = SchemaName::new("Big").unwrap();
    let topic = TopicName::new("__schema__Big").unwrap();
    let append = |key: String, value: Bytes| {
        memory
            .append_raw(&topic, Some(key.into()), Some(value), Headers::new())
            .unwrap();
    };
    let create = TopicSpec {
        topic: topic.clone(),
        partitions: 1,
        replication_factor: 1,
        config: BTreeMap::new(),
    };
    memory.create_topic(&create).await.unwrap();
    let padding = "x".repeat(900_000);
    for _ in 0..100 {
        append("junk".into(), Bytes::from(padding.clone()));
    }
    append("1".into(), Bytes::from_static(b"{}"));
    let log = connection.catalog().log(&name).await.unwrap();
    assert_eq!((log.versions.len(), log.ignored.len()), (1, 100));

    let document = Bytes::from(format!("{{\"title\":\"{padding}\"}}"));
    for version in 2..=80 {
        append(version.to_string(), document.clone());
    }
    let error = connection.catalog().log(&name).await.unwrap_err();
    assert!(matches!(error, ClientError::LogTooLarge { .. }), "{error}");
    assert!(error.to_string().contains("__schema__Big"), "{error}");
}

#[tokio::test]
async fn many_streams_are_created_and_bound_together_each_with_its_own_answer() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let catalog = connection.catalog();
    let schema = SchemaName::new("Order").unwrap();
    let mut specs: Vec<StreamSpec> = (0..60)
        .map(|n| StreamSpec::new(stream(&format!("many.{n}"))))
        .collect();
    for spec in &mut specs {
        spec.schema = Some(schema.clone());
        spec.partitions = Some(1);
    }
    // One that the brokers refuse, in the midst of others.
    specs[7].config.insert("retention.ms".into(), "soon".into());
    let outcomes = catalog.ensure_streams(&specs).await.unwrap();
    assert_eq!(outcomes.len(), 60);
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(outcome) => assert!(outcome.created && outcome.bound && index != 7),
            Err(error) => {
                assert_eq!(index, 7, "{error}");
                assert!(error.to_string().contains("retention.ms=soon"), "{error}");
            }
        }
    }
    let bindings = connect(&kafka).await.catalog().bindings().await.unwrap();
    assert_eq!(bindings.streams.len(), 59);
    assert!(bindings.ignored.is_empty());
}

#[tokio::test]
async fn a_declared_stream_is_created_as_declared_and_never_altered() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let catalog = connection.catalog();
    let mut spec = StreamSpec::new(stream("orders.placed"));
    spec.schema = Some(SchemaName::new("Order").unwrap());
    spec.partitions = Some(12);
    spec.retention = Some(Duration::from_secs(7 * 86_400));
    let outcome = catalog.ensure_stream(&spec).await.unwrap();
    assert!(outcome.created && outcome.bound && outcome.warnings.is_empty());
    assert_eq!(outcome.partitions, 12);
    let config = connection
        .broker()
        .topic_config(&outcome.topic)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(config["retention.ms"], "604800000");

    spec.partitions = Some(3);
    spec.retention = Some(Duration::from_secs(86_400));
    let outcome = catalog.ensure_stream(&spec).await.unwrap();
    assert!(!outcome.created && !outcome.bound);
    assert_eq!(outcome.warnings.len(), 2, "{:?}", outcome.warnings);
    assert!(
        outcome.warnings[0].contains("partitions 12, 3"),
        "{:?}",
        outcome.warnings
    );
    assert!(
        outcome.warnings[1].contains("retention 7d, 1d"),
        "{:?}",
        outcome.warnings
    );
    let cluster = connection.broker().cluster().await.unwrap();
    assert_eq!(cluster.topics[outcome.topic.as_str()].partitions, 12);

    spec.schema = Some(SchemaName::new("Other").unwrap());
    let error = catalog.plan_stream(&spec).await.unwrap_err();
    assert!(
        matches!(error, ClientError::BoundElsewhere { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn names_that_differ_only_in_dots_and_underscores_are_refused_naming_both() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let catalog = connection.catalog();
    catalog
        .ensure_stream(&StreamSpec::new(stream("a.b")))
        .await
        .unwrap();
    let text = catalog
        .ensure_stream(&StreamSpec::new(stream("a_b")))
        .await
        .unwrap_err()
        .to_string();
    assert!(text.contains(&format!("{}a_b", kafka.prefix())), "{text}");
    assert!(text.contains(&format!("{}a.b", kafka.prefix())), "{text}");
    assert!(text.ends_with("choose another stream id"), "{text}");
}

#[tokio::test]
async fn a_plan_refuses_what_the_push_would_refuse() {
    let kafka = testing::kafka().await;
    let catalog = connect(&kafka).await;
    let catalog = catalog.catalog();
    let any = document("true");
    catalog.push(&id("C.d:1"), &any).await.unwrap();
    let collision = catalog.plan_push(&id("C_d:1"), &any).await.unwrap_err();
    let text = collision.to_string();
    assert!(matches!(collision, ClientError::Collision { .. }), "{text}");
    assert!(text.ends_with("choose another schema name"), "{text}");

    // Empty, so no version gives it away.
    create_foreign(&kafka, "Compacted", 1, ("cleanup.policy", "compact")).await;
    let settings = catalog.plan_push(&id("Compacted:1"), &any).await;
    let text = settings.unwrap_err().to_string();
    assert!(text.contains("cleanup.policy=compact"), "{text}");

    let mut spec = StreamSpec::new(stream("bogus"));
    spec.config = [("bogus.x", "2000"), ("max.message.bytes", "2000")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let planned = catalog.plan_stream(&spec).await.unwrap_err().to_string();
    assert!(planned.contains("with bogus.x=2000:"), "{planned}");
    let written = catalog.ensure_stream(&spec).await.unwrap_err().to_string();
    assert_eq!(planned, written);

    create_foreign(&kafka, "Split", 4, ("cleanup.policy", "delete")).await;
    let partitions = catalog.plan_push(&id("Split:1"), &any).await;
    let text = partitions.unwrap_err().to_string();
    assert!(text.contains("partitions=4"), "{text}");
    assert!(
        text.contains("needs retention.ms=-1, partitions=1"),
        "{text}"
    );
}

#[tokio::test]
async fn registering_stores_absent_versions_and_takes_present_ones_as_the_law() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let schema = EventSchema::of::<Content>().unwrap();
    connection
        .catalog()
        .register(std::slice::from_ref(&schema))
        .await
        .unwrap();
    assert!(topics(&kafka).contains(&format!("{}content.declared", kafka.prefix())));

    let mut other = schema;
    other.document = document(r#"{"type":"object"}"#);
    // A difference is a warning …
    let fresh = connect(&kafka).await;
    fresh.catalog().register(&[other.clone()]).await.unwrap();
    // … or, strict, an error.
    let mut settings = kafka.settings();
    settings.strict = true;
    settings.topic_prefix = connection.settings().topic_prefix.clone();
    let error = open(&settings)
        .await
        .catalog()
        .register(&[other])
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::SchemaConflict { .. }),
        "{error}"
    );
}

/// An open transaction of a client that is not ours, with one record in it.
struct Transaction(BaseProducer);

impl Transaction {
    /// Opens one when called; that blocks.
    fn open(
        kafka: &testing::TestKafka,
        topic: &str,
        key: &'static str,
        value: &'static str,
    ) -> impl FnOnce() -> Self + use<> {
        let (servers, id, topic) = (
            kafka.servers().to_owned(),
            kafka.prefix().to_owned(),
            topic.to_owned(),
        );
        move || {
            let producer: BaseProducer = ClientConfig::new()
                .set("bootstrap.servers", servers)
                .set("transactional.id", id)
                .create()
                .unwrap();
            producer.init_transactions(TIMEOUT).unwrap();
            producer.begin_transaction().unwrap();
            producer
                .send(BaseRecord::to(&topic).key(key).payload(value))
                .unwrap();
            producer.flush(TIMEOUT).unwrap();
            Self(producer)
        }
    }

    fn commit(self) {
        self.0.commit_transaction(TIMEOUT).unwrap();
    }

    fn abort(self) {
        self.0.abort_transaction(TIMEOUT).unwrap();
    }
}

/// Waits until partition 0 holds so many records, open transactions included.
async fn wait_for_records(kafka: &testing::TestKafka, topic: &str, count: i64) {
    let (servers, topic) = (kafka.servers().to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        let asking: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("isolation.level", "read_uncommitted")
            .create()
            .unwrap();
        let started = Instant::now();
        while asking.fetch_watermarks(&topic, 0, TIMEOUT).unwrap().1 < count {
            assert!(started.elapsed() < TIMEOUT, "{count} records never came");
        }
    })
    .await
    .unwrap();
}

/// A schema's log as somebody else made it.
async fn create_foreign(
    kafka: &testing::TestKafka,
    name: &str,
    partitions: u32,
    (setting, value): (&str, &str),
) -> TopicName {
    let topic = TopicName::new(format!("{}__schema__{name}", kafka.prefix())).unwrap();
    let spec = TopicSpec {
        topic: topic.clone(),
        partitions,
        replication_factor: 1,
        config: [(setting.to_owned(), value.to_owned())].into(),
    };
    let connection = connect(kafka).await;
    assert!(connection.broker().create_topic(&spec).await.unwrap());
    topic
}
