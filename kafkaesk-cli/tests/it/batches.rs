//! Batches of an `http` handler: the example in Python gets many messages in one request on a real Kafka, and answers each.

use std::{
    collections::BTreeSet,
    fs::File,
    path::Path,
    process::{Child, Command},
};

use kafkaesk_client::testing::kafka;

use crate::support::{Project, orders, until};

/// The example, which ends with this value.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn an_http_handler_gets_many_messages_at_once_and_each_is_judged_by_its_line() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let output = project.path().join("output");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/batches/load.py");
    let mut python = Command::new("python3");
    let python = python
        .arg(script)
        .arg("0")
        .stdout(File::create(&output).unwrap());
    let _example = Example(python.spawn().unwrap());
    let lines = || -> Vec<String> {
        let text = std::fs::read_to_string(&output).unwrap_or_default();
        // The last line may not be written to its end yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    };
    until("the server", || !lines().is_empty());
    let port = lines()[0].rsplit(' ').next().unwrap().to_owned();

    let group = format!("{}g", kafka.prefix());
    project.toml(&format!(
        r#"
[[subscriptions]]
pattern = "orders.*"
group = "{group}"
handler = {{ http = "http://127.0.0.1:{port}/orders" }}
batch = {{ max = 100, wait = "300ms" }}
"#
    ));
    let rejected = orders(1).replace("\"id\":0", "\"id\":-1");
    let all = orders(300) + &rejected;
    project
        .run_with(&["publish", "--ndjson", "-"], &all)
        .succeeds();
    let worker = project.start(&["worker"]);
    let rows = || -> Vec<u64> {
        let of_line = |line: &String| {
            let ids = line.split_once("rows:")?.1;
            Some(
                ids.split_whitespace()
                    .map(|id| id.parse().unwrap())
                    .collect(),
            )
        };
        lines()
            .iter()
            .filter_map(of_line)
            .collect::<Vec<Vec<u64>>>()
            .concat()
    };
    let letters = ["dead-letters", "list", group.as_str()];
    until("every row", || rows().len() >= 300);
    until("the rejected one", || {
        project.run(&letters).stdout.contains("is not negative")
    });
    worker.signal("TERM");
    let ended = worker.end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let inserted = rows();
    assert_eq!(inserted.len(), 300);
    assert_eq!(BTreeSet::from_iter(inserted), (0..300).collect());
    let requests = lines().len() - 1;
    assert!(requests <= 30, "{requests} requests for 301 messages");
}
