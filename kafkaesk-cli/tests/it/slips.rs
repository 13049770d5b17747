//! Slips of the pen: a misspelt stream, schema, group or setting is named, and makes nothing permanent.

use kafkaesk_client::testing::kafka;

use crate::support::{ORDER, Project};

const PUBLISH: [&str; 4] = ["--schema", "Order:1", "--data", "{\"id\":1}"];

fn publish<'a>(stream: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["publish", stream], &PUBLISH[..], more].concat()
}

#[tokio::test]
async fn where_streams_are_declared_a_misspelt_one_is_not_made() {
    let kafka = kafka().await;
    let project = Project::on(&kafka);
    project
        .file("schemas/Order.1.json", ORDER)
        .toml("schemas = [\"schemas/*.json\"]\n[[streams]]\nname = \"orders.placed\"\nschema = \"Order\"\npartitions = 1\n[[streams]]\nname = \"orders.shipped\"\nschema = \"Order\"\npartitions = 1\n");
    project.run(&["schema", "push"]).succeeds();
    project.run(&publish("orders.plcaed", &[])).fails(
        1,
        &[
            "did you mean `orders.placed`?",
            "auto-create-streams = true",
        ],
    );
    let listed = project.run(&["streams", "list"]).succeeds();
    assert!(!listed.contains("plcaed"), "{listed}");
    project.run(&publish("orders.placed", &[])).succeeds();
    let made = ["--auto-create-streams", "true"];
    project.run(&publish("orders.plcaed", &made)).succeeds();
    for (arguments, said) in [
        (
            &["tail", "orders.shiped", "--until-end"][..],
            "did you mean `orders.shipped`?",
        ),
        (
            &["streams", "list", "orders.shiped"],
            "did you mean `orders.shipped`?",
        ),
        (&["schema", "show", "Ordr"], ""),
        (&["schema", "show", "Order:7"], ""),
    ] {
        let ran = project.run(arguments);
        let said = match arguments[0] {
            "schema" => "Order",
            _ => said,
        };
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
    project
        .run(&[
            "publish",
            "orders.placed",
            "--schema",
            "Ordr:1",
            "--data",
            "{}",
        ])
        .fails(1, &["did you mean `Order`?"]);
    project
        .run(&["schema", "show", "Ordr"])
        .fails(1, &["did you mean `Order`?"]);
}

#[tokio::test]
async fn where_none_are_declared_a_new_stream_that_looks_like_a_slip_is_warned_of() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    for (stream, warning) in [
        ("orders.placed", false),
        ("users.created", false),
        ("orders.plcaed", true),
        ("orders.plcaed", false),
    ] {
        let ran = project.run(&publish(stream, &[]));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let warned = ran
            .stderr
            .contains("did you mean `orders.placed`? `streams delete orders.plcaed`");
        assert_eq!(warned, warning, "{stream}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn a_stream_that_is_declared_and_not_made_yet_says_so() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project.toml("[[streams]]\nname = \"orders.placed\"\nschema = \"Order\"\n");
    project
        .run(&publish("orders.placed", &[]))
        .fails(1, &["it is declared and not created yet", "schema push"]);
}

#[test]
fn a_misspelt_group_and_overlapping_subscriptions_are_named_with_their_lines() {
    let project = Project::new();
    let subscription = |pattern: &str| {
        format!(
            "[[subscriptions]]\npattern = \"{pattern}\"\ngroup = \"billing\"\nhandler = \"stdout\"\n"
        )
    };
    project.toml(&subscription("a.*"));
    project
        .run(&["worker", "biling"])
        .fails(64, &["did you mean \"billing\"?"]);
    project.toml(&format!("{}\n{}", subscription("a.*"), subscription("a.b")));
    project.run(&["worker"]).fails(
        1,
        &["error: kafkaesk.toml:1 and kafkaesk.toml:6: subscriptions to \"a.*\" and \"a.b\" overlap"],
    );
}

#[test]
fn a_command_that_is_not_a_list_says_how_to_write_it() {
    let project = Project::new();
    project.toml("[[subscriptions]]\npattern = \"a\"\ngroup = \"g\"\nhandler = { exec = \"python3 audit.py --token HUSH\" }\n");
    let ran = project.run(&["config", "show"]);
    ran.fails(
        1,
        &["kafkaesk.toml:4: `subscriptions[0].handler.exec`: a text is not a list; write each word in quotes: [\"python3\", \"audit.py\"]"],
    );
    assert!(!ran.stderr.contains("HUSH"), "{}", ran.stderr);
    project.toml("[[subscriptions]]\npattern = \"a\"\ngroup = \"g\"\nhandler = \"stdot\"\n");
    project.run(&["worker"]).fails(
        1,
        &["kafkaesk.toml:4: `subscriptions[0].handler`: write \"stdout\""],
    );
}

#[test]
fn a_variable_that_names_a_program_is_no_unknown_setting() {
    let project = Project::new()
        .variable("KAFKAESK_CLI", "/usr/bin/kafkaesk-cli")
        .variable("KAFKAESK_BIN_DIR", "/usr/bin")
        .variable("KAFKAESK_COLOUR", "blue");
    let ran = project.run(&["config", "show"]);
    ran.fails(0, &["unknown environment variable KAFKAESK_COLOUR"]);
    assert_eq!(ran.stderr.matches("unknown").count(), 1, "{}", ran.stderr);
}

#[tokio::test]
async fn stdout_has_a_short_form_and_its_line_may_say_the_group() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let prefix = kafka.prefix();
    project.toml(&format!(
        "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{prefix}a\"\nhandler = \"stdout\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{prefix}b\"\nhandler = {{ stdout = true, group = true }}\n"
    ));
    project.run(&publish("orders.placed", &[])).succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("both lines", |worker| worker.stdout().len() == 2);
    worker.signal("TERM");
    let ran = worker.end();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let says = format!(",\"group\":\"{prefix}b\",\"attempt\":1}}");
    let with_group = ran.stdout.lines().filter(|line| line.ends_with(&says));
    assert_eq!(with_group.count(), 1, "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("\"group\"").count(), 1, "{}", ran.stdout);
    // What was printed can be published.
    project
        .run_with(&["publish", "--ndjson", "-"], &format!("{}\n", ran.stdout))
        .succeeds();
}

#[tokio::test]
async fn records_of_the_bindings_that_do_not_count_are_listed() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project.run(&publish("orders.placed", &[])).succeeds();
    let topic = format!("{}__streams__", kafka.prefix());
    kafka_append(&kafka, &topic).await;
    project
        .run(&["streams", "list"])
        .fails(0, &[&format!("{topic}@1: ")]);
}

/// Appends a record that binds nothing.
async fn kafka_append(kafka: &kafkaesk_client::testing::TestKafka, topic: &str) {
    let connection = kafkaesk_client::Connection::open(&kafka.settings())
        .await
        .unwrap();
    let topic = kafkaesk_core::TopicName::new(topic).unwrap();
    let record = (
        bytes::Bytes::from_static(b"orders.placed"),
        bytes::Bytes::from_static(b"junk"),
    );
    connection
        .broker()
        .append_log(&topic, vec![record])
        .await
        .unwrap();
}
