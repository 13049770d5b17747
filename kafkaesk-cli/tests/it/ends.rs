//! How `publish --ndjson` and `tail` end before their input does: true counts, a place to resume, no line twice.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    process::Stdio,
    time::{Duration, Instant},
};

use kafkaesk_client::testing::kafka;

use crate::support::{ORDER, Project, TIMEOUT, orders, until_full};

const TAIL: [&str; 6] = ["tail", "*", "--until-end", "--output", "json", "--from"];

/// How many events the topic holds, each of which is there once.
fn held(project: &Project) -> BTreeSet<u64> {
    let all = project.run(&[&TAIL[..], &["earliest"]].concat()).succeeds();
    let ids: Vec<u64> = all
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["data"]["id"].as_u64().unwrap()
        })
        .collect();
    let distinct: BTreeSet<u64> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len(), "an event is there twice");
    distinct
}

/// The number behind a word of the summary.
fn number_after(text: &str, word: &str) -> u64 {
    let (_, rest) = text.split_once(word).unwrap_or_else(|| panic!("{text}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// How many lines the summary says were published.
fn published(text: &str) -> u64 {
    let (before, _) = text
        .split_once(" published")
        .unwrap_or_else(|| panic!("{text}"));
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap()
}

/// A stream that takes no record of more than 2,000 bytes.
fn with_small_orders(project: Project) -> Project {
    project
        .file("schemas/Order.1.json", crate::support::ORDER)
        .toml("schemas = [\"schemas/*.json\"]\n[[streams]]\nname = \"orders.placed\"\nschema = \"Order\"\npartitions = 1\nconfig = { max.message.bytes = 2000 }\n")
        .run(&["schema", "push"])
        .succeeds();
    project
}

#[tokio::test]
async fn events_that_fit_their_topic_are_published_however_many_are_queued() {
    let kafka = kafka().await;
    let project = with_small_orders(Project::on(&kafka));
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(3000))
        .succeeds();
    assert_eq!(held(&project).len(), 3000);
}

#[tokio::test]
async fn a_refusal_by_the_brokers_stops_at_once_and_is_reported_once() {
    let kafka = kafka().await;
    let project = with_small_orders(Project::on(&kafka));
    let begun = Instant::now();
    let input = [large_order(5000), orders(3000)].concat();
    let ran = project.run_with(&["publish", "--ndjson", "-"], &input);
    ran.fails(1, &["stopped at line 1"]);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(ran.stderr.matches("error: ").count(), 1, "{}", ran.stderr);
    // Later lines may have left before the refusal came.
    assert_eq!(held(&project).len() as u64, published(&ran.stderr));
}

/// A line whose event is larger than its topic takes.
fn large_order(id: u64) -> String {
    let large = "x".repeat(3000);
    format!(
        "{{\"stream\":\"orders.placed\",\"schema\":\"Order:1\",\"data\":{{\"id\":{id},\"x\":\"{large}\"}}}}\n"
    )
}

#[tokio::test]
async fn resuming_after_a_refusal_by_the_brokers_publishes_no_line_twice() {
    let kafka = kafka().await;
    let project = with_small_orders(Project::on(&kafka));
    let mut input = orders(999);
    input.push_str(&large_order(999));
    input.extend(orders(3000).split_inclusive('\n').skip(1000));
    let publish = ["publish", "--ndjson", "-"];
    let ran = project.run_with(&publish, &input);
    ran.fails(1, &["stopped at line 1000", "correct"]);
    let there = held(&project).len() as u64;
    assert_eq!(published(&ran.stderr), there, "{}", ran.stderr);
    if !ran.stderr.contains("no line is left") {
        // Where nothing after the refused line was published, it is the one to correct and resume with.
        let from = number_after(&ran.stderr, "--from-line ").max(1001);
        let from = from.to_string();
        project
            .run_with(&[&publish[..], &["--from-line", &from]].concat(), &input)
            .succeeds();
    }
    let all: BTreeSet<u64> = (0..3000).filter(|id| *id != 999).collect();
    assert_eq!(held(&project), all);
}

#[tokio::test]
async fn a_publish_whose_reader_went_away_says_what_it_published_and_where_to_resume() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project.file("many.nd", orders(20_000));
    let publish = ["publish", "--ndjson", "many.nd", "--output", "json"];
    let mut child = project
        .command(&publish)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 8];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ran = child.wait_with_output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(
        said.contains("the reader of standard output has closed it"),
        "{said}"
    );
    let there = held(&project).len() as u64;
    assert!((1..20_000).contains(&there));
    assert_eq!(published(&said), there, "{said}");
    let from = number_after(&said, "--from-line ");
    assert_eq!(from, there + 1, "{said}");
    project
        .run(&[
            "publish",
            "--ndjson",
            "many.nd",
            "--from-line",
            &from.to_string(),
        ])
        .succeeds();
    assert_eq!(held(&project).len(), 20_000);
}

#[tokio::test]
async fn a_signal_stops_a_publish_that_waits_for_input_and_says_how_to_resume() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    for signal in ["INT", "TERM"] {
        let publish = ["publish", "--ndjson", "-", "--output", "json"];
        let mut running = project.start_with(&publish, Stdio::piped());
        running.stdin().write_all(orders(2).as_bytes()).unwrap();
        running.until("both receipts", |running| running.stdout().len() == 2);
        running.signal(signal);
        running.end().fails(
            1,
            &[
                "2 published in",
                "stopped by a signal",
                "resume with --from-line 3",
            ],
        );
    }
}

#[tokio::test]
async fn a_signal_ends_a_tail_whose_reader_stalls() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(20_000))
        .succeeds();
    for signal in ["INT", "TERM"] {
        let mut child = project
            .command(&["tail", "*", "--from", "earliest"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 8]).unwrap();
        until_full(child.id(), 1);
        let asked = Instant::now();
        let status = std::process::Command::new("kill")
            .args([format!("-{signal}"), child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
        while child.try_wait().unwrap().is_none() {
            assert!(asked.elapsed() < TIMEOUT / 6, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[tokio::test]
async fn a_standard_output_that_cannot_be_written_is_named_and_what_was_published_as_well() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project.file("Order.1.json", ORDER);
    let onto_full = |arguments: &[&str]| {
        let full = std::fs::File::options().write(true).open("/dev/full");
        project.start_onto(arguments, full.unwrap()).end()
    };
    let said = "writing to standard output failed: No space left on device";
    for arguments in [
        &["--version"][..],
        &["schema", "--help"],
        &["completions", "bash"],
        &["config", "show"],
        &["schema", "validate", "Order.1.json"],
        &["schema", "bundle", "Order.1.json"],
        &["schema", "list"],
        &["schema", "show", "Order:1"],
    ] {
        onto_full(arguments).fails(1, &[said]);
    }
    let publish = ["publish", "orders.placed", "--schema", "Order:1"];
    let event = ["--key", "k", "--data", "{\"id\":1}"];
    onto_full(&[&publish[..], &event].concat()).fails(
        1,
        &["]@0 was published, but its receipt cannot be printed", said],
    );
    assert_eq!(held(&project).len(), 1);
    let tail = [&TAIL[..], &["earliest"]].concat();
    for arguments in [&tail[..], &["streams", "list"]] {
        onto_full(arguments).fails(1, &[said]);
    }
}

#[tokio::test]
async fn the_two_signals_of_timeout_are_one() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let (servers, prefix) = (kafka.servers(), kafka.prefix());
    project.toml(&format!(
        "kafka-servers = [\"{servers}\"]\ntopic-prefix = \"{prefix}\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{prefix}g\"\nhandler = \"stdout\"\n"
    ));
    let program = env!("CARGO_BIN_EXE_kafkaesk-cli");
    let ran = project.shell(&format!("timeout 4 '{program}' worker"));
    let said = &ran.stderr;
    assert!(said.contains("SIGTERM: finishing"), "{said}");
    assert!(said.contains("ended; what was cut off"), "{said}");
}
