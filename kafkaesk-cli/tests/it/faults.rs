//! A worker under faults: killed, asked to end, its children dying, its endpoint refusing. Nothing is lost.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use kafkaesk_client::testing::{TestKafka, kafka};

use crate::{
    server::{Posted, Server},
    support::{Project, orders, until},
};

fn subscribe(project: &Project, kafka: &TestKafka, handler: &str) {
    project.toml(&format!(
        r#"
[[subscriptions]]
pattern = "orders.*"
group = "{}g"
handler = {handler}
kafka-settings = {{ "session.timeout.ms" = 6000 }}
"#,
        kafka.prefix()
    ));
}

fn ids<'a>(bodies: impl IntoIterator<Item = &'a [u8]>) -> BTreeSet<u64> {
    bodies
        .into_iter()
        .map(|body| {
            let data: serde_json::Value = serde_json::from_slice(body).unwrap();
            data["id"].as_u64().unwrap()
        })
        .collect()
}

fn posted_ids(posted: &[Posted]) -> BTreeSet<u64> {
    ids(posted.iter().map(|posted| posted.body.as_slice()))
}

#[tokio::test]
async fn a_worker_killed_in_mid_stream_loses_nothing_when_it_starts_again() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_millis(5));
        (204, "", "")
    });
    subscribe(
        &project,
        &kafka,
        &format!("{{ http = \"{}\" }}", server.url),
    );
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(2000))
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("some messages", |_| server.posted().len() > 300);
    worker.signal("KILL");
    worker.end();
    let before = posted_ids(&server.posted()).len();
    assert!(before < 2000, "it was killed too late to prove anything");

    let mut worker = project.start(&["worker"]);
    worker.until("every message", |_| {
        posted_ids(&server.posted()).len() == 2000
    });
    worker.signal("TERM");
    let ended = worker.end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_loses_nothing_and_repeats_less_than_it_had_in_flight() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_millis(3));
        (204, "", "")
    });
    subscribe(
        &project,
        &kafka,
        &format!("{{ http = \"{}\" }}", server.url),
    );
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(1000))
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("some messages", |_| server.posted().len() > 100);
    worker.signal("INT");
    let ended = worker.end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let mut worker = project.start(&["worker"]);
    worker.until("every message", |_| {
        posted_ids(&server.posted()).len() == 1000
    });
    worker.signal("TERM");
    assert_eq!(worker.end().status, 0);
    // A message that waits behind its key holds up the watermark of what is done behind it.
    let repeated = server.posted().len() - 1000;
    assert!(repeated < 32, "{repeated} messages came twice");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    subscribe(
        &project,
        &kafka,
        r#"{ exec = ["python3", "-c", "import sys, time; sys.stdin.readline(); open('begun', 'w'); time.sleep(1000)"] }"#,
    );
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(1))
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("the child's first message", |_| {
        project.path().join("begun").exists()
    });
    worker.signal("TERM");
    worker.until("the first signal", |worker| {
        worker.stderr().contains("a second signal ends at once")
    });
    worker.signal("TERM");
    assert_eq!(worker.end().status, 143);
}

#[tokio::test]
async fn children_that_die_lose_nothing_and_answer_by_plain_print() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project.file(
        "handler.py",
        r#"
import json, sys
for count, line in enumerate(sys.stdin):
    message = json.loads(line)
    if count == 7:
        print("dying of old age", file=sys.stderr)
        sys.exit(3)
    with open("handled", "a") as handled:
        handled.write(json.dumps(message["data"]) + "\n")
    print("debugging left behind")
    print(json.dumps({"delivery": message["delivery"], "outcome": "done"}))
"#,
    );
    subscribe(
        &project,
        &kafka,
        r#"{ exec = ["python3", "handler.py"], processes = 2 }"#,
    );
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(40))
        .succeeds();
    let worker = project.start(&["worker"]);
    let file = project.path().join("handled");
    let handled = || std::fs::read_to_string(&file).unwrap_or_default();
    until("every message", || {
        ids(handled().lines().map(str::as_bytes)).len() == 40
    });
    worker.signal("TERM");
    let ended = worker.end();
    ended.fails(
        0,
        &[
            "exit status: 3; it is started again in",
            "stderr: dying of old age",
            "a line on standard output is ignored",
        ],
    );
}

#[tokio::test]
async fn a_wrong_endpoint_spends_no_message_and_a_rejection_says_why() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::start(move |posted| {
        let id: serde_json::Value = serde_json::from_slice(&posted.body).unwrap();
        match (id["id"].as_u64(), count.fetch_add(1, Ordering::SeqCst)) {
            (Some(1), _) => (422, "", "unknown customer"),
            (_, 0..4) => (404, "", "no such path"),
            _ => (204, "", ""),
        }
    });
    subscribe(
        &project,
        &kafka,
        &format!("{{ http = \"{}\" }}", server.url),
    );
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(2))
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("the end of both messages", |worker| {
        let last =
            server.posted().iter().rev().any(|posted| {
                posted.body.ends_with(b"0}") && posted.header("kafkaesk-attempt") != "1"
            });
        last && worker.stderr().contains("unknown customer")
    });
    worker.until("the endpoint repaired", |_| {
        asked.load(Ordering::SeqCst) >= 5
    });
    worker.signal("TERM");
    worker.end().fails(
        0,
        &[
            "endpoint wrong",
            "answered 404 Not Found: no such path",
            "answered 422 Unprocessable Entity: unknown customer",
        ],
    );
    let again = server.posted().len();
    let mut worker = project.start(&["worker"]);
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(1))
        .succeeds();
    worker.until("the next message", |_| server.posted().len() > again);
    worker.signal("TERM");
    worker.end();
    assert_eq!(
        server.posted().len(),
        again + 1,
        "rejected and handled messages are committed"
    );
}

#[tokio::test]
async fn a_wrong_endpoint_pauses_its_subscription_and_spends_no_message() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let wrong = Arc::new(AtomicBool::new(true));
    let is_wrong = wrong.clone();
    let server = Server::start(move |_| match is_wrong.load(Ordering::SeqCst) {
        true => (404, "", "no such path"),
        false => (204, "", ""),
    });
    subscribe(
        &project,
        &kafka,
        &format!("{{ http = \"{}\" }}", server.url),
    );
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(500))
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("three tries", |worker| {
        worker.stderr().matches("is paused").count() >= 3
    });
    // What ran side by side when it was found, then one for each try.
    let asked = server.posted().len();
    assert!(asked < 50, "{asked} requests to an endpoint that is wrong");
    wrong.store(false, Ordering::SeqCst);
    worker.until("every message", |_| {
        posted_ids(&server.posted()[asked..]).len() == 500
    });
    worker.signal("TERM");
    worker
        .end()
        .fails(0, &["endpoint wrong", "the subscription goes on"]);
}

/// How many lines of its log say that something failed.
fn warnings(stderr: &str) -> usize {
    let lines = stderr.lines();
    lines
        .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
        .count()
}

#[tokio::test]
async fn an_endpoint_where_nothing_listens_pauses_its_subscription_and_writes_few_lines() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    subscribe(
        &project,
        &kafka,
        &format!("{{ http = \"http://{address}\" }}"),
    );
    let lines: String = (0..20_000)
        .map(|id| {
            format!(
                "{{\"stream\":\"orders.placed\",\"schema\":\"Order:1\",\"key\":\"{id}\",\"data\":{{\"id\":{id}}}}}\n"
            )
        })
        .collect();
    project
        .run_with(&["publish", "--ndjson", "-"], &lines)
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("eight tries", |worker| worker.stderr().contains("tries=8"));
    worker.signal("TERM");
    let ended = worker.end();
    ended.fails(
        0,
        &[
            "cannot be reached",
            "held: its last attempt failed",
            "failed_attempts=0",
            "pauses=1",
        ],
    );
    // Four tries are logged, ten messages are named at the end, and the librdkafka of a busy machine may have its say.
    let warnings = warnings(&ended.stderr);
    assert!(warnings < 30, "{warnings} warnings:\n{}", ended.stderr);
    let held: u64 = figure(&ended.stderr, "cut_off=");
    assert!((1..200).contains(&held), "{held} messages were begun");
}

/// The number that follows `name` in the log.
fn figure(stderr: &str, name: &str) -> u64 {
    let at = stderr.rfind(name).expect(name) + name.len();
    let digits = stderr[at..].split(|c: char| !c.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_child_that_never_answers_anything_and_a_full_output_pause_their_subscription() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(1000))
        .succeeds();
    subscribe(
        &project,
        &kafka,
        r#"{ exec = ["sh", "-c", "read line; exit 7"], processes = 2, in-flight = 8 }"#,
    );
    let mut worker = project.start(&["worker"]);
    worker.until("four tries", |worker| worker.stderr().contains("tries=4"));
    worker.signal("TERM");
    let ended = worker.end();
    ended.fails(
        0,
        &[
            "the subscription is paused",
            "exit status: 7",
            "failed_attempts=0",
            "handled=0",
        ],
    );
    assert!(figure(&ended.stderr, "cut_off=") > 0, "{}", ended.stderr);
    let warned = warnings(&ended.stderr);
    assert!(warned < 60, "{warned} warnings:\n{}", ended.stderr);

    subscribe(&project, &kafka, "{ stdout = true }");
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut worker = project.start_onto(&["worker"], full.unwrap());
    worker.until("four tries", |worker| worker.stderr().contains("tries=4"));
    worker.signal("TERM");
    let ended = worker.end();
    ended.fails(
        0,
        &[
            "writing to standard output failed: No space left on device",
            "the subscription is paused",
            "failed_attempts=0",
        ],
    );
    assert!(figure(&ended.stderr, "cut_off=") > 0, "{}", ended.stderr);
    let warned = warnings(&ended.stderr);
    assert!(warned < 30, "{warned} warnings:\n{}", ended.stderr);
}

#[tokio::test]
async fn a_child_that_prints_other_text_among_its_answers_writes_few_lines() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project.file(
        "handler.py",
        r#"
import json, sys
for line in sys.stdin:
    for number in range(50):
        print("debugging left behind", number)
    print(json.dumps({"delivery": json.loads(line)["delivery"], "outcome": "done"}))
"#,
    );
    subscribe(&project, &kafka, r#"{ exec = ["python3", "handler.py"] }"#);
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(100))
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("the last of the lines that are logged", |worker| {
        worker.stderr().contains("count=4096")
    });
    worker.signal("TERM");
    let ended = worker.end();
    ended.fails(0, &["a line on standard output is ignored", "count=1"]);
    let warned = warnings(&ended.stderr);
    assert!(warned < 30, "{warned} warnings:\n{}", ended.stderr);
}

#[tokio::test]
async fn a_delay_beyond_the_bound_is_cut_and_the_log_says_so() {
    let kafka = kafka().await;
    let project = Project::on(&kafka)
        .variable("KAFKAESK_PARTITIONS", "1")
        .with_order();
    let server = Server::start(|_| (503, "retry-after: 99999999\r\n", ""));
    subscribe(
        &project,
        &kafka,
        &format!("{{ http = \"{}\" }}", server.url),
    );
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(20))
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("every message", |_| server.posted().len() == 20);
    worker.until("its end", |worker| {
        worker.stderr().contains("again_in=3600s")
    });
    worker.signal("TERM");
    let ended = worker.end();
    ended.fails(
        0,
        &["asked for a longer delay", "asked=99999999s longest=3600s"],
    );
    let lines = ended.stderr.matches("asked for a longer delay").count();
    assert_eq!(
        lines, 5,
        "the 1st, 2nd, 4th, 8th and 16th:\n{}",
        ended.stderr
    );
}

#[tokio::test]
async fn messages_that_fail_alone_write_few_lines_as_well() {
    let kafka = kafka().await;
    let project = Project::on(&kafka)
        .variable("KAFKAESK_PARTITIONS", "1")
        .with_order();
    let server = Server::start(|_| (503, "", "busy"));
    subscribe(
        &project,
        &kafka,
        &format!("{{ http = \"{}\" }}\nfailure-limit = \"off\"", server.url),
    );
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(500))
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("many failures", |_| server.posted().len() > 150);
    worker.signal("TERM");
    let ended = worker.end();
    ended.fails(
        0,
        &["count=1 ", "count=64 ", "503 Service Unavailable: busy"],
    );
    assert!(figure(&ended.stderr, "failed_attempts=") > 150);
    assert_eq!(figure(&ended.stderr, "cut_off="), 20, "{}", ended.stderr);
    let warnings = warnings(&ended.stderr);
    assert!(warnings < 30, "{warnings} warnings:\n{}", ended.stderr);
}

#[tokio::test]
async fn the_end_says_what_is_held_and_what_it_makes_come_again() {
    let kafka = kafka().await;
    let project = Project::on(&kafka)
        .variable("KAFKAESK_PARTITIONS", "1")
        .with_order();
    let server = Server::start(|posted| match posted.body.ends_with(b":0}") {
        true => (503, "", "not this one"),
        false => (204, "", ""),
    });
    subscribe(
        &project,
        &kafka,
        &format!("{{ http = \"{}\" }}", server.url),
    );
    // One partition, two keys: the first message of one key is never handled.
    let line = |id: u64| {
        format!(
            "{{\"stream\":\"orders.placed\",\"schema\":\"Order:1\",\"key\":\"{}\",\"data\":{{\"id\":{id}}}}}\n",
            id % 2
        )
    };
    let lines: String = (0..100).map(line).collect();
    project
        .run_with(&["publish", "--ndjson", "-"], &lines)
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("the other key", |_| {
        let posted = posted_ids(&server.posted());
        posted.len() == 51
    });
    worker.signal("TERM");
    let ended = worker.end();
    ended.fails(
        0,
        &[
            "held: its last attempt failed",
            "partition=0 offset=0 ",
            "since=\"20",
            "waiting_for_it=49",
            "handled=50",
            "cut_off=1",
            "redelivered=0",
        ],
    );
    // And so it is.
    let before = server.posted().len();
    let mut worker = project.start(&["worker"]);
    worker.until("the first again", |_| {
        !posted_ids(&server.posted()[before..]).is_empty()
    });
    worker.signal("TERM");
    worker.end();
    // What was handled behind it is not.
    assert_eq!(posted_ids(&server.posted()[before..]).len(), 1);
}

#[tokio::test]
async fn a_child_of_a_manual_subscription_answers_whenever_it_has_flushed() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    // It answers in the other direction, a hundred messages at a time.
    project.file(
        "sink.py",
        "import json, sys\nheld = []\nfor line in sys.stdin:\n    held.append(json.loads(line))\n    if len(held) == 100:\n        with open('rows', 'a') as rows:\n            for message in held:\n                rows.write('%d\\n' % message['data']['id'])\n        for message in reversed(held):\n            print(json.dumps({'delivery': message['delivery'], 'outcome': 'done'}))\n        sys.stdout.flush()\n        held = []\n",
    );
    subscribe(
        &project,
        &kafka,
        "{ exec = [\"python3\", \"sink.py\"] }\ncommit = \"manual\"",
    );
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(300))
        .succeeds();
    let rows = || std::fs::read_to_string(project.path().join("rows")).unwrap_or_default();
    let worker = project.start(&["worker"]);
    until("every message", || rows().lines().count() == 300);
    worker.signal("TERM");
    let ended = worker.end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let worker = project.start(&["worker"]);
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(100))
        .succeeds();
    until("the new ones alone", || rows().lines().count() >= 400);
    assert_eq!(rows().lines().count(), 400);
    worker.signal("TERM");
    assert_eq!(worker.end().status, 0);
}
