//! Records that hold no event, as another producer may have left them: shown for what they are, never taken for an event,
//! and passed over, rejected or held as the subscription says.

use bytes::Bytes;
use kafkaesk_client::{
    Connection,
    broker::Outgoing,
    core::{Headers, StreamId},
    testing::{TestKafka, kafka},
};

use crate::{server::Server, support::Project};

/// Values that are not an envelope, and what is said of them.
const MALFORMED: [(&[u8], &str); 4] = [
    (b"", "the text is empty"),
    (b"{\"schema\":\"Order:1\"}", "no member `data`"),
    (b"{\"schema\":\"Order\",\"data\":1}", "has no version"),
    (b"\xff", "byte 0"),
];

/// Leaves them in partition 0, as no client of ours would, and one event behind them.
async fn leave(kafka: &TestKafka) {
    let connection = Connection::open(&kafka.settings()).await.unwrap();
    let stream = StreamId::new("orders.placed").unwrap();
    let topic = connection.settings().topic_prefix.topic(&stream).unwrap();
    let event: &[u8] = b"{\"schema\":\"Order:1\",\"data\":{\"id\":7}}";
    for value in MALFORMED.map(|(value, _)| value).into_iter().chain([event]) {
        let record = Outgoing {
            topic: topic.clone(),
            partition: Some(0),
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from_static(value)),
            headers: Headers::new(),
            timestamp: None,
            batch: Default::default(),
        };
        connection.broker().send(record).unwrap().await.unwrap();
    }
}

#[tokio::test]
async fn a_record_without_an_event_is_shown_with_its_error_and_held_rejected_or_passed_over() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project
        .run(&[
            "publish",
            "orders.placed",
            "--schema",
            "Order:1",
            "--data",
            "{\"id\":1}",
            "--key",
            "k",
        ])
        .succeeds();
    leave(&kafka).await;

    let tailed = project
        .run(&["tail", "orders.*", "--until-end", "--output", "json"])
        .succeeds();
    let lines: Vec<serde_json::Value> = tailed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line.get("error").is_some())
        .collect();
    assert_eq!(lines.len(), MALFORMED.len(), "{tailed}");
    for (line, (_, said)) in lines.iter().zip(MALFORMED) {
        assert!(line["error"].as_str().unwrap().contains(said), "{line}");
        assert!(
            line["value"].is_object() && line.get("data").is_none(),
            "{line}"
        );
        project
            .run_with(&["publish", "--ndjson", "-"], &line.to_string())
            .fails(1, &["-:1: ", "a record that is not an event"]);
    }

    let server = Server::start(|_| (204, "", ""));
    let subscribe = |group: &str, policy: &str| {
        project.toml(&format!(
            "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{}{group}\"\n{policy}handler = {{ http = \"{}\" }}\nkafka-settings = {{ \"session.timeout.ms\" = 6000 }}\n",
            kafka.prefix(),
            server.url
        ));
    };
    let posted = || {
        let posted = server.posted();
        posted
            .iter()
            .filter(|posted| posted.body == b"{\"id\":7}")
            .count()
    };
    subscribe("g", "on-no-event = \"hold\"\n");
    let mut worker = project.start(&["worker"]);
    worker.until("the hold", |worker| worker.stderr().contains("attempt=4"));
    worker.signal("TERM");
    worker.end().fails(
        0,
        &[
            "the record holds no event: no envelope: the text is empty",
            "held by on-no-event",
            "held: its last attempt failed",
            "waiting_for_it=4",
            "cut_off=1",
        ],
    );
    assert_eq!(posted(), 0);

    subscribe("g", "on-no-event = \"reject\"\non-reject = \"skip\"\n");
    let mut worker = project.start(&["worker"]);
    worker.until("the event behind them", |_| posted() == 1);
    worker.signal("TERM");
    let ended = worker.end();
    // The 1st, 2nd and 4th are said.
    let said = [0, 1, 3].map(|number: usize| MALFORMED[number].1);
    ended.fails(0, &said);
    ended.fails(0, &["count=1", "count=2", "count=4"]);
    let here = format!(
        "topic=\"{}orders.placed\" partition=0 offset=",
        kafka.prefix()
    );
    assert_eq!(
        ended.stderr.matches(&here).count(),
        said.len(),
        "{}",
        ended.stderr
    );

    // An empty value is usual and only counted; of the others the 1st and 2nd are said.
    subscribe("skips", "on-no-event = \"skip\"\n");
    let mut worker = project.start(&["worker"]);
    worker.until("the event behind them", |_| posted() == 2);
    worker.signal("TERM");
    let ended = worker.end();
    ended.fails(
        0,
        &[
            "no member `data`",
            "has no version",
            "stream=\"orders.placed\" partition=0 offset=",
            "passed over by on-no-event",
            "without_event=4",
            "cut_off=0",
        ],
    );
    assert_eq!(ended.stderr.matches("passed over by").count(), 2);

    // By default they hold back nothing, and are kept.
    subscribe("default", "");
    let mut worker = project.start(&["worker"]);
    worker.until("the event behind them", |_| posted() == 3);
    worker.signal("TERM");
    worker.end().fails(
        0,
        &[
            "no member `data`",
            "has no version",
            "it is kept as a dead letter in topic",
            "reason=no-event",
            "dead_letters=3",
            "without_event=1",
            "cut_off=0",
        ],
    );
}
