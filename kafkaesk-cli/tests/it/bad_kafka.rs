//! Input that Kafka, or what Kafka holds, is against: each has its text, and nothing is published.

use std::time::{Duration, Instant};

use kafkaesk_client::testing::kafka;

use crate::support::{ORDER, Project};

#[test]
fn a_broker_that_is_not_there_is_an_error_within_ten_seconds() {
    let project = Project::new();
    project
        .toml("[[subscriptions]]\npattern = \"a.*\"\ngroup = \"g\"\nhandler = { stdout = true }\n");
    let begun = Instant::now();
    project
        .run(&["worker", "--kafka-servers", "127.0.0.1:1"])
        .fails(
            1,
            &[
                "error: no Kafka broker answered at 127.0.0.1:1 within 10s",
                "check `kafka-servers`",
            ],
        );
    assert!(begun.elapsed() < Duration::from_secs(12));
}

#[tokio::test]
async fn refused_events_name_the_rule_and_the_remedy() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let publish = |stream: &str, schema: &str, data: &str| {
        project.run(&["publish", stream, "--schema", schema, "--data", data])
    };
    let receipt = publish("orders.placed", "Order:1", "{\"id\":1}").succeeds();
    let topic = format!("{}orders.placed[", kafka.prefix());
    assert!(
        receipt.starts_with(&topic) && receipt.ends_with("]@0\n"),
        "{receipt}"
    );
    publish("orders.placed", "Order:1", "{\"id\":\"one\"}").fails(
        1,
        &[
            "error: the event does not fit Order:1; nothing was published\n  /id: \"one\" is not of type \"integer\"   (rule /properties/id/type)\n",
        ],
    );
    publish("orders.placed", "Order:1", "{\"id\":1").fails(1, &["nothing was published", "byte"]);
    publish("orders.placed", "Order:2", "{\"id\":1}").fails(
        1,
        &[
            "error: schema Order:2 is not in",
            "it holds version(s) 1",
            "schema push",
        ],
    );
    publish("orders.placed", "Order", "1").fails(64, &["schema id \"Order\" has no version"]);
    publish("__orders", "Order:1", "{\"id\":1}").fails(64, &["stream id \"__orders\" is reserved"]);

    project.file("Other.1.json", "true");
    project.run(&["schema", "push", "Other.1.json"]).succeeds();
    publish("orders.placed", "Other:1", "{\"id\":1}").fails(
        1,
        &["error: stream orders.placed is bound to schema Order, not to Other"],
    );
    project.file("large.json", format!("\"{}\"", "x".repeat(2_000_000)));
    project
        .run(&[
            "publish",
            "other.large",
            "--schema",
            "Other:1",
            "--file",
            "large.json",
        ])
        .fails(1, &["too large", "message.max.bytes"]);
}

#[tokio::test]
async fn a_push_writes_nothing_while_one_schema_conflicts() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project
        .file("new/Order.1.json", ORDER.replace("integer", "string"))
        .file("new/Added.1.json", "{}");
    project.run(&["schema", "push", "new"]).fails(
        1,
        &[
            "error: nothing was pushed: new/Order.1.json: schema Order:1 is already in",
            "- /properties/id/type: \"integer\"",
            "+ /properties/id/type: \"string\"",
        ],
    );
    project
        .run(&["schema", "show", "Added"])
        .fails(1, &["there is no schema Added"]);
}

#[tokio::test]
async fn names_of_one_push_that_kafka_cannot_hold_both_are_refused_before_any_is_written() {
    let kafka = kafka().await;
    let project = Project::on(&kafka);
    project
        .file("new/C.d.1.json", ORDER)
        .file("new/C_d.1.json", ORDER);
    project.run(&["schema", "push", "new"]).fails(
        1,
        &[
            "error: nothing was pushed: topics ",
            "__schema__C.d and ",
            "rename one",
        ],
    );
    project
        .run(&["schema", "show", "C.d"])
        .fails(1, &["there is no schema C.d"]);
}

#[tokio::test]
async fn a_dry_run_tells_whether_there_is_something_to_do() {
    let kafka = kafka().await;
    let project = Project::on(&kafka);
    project.file("schemas/Order.1.json", ORDER).toml(
        "schemas = [\"schemas/*.json\"]\n[[streams]]\nname = \"orders.placed\"\nschema = \"Order\"\npartitions = 12\nretention = \"7d\"\n",
    );
    let prefix = kafka.prefix();
    let dry = project.run(&["schema", "push", "--dry-run"]);
    assert_eq!(dry.status, 2, "{}", dry.stderr);
    assert_eq!(
        dry.stdout,
        format!(
            "push    Order:1   schemas/Order.1.json  → {prefix}__schema__Order\ncreate  {prefix}orders.placed  12 partitions, retention 7d, bound to Order\n"
        )
    );
    let pushed = project.run(&["schema", "push"]).succeeds();
    assert_eq!(
        pushed,
        format!(
            "pushed  Order:1   schemas/Order.1.json  → {prefix}__schema__Order\ncreated {prefix}orders.placed  12 partitions, retention 7d, bound to Order\n"
        )
    );
    project.run(&["schema", "push", "--dry-run"]).succeeds();
    let listed = project
        .run(&["streams", "list", "--output", "json"])
        .succeeds();
    assert!(
        listed.contains("\"partitions\":12") && listed.contains("\"schema\":\"Order\""),
        "{listed}"
    );
    let shown = project.run(&["schema", "show", "Order:1"]).succeeds();
    assert_eq!(shown.trim_end(), ORDER);
    let schemas = project.run(&["schema", "list"]).succeeds();
    assert!(
        schemas.starts_with(&format!("Order:1  {prefix}__schema__Order")),
        "{schemas}"
    );
}
