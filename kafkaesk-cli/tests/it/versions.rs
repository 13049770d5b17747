//! Versions: what version 0.1 wrote, every later version reads: its configuration, and its logs in Kafka.

use std::{collections::BTreeMap, fs, path::PathBuf};

use bytes::Bytes;
use kafkaesk_client::{Connection, broker::TopicSpec, core::TopicName, testing::kafka};
use serde_json::{Value, json};

use crate::support::Project;

fn file(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/versions/0.1");
    PathBuf::from(folder).join(name)
}

fn lines(name: &str) -> Vec<Value> {
    values(&fs::read_to_string(file(name)).unwrap())
}

fn values(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_later_version_reads_the_configuration_of_version_0_1() {
    let project = Project::new();
    for name in [
        "kafkaesk.toml",
        "schemas/Order.1.json",
        "schemas/Order.2.json",
        "schemas/account.json",
    ] {
        project.file(name, fs::read(file(name)).unwrap());
    }
    let mut command = project.command(&["config", "show", "--output", "json"]);
    let output = command
        // The tests' own number would beat the file's.
        .env_remove("KAFKAESK_DEAD_LETTER_PARTITIONS")
        .env("FIXTURE_TOKEN", "fixture-token")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let folder = project.path().canonicalize().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let shown = shown.replace(folder.to_str().unwrap(), ".");
    let shown = values(&shown);
    for wanted in lines("config.ndjson") {
        assert!(shown.contains(&wanted), "{wanted} is missing in {shown:#?}");
    }
    assert!(!said.contains("WARN"), "{said}");
}

#[tokio::test]
async fn every_later_version_reads_the_logs_of_version_0_1() {
    let kafka = kafka().await;
    let connection = Connection::open(&kafka.settings()).await.unwrap();
    let topic = |name: &str| TopicName::new(format!("{}{name}", kafka.prefix())).unwrap();
    let mut logs: BTreeMap<String, Vec<(Bytes, Bytes)>> = BTreeMap::new();
    for record in lines("logs.ndjson") {
        let text = |member: &str| record[member].as_str().unwrap().to_owned();
        let log = logs.entry(text("topic")).or_default();
        log.push((text("key").into(), text("value").into()));
    }
    let streams = ["orders.placed", "accounts.opened", "audit.written"];
    for name in logs.keys().map(String::as_str).chain(streams) {
        let mut config = BTreeMap::new();
        if logs.contains_key(name) {
            config.insert("retention.ms".to_owned(), "-1".to_owned());
        }
        let spec = TopicSpec {
            topic: topic(name),
            partitions: 1,
            replication_factor: 1,
            config,
        };
        assert!(connection.broker().create_topic(&spec).await.unwrap());
    }
    for (name, records) in logs {
        connection
            .broker()
            .append_log(&topic(&name), records)
            .await
            .unwrap();
    }

    let project = Project::on(&kafka);
    let schemas = project
        .run(&["schema", "list", "--output", "json"])
        .succeeds();
    let schemas: Vec<(Value, Value, Value)> = values(&schemas)
        .into_iter()
        .map(|it| {
            (
                it["schema"].clone(),
                it["identity"].clone(),
                it["streams"].clone(),
            )
        })
        .collect();
    let schema =
        |id: &str, identity: &str, stream: &str| (json!(id), json!(identity), json!([stream]));
    assert_eq!(
        schemas,
        [
            schema(
                "Account:7",
                "a2c799262a3ce3c19ef5cdd983bf3d12b43ab3c426227091b909dcb7054738c0",
                "accounts.opened"
            ),
            schema(
                "Order:1",
                "52ae9b42467ac0a18b5ed957ca40c1a5be794d01551127ff63b2eeebae215c7f",
                "orders.placed"
            ),
            schema(
                "Order:2",
                "5ea0416452cfdfbd2237dc486ccbf41d731647b7d946123b2c10e0afdfca4757",
                "orders.placed"
            ),
        ]
    );
    let streams = project
        .run(&["streams", "list", "--output", "json"])
        .succeeds();
    let streams: BTreeMap<String, Value> = values(&streams)
        .into_iter()
        .map(|it| (it["stream"].as_str().unwrap().to_owned(), it))
        .collect();
    let placed = &streams["orders.placed"];
    assert_eq!(
        (
            &placed["schema"],
            &placed["keys"],
            &placed["partition-growth"]
        ),
        (&json!("Order"), &json!("none"), &json!("off"))
    );
    assert_eq!(streams["accounts.opened"]["schema"], "Account");
    assert_eq!(streams["audit.written"]["schema"], Value::Null);

    // It publishes to them: nothing is registered or bound again.
    let publish = ["publish", "orders.placed", "--schema", "Order:2", "--data"];
    project
        .run(&[&publish[..], &["{\"id\":1,\"note\":\"n\"}"]].concat())
        .succeeds();
    project
        .run(&[&publish[..], &["{\"id\":\"one\"}"]].concat())
        .fails(1, &["does not fit Order:2"]);
}
