//! `streams grow`: nothing is done by halves, each key keeps its order where that was asked for, and what breaks is said.

use std::{collections::BTreeMap, io::Write as _, process::Stdio};

use kafkaesk_client::testing::{TestKafka, kafka};
use kafkaesk_core::partitioner::partition_for_key;
use serde_json::Value;

use crate::support::{Project, Ran, Running, orders, until};

const STREAM: &str = "schemas = [\"schemas/*.json\"]\n\n[[streams]]\nname = \"orders.placed\"\nschema = \"Order\"\npartitions = 2\n";

/// A project with a stream of two partitions, pushed.
fn project(kafka: &TestKafka, more: &str) -> Project {
    let project = Project::on(kafka).with_order();
    project.toml(&format!("{STREAM}{more}"));
    project.run(&["schema", "push"]).succeeds();
    project
}

/// A subscription that writes each event to standard output.
fn subscription(kafka: &TestKafka) -> String {
    let prefix = kafka.prefix();
    format!(
        "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{prefix}g\"\nhandler = \"stdout\"\n"
    )
}

fn grow(more: &[&'static str]) -> Vec<&'static str> {
    [&["streams", "grow", "orders.placed"], more].concat()
}

fn partitions(project: &Project) -> u64 {
    let shown = ["streams", "show", "orders.placed", "--output", "json"];
    let shown: Value = serde_json::from_str(&project.run(&shown).succeeds()).unwrap();
    shown["partitions"].as_u64().unwrap()
}

fn publish(project: &Project, lines: &str) -> Ran {
    project.run_with(&["publish", "--ndjson", "-"], lines)
}

fn read_by(worker: &mut Running, count: usize) -> Vec<Value> {
    worker.until("the events", |worker| worker.stdout().len() >= count);
    let lines = worker.stdout();
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn each_key_keeps_its_order_when_a_stream_grows_drained_and_its_publisher_follows() {
    let kafka = kafka().await;
    let project = project(&kafka, &subscription(&kafka));
    let mut worker = project.start(&["worker"]);
    let arguments = ["publish", "--ndjson", "-", "--output", "json"];
    let mut publisher = project.start_with(&arguments, Stdio::piped());
    let lines = orders(400);
    let lines: Vec<&str> = lines.lines().collect();
    let (before, after) = lines.split_at(200);
    let mut feed = |lines: &[&str]| {
        let text = lines.join("\n") + "\n";
        publisher.stdin().write_all(text.as_bytes()).unwrap();
        publisher.stdin().flush().unwrap();
    };
    feed(before);
    // It is not drained yet: the command waits for the worker.
    let drained = grow(&["--to", "4", "--when-drained", "--quiet", "1s"]);
    let grown = project.run(&drained);
    assert_eq!(grown.status, 0, "{}", grown.stderr);
    assert!(
        grown.stdout.contains("from 2 to 4 partitions"),
        "{}",
        grown.stdout
    );
    assert!(
        grown.stderr.contains("publishing may go on"),
        "{}",
        grown.stderr
    );
    assert_eq!(read_by(&mut worker, 200).len(), 200);
    feed(after);

    let read = read_by(&mut worker, 400);
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for event in &read {
        let (key, id) = (event["key"].as_str().unwrap(), event["data"]["id"].as_i64());
        let former = last.insert(key.to_owned(), id.unwrap());
        assert!(former < id, "{key}: {id:?} after {former:?}");
        let count = if id.unwrap() < 200 { 2 } else { 4 };
        let home = partition_for_key(key.as_bytes(), count);
        assert_eq!(event["partition"], home, "{event}");
    }
    assert_eq!(last.len(), 20);
}

/// `--when-drained` with this quiet time.
fn drained<'a>(quiet: &'a str, to: &'a str) -> [&'a str; 8] {
    let command = "streams grow orders.placed --when-drained --quiet";
    let mut words = command.split(' ').chain([quiet, "--to", to]);
    std::array::from_fn(|_| words.next().unwrap())
}

#[tokio::test]
async fn each_key_keeps_its_order_where_the_growth_is_killed_at_every_step_and_run_again() {
    let kafka = kafka().await;
    let project = project(&kafka, &subscription(&kafka));
    let mut worker = project.start(&["worker"]);
    let mut publisher = project.start_with(&["publish", "--ndjson", "-"], Stdio::piped());
    let lines = orders(900);
    let mut lines = lines.lines();
    let mut sent = 0;
    let mut feed = |count: usize| {
        for line in lines.by_ref().take(count) {
            writeln!(publisher.stdin(), "{line}").unwrap();
        }
        publisher.stdin().flush().unwrap();
        sent += count;
        sent
    };
    let mut from = 2;
    for (to, step) in [
        ("4", None),
        ("6", Some("waiting up to")),
        ("8", Some("waiting: publishing has paused")),
        ("10", Some("")),
    ] {
        feed(100);
        // What is to end before the growth has time for that.
        let quiet = if to == "10" { "500ms" } else { "1m" };
        let mut growing = project.start(&drained(quiet, to));
        match step {
            None => {}
            // Between the growth and the end of the command.
            Some("") => until("the growth", || partitions(&project) == 10),
            Some(said) => growing.until(said, |it| it.stderr().contains(said)),
        }
        growing.signal("KILL");
        growing.end();
        let is_grown = partitions(&project) > from;
        assert_eq!(is_grown, to == "10", "{to}");
        if !is_grown {
            // Publishing goes on as if the command had not run.
            feed(100);
        }
        let again = project.run(&drained("500ms", to));
        again.fails(0, &["publishing may go on"]);
        from = to.parse().unwrap();
    }
    let all = feed(100);
    let read = read_by(&mut worker, all);
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for event in &read {
        let (key, id) = (event["key"].as_str().unwrap(), event["data"]["id"].as_i64());
        let former = last.insert(key, id.unwrap());
        assert!(former < id, "{key}: {id:?} after {former:?}");
        if id.unwrap() >= all as i64 - 100 {
            let home = partition_for_key(key.as_bytes(), 10);
            assert_eq!(event["partition"], home, "{event}");
        }
    }
    assert_eq!((last.len(), read.len()), (20, 800));
}

/// A project whose group has handled 40 orders and is behind by 40 others; nothing runs.
fn behind(kafka: &TestKafka) -> Project {
    let project = project(kafka, &subscription(kafka));
    publish(&project, &orders(40)).succeeds();
    let mut worker = project.start(&["worker"]);
    read_by(&mut worker, 40);
    worker.signal("TERM");
    worker.end();
    publish(&project, &orders(40)).succeeds();
    project
}

#[tokio::test]
async fn a_growth_that_is_killed_leaves_one_of_both_numbers_and_can_be_run_again() {
    let kafka = kafka().await;
    let project = behind(&kafka);

    let drained = grow(&["--to", "4", "--when-drained", "--quiet", "1s"]);
    let mut waiting = project.start(&drained);
    waiting.until("its wait for the group", |it| {
        it.stderr().contains(&format!(
            "waiting: group {}g has 40 unfinished",
            kafka.prefix()
        ))
    });
    waiting.signal("KILL");
    waiting.end();
    assert_eq!(partitions(&project), 2);
    let mut waiting = project.start(&drained);
    waiting.until("its wait for the group", |it| {
        it.stderr().contains("waiting: group")
    });
    waiting.signal("TERM");
    waiting.end();
    assert_eq!(partitions(&project), 2);

    let mut worker = project.start(&["worker"]);
    let growing = project.start(&drained);
    until("the growth", || partitions(&project) == 4);
    growing.signal("KILL");
    growing.end();
    let again = project.run(&drained);
    again.fails(
        0,
        &[
            "has 4 partitions already; nothing is to be done",
            "publishing may go on",
        ],
    );
    assert_eq!(again.stdout, "");
    publish(&project, &orders(40)).succeeds();
    read_by(&mut worker, 80);
}

#[tokio::test]
async fn a_growth_that_was_not_drained_in_time_changes_nothing_and_says_who_is_missing() {
    let kafka = kafka().await;
    let project = behind(&kafka);
    let group = format!("group {}g has 40 unfinished records", kafka.prefix());
    let late = grow(&["--to", "4", "--when-drained", "--within", "2s"]);
    project.run(&late).fails(
        1,
        &[
            "nothing was changed",
            "was not drained within 2s",
            &group,
            "--allow-group",
        ],
    );
    assert_eq!(partitions(&project), 2);

    let reordering = grow(&["--to", "4", "--accept-reordering"]);
    let dry = [&reordering[..], &["--dry-run"]].concat();
    project.run(&dry).fails(2, &["keys move", &group]);
    assert_eq!(partitions(&project), 2);
    project
        .run(&reordering)
        .fails(0, &["keys move", "within 2s", &group]);
    assert_eq!(partitions(&project), 4);
}

#[tokio::test]
async fn what_cannot_be_grown_is_refused_with_every_reason_and_stays_as_it_is() {
    let kafka = kafka().await;
    let limits = "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"g\"\nmax-partitions = 6\nhandler = \"stdout\"\n\n[[streams]]\nname = \"kept\"\nschema = \"Order\"\nconfig = { \"cleanup.policy\" = \"compact\" }\n";
    let project = project(&kafka, limits);
    project
        .run(&["streams", "grow", "orders.plcaed", "--to", "4"])
        .fails(1, &["there is no stream orders.plcaed", "`orders.placed`"]);
    for (arguments, status, said) in [
        (&["--to", "2"][..], 0, &["has 2 partitions already"][..]),
        (
            &["--to", "1"],
            1,
            &[
                "nothing was changed",
                "has 2 partitions, and Kafka takes none away",
            ],
        ),
        (&["--to", "0"], 64, &["0 is not in 1..=10000"]),
        (
            &["--to", "4", "--when-drained", "--accept-reordering"],
            64,
            &["cannot be used with"],
        ),
        (
            &["--to", "4"],
            1,
            &["takes keys", "--when-drained", "--accept-reordering"],
        ),
        (
            &["--to", "7"],
            1,
            &[
                "7 partitions are more than the 6 up to which stream orders.placed may grow: max-partitions of group g (kafkaesk.toml:7)",
                "takes keys",
            ],
        ),
    ] {
        project.run(&grow(arguments)).fails(status, said);
    }
    let kept = [
        "streams",
        "grow",
        "kept",
        "--to",
        "9",
        "--accept-reordering",
    ];
    project
        .run(&kept)
        .fails(1, &["is compacted (cleanup.policy=compact)"]);
    assert_eq!(partitions(&project), 2);
}

#[tokio::test]
async fn a_stream_without_keys_grows_without_a_question() {
    let kafka = kafka().await;
    let project = project(&kafka, "keys = \"none\"\n");
    let dry = project.run(&grow(&["--to", "4", "--dry-run"]));
    assert_eq!(dry.status, 2, "{}", dry.stderr);
    let grown = project.run(&grow(&["--to", "4", "--output", "json"]));
    assert!(!grown.stderr.contains("keys move"), "{}", grown.stderr);
    let grown: Value = serde_json::from_str(&grown.succeeds()).unwrap();
    assert_eq!((&grown["from"], &grown["to"]), (&2.into(), &4.into()));
    assert_eq!(grown["keys"], "none");
    assert_eq!(partitions(&project), 4);
}
