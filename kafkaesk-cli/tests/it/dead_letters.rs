//! `dead-letters`: what a group gave up is seen, handed back to that group alone, or given up, each once, also when a process is killed.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use kafkaesk_client::{
    Connection, DeadLetters,
    consumer::{ConsumerEvent, ConsumerSpec, Start},
    core::{DeadLetter, Headers, Offset, Pattern, Reason, Record, Source, StreamId},
    testing::{TestKafka, kafka},
};

use crate::support::{ORDER, Project, TIMEOUT, orders, until};

/// Rejects every order until the file `healed` is there, then writes its id to the file `handled`.
const CHILD: &str = r#"
import json, os, sys
for line in sys.stdin:
    event = json.loads(line)
    answer = {"delivery": event["delivery"], "outcome": "done"}
    if os.path.exists("healed"):
        with open("handled", "a") as handled:
            handled.write("%d\n" % event["data"]["id"])
    else:
        answer.update(outcome="reject", reason="no such customer\nof order %d" % event["data"]["id"])
    print(json.dumps(answer), flush=True)
"#;

/// A project with the groups `billing` (the child) and `audit` (standard output).
fn project(kafka: &TestKafka) -> Project {
    let project = Project::on(kafka).with_order();
    project.file("child.py", CHILD).toml(&format!(
        "group-prefix = \"{}\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"billing\"\nhandler = {{ exec = [\"python3\", \"child.py\"] }}\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"audit\"\nhandler = {{ stdout = true }}\n",
        kafka.prefix()
    ));
    project
}

/// Lines of orders with an identity of their own.
fn identified(count: usize) -> String {
    orders(count).replace("\"key\"", "\"id\":\"own\",\"key\"")
}

fn dead_letters<'a>(what: &[&'a str]) -> Vec<&'a str> {
    [&["dead-letters"], what].concat()
}

/// The dead letters of the group `billing` of the project.
async fn billing(kafka: &TestKafka) -> DeadLetters {
    let connection = Connection::open(&kafka.settings()).await.unwrap();
    let group = format!("{}billing", kafka.prefix());
    DeadLetters::of(&connection, &group).unwrap()
}

/// Writes dead letters past any worker: of record `n` of `orders.placed`, under the key `k<n>`.
async fn write(letters: &DeadLetters, count: i64) {
    letters.create(&[]).await.unwrap();
    let prefix = &letters.connection().settings().topic_prefix;
    let stream = StreamId::new("orders.placed").unwrap();
    let source = Arc::new(Source {
        topic: prefix.topic(&stream).unwrap(),
        stream,
        partition: 0,
    });
    let writes = (0..count).map(|n| {
        let record = Record {
            source: source.clone(),
            offset: Offset(n),
            timestamp: None,
            key: Some(format!("k{n}").into()),
            headers: Headers::new(),
            value: Some(format!("{{\"schema\":\"Order:1\",\"data\":{{\"id\":{n}}}}}").into()),
            unreadable: None,
        };
        let letter = DeadLetter {
            topic: source.topic.clone(),
            partition: 0,
            offset: Offset(n),
            timestamp: None,
            group: letters.group().to_owned(),
            schema: Some("Order:1".to_owned()),
            reason: match n % 2 {
                0 => Reason::Rejected,
                _ => Reason::Attempts,
            },
            error: format!("error {n}"),
            attempts: 1,
            first: None,
            last: None,
            redriven: 0,
        };
        async move { letters.write(&record, &letter).await.unwrap() }
    });
    futures_util::future::join_all(writes).await;
}

fn json(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_failed_comes_back_to_its_group_and_to_no_other() {
    let kafka = kafka().await;
    let project = project(&kafka);
    project
        .run_with(&["publish", "--ndjson", "-"], &identified(3))
        .succeeds();
    let mut worker = project.start(&["worker"]);
    let run = |what: &[&str]| project.run(&dead_letters(what));
    until("three dead letters", || {
        run(&["list", "billing"]).stdout.lines().count() == 3
    });
    worker.until("three lines of audit", |it| it.stdout().len() == 3);

    let list = run(&["list", "billing", "--key", "k1"]).succeeds();
    for part in [
        " rejected ",
        " Order:1 ",
        " k1 ",
        "orders.placed[",
        "no such customer",
    ] {
        assert!(list.contains(part), "{part:?} is missing in {list}");
    }
    // The group by its name in Kafka as well.
    let whole = format!("{}billing", kafka.prefix());
    let listed = json(&run(&["list", &whole, "--output", "json"]).succeeds());
    assert_eq!(listed.len(), 3);
    assert!(
        listed
            .iter()
            .all(|it| it["reason"] == "rejected" && it["settled"].is_null())
    );
    let second = listed.iter().find(|it| it["key"] == "k1").unwrap();
    assert_eq!(second["error"], "no such customer\nof order 1");
    assert_eq!(second["from"]["stream"], "orders.placed");
    assert!(second.get("value").is_none());
    let place = format!("{}@{}", second["partition"], second["offset"]);

    let show = run(&["show", "billing", "--offset", &place]).succeeds();
    for part in [
        "of order 1",
        "  key       k1",
        "\"id\": 1",
        "kafkaesk-id: own",
    ] {
        assert!(show.contains(part), "{part:?} is missing in {show}");
    }
    let shown = json(&run(&["show", "billing", "--offset", &place, "--output", "json"]).succeeds());
    assert_eq!(shown[0]["record"]["data"]["id"], 1);

    // Nobody redrove yet, so the retry topic is absent, and a worker runs.
    let dry = run(&["redrive", "billing", "--dry-run"]);
    dry.fails(2, &["does not exist yet: the redrive creates it"]);
    assert!(
        dry.stdout.contains("would redrive  3 letter(s)"),
        "{}",
        dry.stdout
    );
    project.file("healed", "");
    let one = run(&["redrive", "billing", "--offset", &place]).succeeds();
    assert!(one.contains("redriven  1 letter(s)"), "{one}");
    let rest = run(&["redrive", "billing", "--output", "json"]).succeeds();
    assert_eq!(json(&rest)[0]["settled"], 2);

    let handled = project.path().join("handled");
    until("three handled orders", || {
        std::fs::read_to_string(&handled).is_ok_and(|text| text.lines().count() == 3)
    });
    let mut ids: Vec<String> = std::fs::read_to_string(&handled)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    ids.sort();
    assert_eq!(ids, ["0", "1", "2"]);
    assert_eq!(worker.stdout().len(), 3);

    run(&["list", "billing"]).fails(0, &["no dead letters that are not settled; 3 were"]);
    let all = run(&["list", "billing", "--all"]).succeeds();
    assert_eq!(all.matches("(redriven already)").count(), 3, "{all}");
    run(&["redrive", "billing", "--offset", &place]).fails(
        1,
        &["matches the filter; 1 that was redriven or purged does"],
    );
    worker.signal("TERM");
    assert_eq!(worker.end().status, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_reaches_a_group_whose_partitions_the_brokers_assign() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project.file("child.py", CHILD).toml(&format!(
        "group-prefix = \"{}\"\n[kafka-settings.consumer]\n\"group.protocol\" = \"consumer\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"billing\"\nhandler = {{ exec = [\"python3\", \"child.py\"] }}\n",
        kafka.prefix()
    ));
    project
        .run_with(&["publish", "--ndjson", "-"], &identified(2))
        .succeeds();
    let worker = project.start(&["worker"]);
    let run = |what: &[&str]| project.run(&dead_letters(what));
    until("two dead letters", || {
        run(&["list", "billing"]).stdout.lines().count() == 2
    });
    project.file("healed", "");
    let redriven = run(&["redrive", "billing"]).succeeds();
    assert!(redriven.contains("redriven  2 letter(s)"), "{redriven}");
    let handled = project.path().join("handled");
    until("two handled orders", || {
        std::fs::read_to_string(&handled).is_ok_and(|text| text.lines().count() == 2)
    });
    worker.signal("TERM");
    assert_eq!(worker.end().status, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_take_what_they_say_and_a_purge_settles_it() {
    let kafka = kafka().await;
    let project = project(&kafka);
    let letters = billing(&kafka).await;
    write(&letters, 6).await;
    let run = |what: &[&str]| project.run(&dead_letters(what));
    let count = |filter: &[&str]| {
        let ran = run(&[&["list", "billing", "--output", "json"], filter].concat());
        ran.stdout.lines().count()
    };
    for (filter, found) in [
        (&[][..], 6),
        (&["--reason", "attempts"], 3),
        (&["--stream", "orders.*"], 6),
        (&["--stream", "invoices"], 0),
        (&["--schema", "Order"], 6),
        (&["--schema", "Order:2"], 0),
        (&["--key", "k3"], 1),
        (&["--since", "1h"], 6),
        (&["--since", "2999-01-01T00:00:00Z"], 0),
        (&["--reason", "rejected", "--key", "k3"], 0),
        (&["--limit", "2"], 2),
    ] {
        assert_eq!(count(filter), found, "{filter:?}");
    }
    run(&["list", "billing", "--limit", "2"]).fails(0, &["2 of 6 are listed"]);
    run(&["list", "billing", "--key", "k9"])
        .fails(1, &["no dead letter of group", "matches the filter"]);

    run(&["purge", "billing"]).fails(64, &["--yes", "--dry-run"]);
    run(&["purge", "billing", "--dry-run"]).fails(2, &[]);
    let purged = run(&["purge", "billing", "--reason", "attempts", "--yes"]).succeeds();
    assert!(purged.contains("purged  3 letter(s)"), "{purged}");
    assert_eq!((count(&[]), count(&["--all"])), (3, 6));
    // A record that nobody of ours wrote is shown with what is wrong with it, and stays.
    let foreign = kafkaesk_client::broker::Outgoing {
        topic: letters.topic().clone(),
        partition: None,
        key: Some("odd\u{1b}[31m".into()),
        value: Some("foreign".into()),
        headers: Headers::new(),
        timestamp: None,
        batch: Default::default(),
    };
    let delivery = letters.connection().broker().queue(foreign).await.unwrap();
    delivery.await.unwrap();
    let list = run(&["list", "billing"]).succeeds();
    assert!(
        list.contains("not a dead letter") && list.contains("kafkaesk-dead-topic"),
        "{list}"
    );
    assert!(
        run(&["show", "billing"])
            .succeeds()
            .contains("  value     foreign")
    );
    run(&["purge", "billing", "--yes", "--rate", "1000"])
        .fails(2, &["1 record(s) stay where they are"]);
    let left = run(&["list", "billing"]);
    left.fails(0, &["6 more are settled"]);
    assert!(left.stdout.contains("not a dead letter"), "{}", left.stdout);
    assert_eq!(left.stdout.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_told_with_what_would() {
    let kafka = kafka().await;
    let project = project(&kafka);
    let run = |what: &[&str]| project.run(&dead_letters(what));
    run(&["list"]).fails(64, &["several groups", "audit, billing"]);
    run(&["list", "biling"]).fails(1, &["did you mean `billing`?", "[[subscriptions]]"]);
    for what in ["list", "show", "redrive"] {
        run(&[what, "billing"]).fails(0, &["has no dead letters", "does not exist"]);
    }
    for (wrong, said) in [
        (["--offset", "17"], "PARTITION@OFFSET"),
        (["--since", "yesterday"], "neither a span"),
        (["--reason", "rejectd"], "rejected"),
        (["--schema", "Order:x"], "Order:x"),
        (["--stream", "a b"], "a b"),
        (["--limit", "0"], "--limit"),
    ] {
        run(&[&["list", "billing"], &wrong[..]].concat()).fails(64, &[said]);
    }
    run(&["redrive", "billing", "--rate", "0"]).fails(64, &["--rate"]);

    // Nobody would read what is redriven.
    let letters = billing(&kafka).await;
    write(&letters, 2).await;
    run(&["redrive", "billing", "--dry-run"]).fails(2, &["start a worker of the group"]);
    run(&["redrive", "billing"]).fails(
        1,
        &[
            "waiting until a member",
            "would reach nobody",
            "kafkaesk-cli worker",
        ],
    );
    assert_eq!(run(&["list", "billing"]).succeeds().lines().count(), 2);
    // Only one group is declared, so it need not be named.
    project.toml(&format!(
        "group-prefix = \"{}\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"billing\"\nhandler = {{ stdout = true }}\n",
        kafka.prefix()
    ));
    assert_eq!(run(&["list"]).succeeds().lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_is_killed_or_ended_repeats_nothing_and_loses_nothing() {
    const LETTERS: i64 = 200;
    let kafka = kafka().await;
    let project = project(&kafka);
    let letters = billing(&kafka).await;
    write(&letters, LETTERS).await;
    let member = ConsumerSpec {
        group: Some(letters.group().to_owned()),
        pattern: Pattern::new("none").unwrap(),
        retry_topic: Some(letters.retry_topic().clone()),
        start: Start::Earliest,
        drain: Duration::ZERO,
        kafka_settings: BTreeMap::new(),
        skip: Vec::new(),
        exact: false,
        partition: None,
    };
    let mut member = letters.connection().broker().consume(member).await.unwrap();
    let redrive = dead_letters(&["redrive", "billing", "--rate", "50"]);
    let settled = || {
        let list = project.run(&dead_letters(&["list", "billing", "--all"]));
        list.stdout.matches("(redriven already)").count()
    };
    for signal in ["KILL", "KILL", "TERM"] {
        let before = settled();
        let running = project.start(&redrive);
        until("some letters of a redrive", || settled() > before);
        running.signal(signal);
        let ran = running.end();
        if signal == "TERM" {
            ran.fails(
                1,
                &["stopped by a signal after", "run it again for the rest"],
            );
        }
    }
    assert!(
        settled() < LETTERS as usize,
        "there was nothing left to resume"
    );
    project
        .run(&dead_letters(&["redrive", "billing"]))
        .succeeds();

    let mut read: BTreeMap<i64, usize> = BTreeMap::new();
    let (begun, mut quiet) = (Instant::now(), false);
    while !quiet || read.len() < LETTERS as usize {
        assert!(
            begun.elapsed() < TIMEOUT,
            "{} letters came back",
            read.len()
        );
        // All are committed: after a second without one there is no more.
        match tokio::time::timeout(Duration::from_secs(1), member.next()).await {
            Ok(Some(ConsumerEvent::Records(batch))) => {
                for record in batch.records {
                    let letter = DeadLetter::read(&record.headers).unwrap();
                    *read.entry(letter.offset.0).or_default() += 1;
                }
            }
            Ok(_) => {}
            Err(_) => quiet = true,
        }
    }
    assert!(read.values().all(|times| *times == 1), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skip_to_the_dead_letters_moves_exactly_that_record() {
    let kafka = kafka().await;
    let project = project(&kafka);
    project
        .run_with(&["publish", "--ndjson", "-"], &identified(1))
        .succeeds();
    let tail = project.run(&["tail", "orders.*", "--until-end", "--output", "json"]);
    let event = &json(&tail.succeeds())[0];
    let place = format!("orders.placed[{}]@0", event["partition"]);
    let group = format!("{}billing", kafka.prefix());
    let skip = |flags: &[&str]| {
        project.run(&[&["groups", "skip", &group, &place, "--dead-letter"], flags].concat())
    };
    skip(&["--dry-run"]).fails(2, &["is written to the dead letters", "to offset 1"]);
    project
        .run(&dead_letters(&["list", "billing"]))
        .fails(0, &["has no dead letters"]);
    skip(&["--yes"]).fails(0, &["passed over by `groups skip`", "dead_letter=true"]);
    let shown = project.run(&dead_letters(&["show", "billing", "--output", "json"]));
    let shown = json(&shown.succeeds());
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["reason"], "skipped");
    assert_eq!(shown[0]["attempts"], 0);
    assert_eq!(shown[0]["error"], "skipped by a person");
    assert_eq!(shown[0]["from"]["offset"], 0);
    assert_eq!(shown[0]["schema"], "Order:1");
    assert_eq!(shown[0]["record"]["id"], "own");
    assert_eq!(shown[0]["record"]["data"], event["data"]);
    // There is no other record: nothing more is written or moved.
    skip(&["--yes"]).fails(1, &["there is no record to pass over"]);
    let list = project.run(&dead_letters(&["list", "billing"])).succeeds();
    assert_eq!(list.lines().count(), 1);
}

#[tokio::test]
async fn a_push_creates_the_topics_of_dead_letters_of_declared_groups() {
    let kafka = kafka().await;
    let project = Project::on(&kafka);
    let declared = |above: &str, group: &str| {
        format!(
            "{above}\nschemas = [\"schemas/*.json\"]\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{group}\"\nhandler = {{ stdout = true }}\n"
        )
    };
    let topic = format!("{}__dead__push.billing", kafka.prefix());
    let above = "group-prefix = \"push.\"\ndead-letter-retention = \"3d\"";
    project
        .file("schemas/Order.1.json", ORDER)
        .toml(&declared(above, "billing"));
    let push = |flags: &[&str]| project.run(&[&["schema", "push"], flags].concat());
    let dry = push(&["--dry-run"]);
    dry.fails(2, &[]);
    let line =
        format!("create  {topic}  1 partitions, retention 3d, dead letters of group push.billing");
    assert!(dry.stdout.contains(&line), "{}", dry.stdout);
    let pushed = push(&[]).succeeds();
    assert!(
        pushed.contains(&format!("created {topic}  1 partitions")),
        "{pushed}"
    );
    let again = json(&push(&["--dry-run", "--output", "json"]).succeeds());
    let found = again
        .iter()
        .find(|it| it["topic"] == topic.as_str())
        .unwrap();
    assert_eq!(found["action"], "present");
    assert_eq!(found["dead-letters-of"], "push.billing");

    project.toml(&declared("dead-letters = false", "other"));
    assert!(!push(&[]).succeeds().contains("__dead__"));
    project.toml(&declared("", "not good"));
    push(&[]).fails(
        1,
        &["kafkaesk.toml:5", "\"not good\"", "dead-letters = false"],
    );
}
