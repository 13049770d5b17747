//! `streams`: nothing is undone by accident, and what was undone can be done again; a stream's properties are declared, kept and
//! shown.

use kafkaesk_client::testing::kafka;

use crate::support::{ORDER, Project, until};

const EVENT: [&str; 2] = ["--data", "{\"id\":1}"];

fn publish<'a>(stream: &'a str, schema: &'a str) -> Vec<&'a str> {
    [&["publish", stream, "--schema", schema], &EVENT[..]].concat()
}

fn with_two_schemas(project: Project) -> Project {
    project
        .file("schemas/Order.1.json", ORDER)
        .file("schemas/Other.1.json", ORDER);
    project.run(&["schema", "push", "schemas"]).succeeds();
    project
}

#[tokio::test]
async fn a_deleted_stream_is_gone_and_its_name_is_free_for_another_schema() {
    let kafka = kafka().await;
    let project = with_two_schemas(Project::on(&kafka));
    let topic = format!("{}orders.plcaed", kafka.prefix());
    let listed = |project: &Project| project.run(&["streams", "list"]).succeeds();
    project.run(&publish("orders.plcaed", "Order:1")).succeeds();

    let dry = project.run(&["streams", "delete", "orders.plcaed", "--dry-run"]);
    assert_eq!(dry.status, 2, "{}", dry.stderr);
    assert!(
        dry.stdout.contains(&format!("would delete  {topic} ("))
            && dry
                .stdout
                .contains("would unbind  orders.plcaed from Order (epoch 2)"),
        "{}",
        dry.stdout
    );
    // Nobody is there to be asked.
    project
        .run(&["streams", "delete", "orders.plcaed"])
        .fails(64, &["--yes", "--dry-run"]);
    project
        .run(&["streams", "delete", "orders.placed", "--yes"])
        .fails(
            1,
            &[
                "there is no stream orders.placed",
                "did you mean `orders.plcaed`?",
            ],
        );
    assert!(listed(&project).contains("orders.plcaed"));

    let done = project
        .run(&["streams", "delete", "orders.plcaed", "--yes"])
        .succeeds();
    assert!(done.contains(&format!("delete  {topic}")), "{done}");
    until("the topic's end", || {
        !listed(&project).contains("orders.plcaed")
    });
    project
        .run(&["streams", "delete", "orders.plcaed", "--yes"])
        .fails(1, &["there is no stream orders.plcaed"]);
    project.run(&publish("orders.plcaed", "Other:1")).succeeds();
    assert!(listed(&project).contains("Other"), "{}", listed(&project));
    project
        .run(&publish("orders.plcaed", "Order:1"))
        .fails(1, &["Other"]);
}

#[tokio::test]
async fn a_stream_that_a_group_reads_is_not_deleted() {
    let kafka = kafka().await;
    let project = with_two_schemas(Project::on(&kafka));
    project.toml(&format!(
        "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{}g\"\nhandler = \"stdout\"\n",
        kafka.prefix()
    ));
    project.run(&publish("orders.placed", "Order:1")).succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("its partitions", |worker| !worker.stdout().is_empty());
    project
        .run(&["streams", "delete", "orders.placed", "--yes"])
        .fails(
            1,
            &[&format!(
                "is read by members of the group(s) {}g",
                kafka.prefix()
            )],
        );
    worker.signal("TERM");
    worker.end();
    project
        .run(&["streams", "delete", "orders.placed", "--yes"])
        .succeeds();
}

#[tokio::test]
async fn an_unbound_stream_keeps_its_records_and_takes_another_schema() {
    let kafka = kafka().await;
    let project = with_two_schemas(Project::on(&kafka));
    project.run(&publish("orders.placed", "Order:1")).succeeds();
    project
        .run(&publish("orders.placed", "Other:1"))
        .fails(1, &["Order"]);
    let unbound = project
        .run(&[
            "streams",
            "unbind",
            "orders.placed",
            "--yes",
            "--output",
            "json",
        ])
        .succeeds();
    assert_eq!(
        unbound,
        "{\"action\":\"unbind\",\"epoch\":2,\"schema\":\"Order\",\"stream\":\"orders.placed\"}\n"
    );
    project
        .run(&["streams", "unbind", "orders.placed", "--yes"])
        .fails(1, &["stream orders.placed is not bound"]);
    let listed = project.run(&["streams", "list"]).succeeds();
    assert!(listed.contains("(not bound)"), "{listed}");
    project.run(&publish("orders.placed", "Other:1")).succeeds();
    let all = project
        .run(&["tail", "orders.placed", "--until-end"])
        .succeeds();
    assert_eq!(all.lines().count(), 2, "{all}");
}

const DECLARED: &str = "schemas = [\"schemas/*.json\"]\n\n[[streams]]\nname = \"orders.placed\"\nschema = \"Order\"\npartitions = 2\n";

#[tokio::test]
async fn a_stream_without_keys_is_declared_and_refuses_them_with_file_and_line() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let declare = |more: &str| project.toml(&format!("{DECLARED}{more}"));
    declare("");
    project.run(&["schema", "push"]).succeeds();
    let keyed = [&publish("orders.placed", "Order:1")[..], &["--key", "u"]].concat();
    project.run(&keyed).succeeds();

    // The declaration changes a stream that is bound, and says so before.
    declare("keys = \"none\"\npartition-growth = \"auto\"\n");
    let dry = project.run(&["schema", "push", "--dry-run"]);
    let changes = "2 partitions, bound to Order, keys any → none, partition-growth propose → auto";
    assert_eq!(dry.status, 2, "{}", dry.stderr);
    assert!(dry.stdout.contains("change  "), "{}", dry.stdout);
    assert!(dry.stdout.contains(changes), "{}", dry.stdout);
    project.run(&keyed).succeeds();
    let pushed = project.run(&["schema", "push"]).succeeds();
    assert!(pushed.contains(changes), "{pushed}");
    let again = project.run(&["schema", "push", "--dry-run"]).succeeds();
    let present = "bound to Order, keys none, partition-growth auto";
    assert!(again.contains(present), "{again}");

    let said = "stream orders.placed takes no keys (keys = \"none\"), and the event has one";
    project.run(&keyed).fails(1, &[said, "schema push"]);
    let tombstone = ["publish", "orders.placed", "--tombstone", "--key", "u"];
    project.run(&tombstone).fails(1, &[said]);
    project.file(
        "two.ndjson",
        "{\"stream\":\"orders.placed\",\"schema\":\"Order:1\",\"data\":{\"id\":1}}\n{\"stream\":\"orders.placed\",\"schema\":\"Order:1\",\"key\":\"u\",\"data\":{\"id\":2}}\n",
    );
    project
        .run(&["publish", "--ndjson", "two.ndjson"])
        .fails(1, &["two.ndjson:2: ", said]);
    let skipped = project.run(&["publish", "--ndjson", "two.ndjson", "--skip-invalid"]);
    assert_eq!(skipped.status, 2, "{}", skipped.stderr);

    let listed = project.run(&["streams", "list"]).succeeds();
    assert!(
        listed.contains("keys none, partition-growth auto"),
        "{listed}"
    );
    // A declaration without properties leaves them as they are.
    declare("");
    let left = project.run(&["schema", "push", "--dry-run"]).succeeds();
    assert!(left.contains(present), "{left}");
}

#[tokio::test]
async fn a_stream_is_shown_with_the_ceiling_that_its_subscriptions_set() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let subscription = |group: &str, pattern: &str, most: &str| {
        format!(
            "[[subscriptions]]\ngroup = \"{group}\"\npattern = \"{pattern}\"\nhandler = \"stdout\"\n{most}\n"
        )
    };
    project.toml(&format!("{DECLARED}partition-growth = \"auto\"\n"));
    project.run(&["schema", "push"]).fails(
        0,
        &[
            "stream orders.placed declares partition-growth = \"auto\" without keys = \"none\"",
            "only proposed",
        ],
    );
    let shown = project
        .run(&["streams", "show", "orders.placed"])
        .succeeds();
    assert!(
        shown.contains("partition-growth  auto (only proposed"),
        "{shown}"
    );
    assert!(
        shown.contains("max-partitions    40 (the default"),
        "{shown}"
    );
    project.toml(
        &[
            subscription("a", "orders.*", "max-partitions = 12"),
            subscription("b", "orders.placed", "max-partitions = 9"),
            subscription("c", "other", "max-partitions = 2"),
            subscription("d", "orders.*", ""),
        ]
        .concat(),
    );
    let shown = project
        .run(&["streams", "show", "orders.placed", "--output", "json"])
        .succeeds();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["max-partitions"], 9, "{shown}");
    assert_eq!(
        shown["max-partitions-set-by"],
        "max-partitions of group b (kafkaesk.toml:6)"
    );
    assert_eq!(shown["partitions"], 2);
    assert_eq!(shown["epoch"], 1);
    project
        .run(&["streams", "show", "orders.plcaed"])
        .fails(1, &["there is no stream orders.plcaed", "`orders.placed`"]);
}
