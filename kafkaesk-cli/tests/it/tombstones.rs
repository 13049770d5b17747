//! Tombstones: published on purpose, shown and copied as such, and never a stop for a handler that needs an event.

use kafkaesk_client::testing::kafka;

use crate::{
    server::Server,
    support::{ORDER, Project, until},
};

fn publish(project: &Project, more: &[&str]) -> String {
    let arguments = [&["publish", "orders.placed", "--key", "k"], more].concat();
    project.run(&arguments).succeeds()
}

#[tokio::test]
async fn a_tombstone_is_published_shown_and_copied_by_its_line() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    publish(&project, &["--schema", "Order:1", "--data", "{\"id\":1}"]);
    let receipt = publish(&project, &["--tombstone", "--header", "why=erased"]);
    assert!(receipt.contains("orders.placed["), "{receipt}");

    let tailed = project
        .run(&["tail", "orders.*", "--until-end", "--output", "json"])
        .succeeds();
    let line = tailed.lines().find(|line| line.contains("tombstone"));
    let line = line.expect("a tombstone");
    assert!(
        line.contains(r#""key":"k","headers":{"why":"erased"},"tombstone":true,"partition""#),
        "{line}"
    );
    project
        .run_with(&["publish", "--ndjson", "-"], &tailed)
        .succeeds();
    let shown = project.run(&["tail", "orders.*", "--until-end"]).succeeds();
    assert_eq!(shown.matches("(tombstone)").count(), 2, "{shown}");
    assert_eq!(shown.matches("{\"id\":1}").count(), 2, "{shown}");
}

#[tokio::test]
async fn a_tombstone_is_refused_without_a_key_and_on_a_stream_that_is_not_bound() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let ndjson = |line: &str| project.run_with(&["publish", "--ndjson", "-"], line);
    // A null value may be a mistake, so it is not taken for a tombstone.
    ndjson(r#"{"stream":"orders.placed","key":"k","value":null}"#)
        .fails(1, &["-:1: ", r#""tombstone":true"#]);
    ndjson(r#"{"stream":"orders.placed","tombstone":true}"#).fails(1, &["`key` is missing"]);
    ndjson(r#"{"stream":"orders.placed","key":"k","tombstone":true}"#)
        .fails(1, &["orders.placed is not bound to a schema"]);
    project
        .run(&["publish", "orders.placed", "--tombstone"])
        .fails(64, &["--key"]);
    project
        .run(&["publish", "orders.placed", "--tombstone", "--key", "k"])
        .fails(1, &["is not bound to a schema", "schema push"]);
    let streams = project.run(&["streams", "list"]).succeeds();
    assert!(!streams.contains("orders.placed"), "{streams}");
}

#[tokio::test]
async fn http_passes_tombstones_over_and_exec_gets_them_as_lines() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project.file(
        "handler.py",
        r#"
import json, sys
for line in sys.stdin:
    with open("lines", "a") as lines:
        lines.write(line)
    print(json.dumps({"delivery": json.loads(line)["delivery"], "outcome": "done"}))
"#,
    );
    let server = Server::start(|_| (204, "", ""));
    let prefix = kafka.prefix();
    project.toml(&format!(
        r#"
[[subscriptions]]
pattern = "orders.*"
group = "{prefix}http"
handler = {{ http = "{}" }}

[[subscriptions]]
pattern = "orders.*"
group = "{prefix}exec"
validate = true
handler = {{ exec = ["python3", "handler.py"] }}
"#,
        server.url
    ));
    publish(&project, &["--schema", "Order:1", "--data", "{\"id\":1}"]);
    publish(&project, &["--tombstone"]);
    publish(&project, &["--schema", "Order:1", "--data", "{\"id\":2}"]);
    let worker = project.start(&["worker"]);
    let lines = || std::fs::read_to_string(project.path().join("lines")).unwrap_or_default();
    until("every line and both events", || {
        lines().lines().count() == 3 && server.posted().len() == 2
    });
    worker.signal("TERM");
    worker
        .end()
        .fails(0, &["handled=6", "without_event=1", "cut_off=0"]);
    let lines = lines();
    let tombstone = lines.lines().nth(1).unwrap();
    assert!(
        tombstone.contains(r#""key":"k","tombstone":true,"#),
        "{tombstone}"
    );

    // Everything is committed: nothing comes a second time.
    let mut worker = project.start(&["worker"]);
    publish(&project, &["--schema", "Order:1", "--data", "{\"id\":3}"]);
    worker.until("the next event", |_| server.posted().len() == 3);
    worker.signal("TERM");
    worker.end();
    assert_eq!(server.posted().len(), 3);
}

#[tokio::test]
async fn a_compacted_topic_that_refuses_an_event_without_a_key_says_that_it_needs_one() {
    let kafka = kafka().await;
    let project = Project::on(&kafka);
    project.file("schemas/Order.1.json", ORDER).toml(
        "schemas = [\"schemas/*.json\"]\n[[streams]]\nname = \"orders.latest\"\nschema = \"Order\"\nconfig = { \"cleanup.policy\" = \"compact\" }\n",
    );
    project.run(&["schema", "push"]).succeeds();
    let publish = ["publish", "orders.latest", "--schema", "Order:1"];
    let event = ["--data", "{\"id\":1}"];
    project.run(&[&publish[..], &event].concat()).fails(
        1,
        &["was not written", "`compact` takes only records with a key"],
    );
    project
        .run(&[&publish[..], &event, &["--key", "k"]].concat())
        .succeeds();
}
