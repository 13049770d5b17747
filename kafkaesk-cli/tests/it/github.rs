//! Real data: GitHub's webhook payloads, pushed, published, and handled by an `http`, an `exec` and a `stdout` handler.
//! Exactly the valid ones arrive, byte for byte and in order for each key.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use kafkaesk_client::testing::kafka;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    server::{Posted, Server},
    support::Project,
};

/// A published or delivered line, as far as it is compared.
#[derive(Deserialize)]
struct Line<'a> {
    stream: String,
    key: Option<String>,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default)]
    partition: i32,
    #[serde(default)]
    offset: i64,
}

/// Data by stream and key, in order: what keeps its order.
type ByKey = BTreeMap<(String, String), Vec<String>>;
/// Stream, partition and offset: what tells a repeated delivery.
type Place = (String, i32, i64);

/// `shared/data/github` beside the clone (or further up); a test that cannot find it fails.
fn data_folder() -> PathBuf {
    let start = Path::new(env!("CARGO_MANIFEST_DIR"));
    start
        .ancestors()
        .map(|folder| folder.join("shared/data/github"))
        .find(|folder| folder.join("verdicts.txt").exists())
        .unwrap_or_else(|| {
            panic!(
                "no ../shared/data/github beside the clone, looked upward from {}",
                start.display()
            )
        })
}

/// Delivered lines, each message once.
fn delivered<'a>(lines: impl IntoIterator<Item = &'a str>) -> ByKey {
    let lines = lines.into_iter().map(|text| {
        let line: Line<'_> = serde_json::from_str(text).unwrap();
        let place = (line.stream.clone(), line.partition, line.offset);
        (
            place,
            line.key.unwrap_or_default(),
            line.data.get().to_owned(),
        )
    });
    once(lines)
}

/// A posted message's place, key and data.
fn posted(request: Posted) -> (Place, String, String) {
    let number = |name| request.header(name).parse::<i64>().unwrap();
    let place = (
        request.header("kafkaesk-stream").to_owned(),
        number("kafkaesk-partition") as i32,
        number("kafkaesk-offset"),
    );
    let key = kafkaesk_core::percent::decode(request.header("kafkaesk-key"));
    let data = String::from_utf8(request.body).unwrap();
    (place, String::from_utf8(key).unwrap(), data)
}

fn once(messages: impl IntoIterator<Item = (Place, String, String)>) -> ByKey {
    let mut seen = BTreeSet::new();
    let mut all = ByKey::new();
    for (place, key, data) in messages {
        if seen.insert(place.clone()) {
            all.entry((place.0, key)).or_default().push(data);
        }
    }
    all
}

fn published(lines: &[&str]) -> ByKey {
    let mut all = ByKey::new();
    for text in lines {
        let line: Line<'_> = serde_json::from_str(text).unwrap();
        all.entry((line.stream, line.key.unwrap_or_default()))
            .or_default()
            .push(line.data.get().to_owned());
    }
    all
}

const AUDIT: &str = r#"
import json, sys
with open("audit.ndjson", "a") as audit:
    for line in sys.stdin:
        audit.write(line)
        audit.flush()
        print(json.dumps({"delivery": json.loads(line)["delivery"], "outcome": "done"}))
"#;

#[tokio::test]
async fn exactly_the_valid_events_arrive_at_every_kind_of_handler() {
    let data = data_folder();
    let events = std::fs::read_to_string(data.join("events.ndjson")).unwrap();
    let verdicts = std::fs::read_to_string(data.join("verdicts.txt")).unwrap();
    let invalid: BTreeSet<usize> = verdicts
        .lines()
        .filter(|line| line.trim_end().ends_with(" invalid"))
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    let valid: Vec<&str> = events
        .lines()
        .enumerate()
        .filter(|(at, _)| !invalid.contains(&(at + 1)))
        .map(|(_, line)| line)
        .collect();
    assert!(!invalid.is_empty() && valid.len() + invalid.len() == 103);

    let kafka = kafka().await;
    let server = Server::start(|_| (204, "", ""));
    let project = Project::on(&kafka);
    let group = kafka.prefix().trim_end_matches('.');
    project.file("audit.py", AUDIT).toml(&format!(
        r#"
[[subscriptions]]
pattern = "github.*"
group = "{group}-http"
handler = {{ http = "{}" }}

[[subscriptions]]
pattern = "github.*"
group = "{group}-exec"
handler = {{ exec = ["python3", "audit.py"], in-flight = 8 }}

[[subscriptions]]
pattern = "github.*"
group = "{group}-stdout"
handler = {{ stdout = true }}
"#,
        server.url
    ));
    let pushed = project
        .run(&["schema", "push", data.join("schemas").to_str().unwrap()])
        .succeeds();
    assert_eq!(
        pushed.lines().filter(|l| l.starts_with("pushed")).count(),
        9
    );

    let file = data.join("events.ndjson");
    let file = file.to_str().unwrap();
    let ran = project.run(&["publish", "--ndjson", file, "--skip-invalid"]);
    ran.fails(2, &[&format!("{} published", valid.len())]);
    let refused: BTreeSet<usize> = ran
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("skipped: {file}:")))
        .map(|rest| rest.split(':').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(refused, invalid);

    let mut worker = project.start(&["worker"]);
    let audit = project.path().join("audit.ndjson");
    let audited = || std::fs::read_to_string(&audit).unwrap_or_default();
    // A message may be delivered more than once, so that lines alone say little.
    let wanted = published(&valid);
    let messages = |of: &ByKey| of.values().map(Vec::len).sum::<usize>();
    let all = messages(&wanted);
    worker.until("every event at every handler", |worker| {
        // Its last line may be written in part.
        let audited = audited();
        let whole = audited.rfind('\n').map_or("", |end| &audited[..end]);
        messages(&once(server.posted().into_iter().map(posted))) >= all
            && messages(&delivered(whole.lines())) >= all
            && messages(&delivered(worker.stdout().iter().map(String::as_str))) >= all
    });
    worker.signal("TERM");
    let ended = worker.end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);

    assert_eq!(delivered(ended.stdout.lines()), wanted, "stdout");
    assert_eq!(delivered(audited().lines()), wanted, "exec");
    let posted = once(server.posted().into_iter().map(posted));
    assert_eq!(posted, wanted, "http");
}
