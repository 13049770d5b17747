//! `streams delete` and `streams unbind`: nothing is undone by accident, and what was undone can be done again.

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
