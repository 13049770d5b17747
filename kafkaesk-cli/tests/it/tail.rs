//! What `tail` prints of a stream: of one key, of one partition, from one offset, and with headers.

use kafkaesk_client::testing::kafka;
use serde_json::Value;

use crate::support::{Project, orders};

/// The lines of a tail to the end, with these arguments.
fn tail(project: &Project, arguments: &[&str]) -> Vec<Value> {
    let all = [
        &["tail", "orders.placed", "--until-end", "--output", "json"],
        arguments,
    ]
    .concat();
    let lines = project.run(&all).succeeds();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_tail_prints_what_its_key_partition_and_offset_say_and_nothing_else() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let count = 100;
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(count))
        .succeeds();
    let all = tail(&project, &[]);
    assert_eq!(all.len(), count);

    let of_key = tail(&project, &["--key", "k3"]);
    assert_eq!(of_key.len(), count / 20);
    assert!(of_key.iter().all(|line| line["key"] == "k3"));
    assert!(tail(&project, &["--key", "k"]).is_empty());
    assert_eq!(tail(&project, &["--key", "k3", "--max", "2"]), of_key[..2]);

    let partition = of_key[0]["partition"].as_i64().unwrap();
    let in_partition: Vec<Value> = all
        .into_iter()
        .filter(|line| line["partition"] == partition)
        .collect();
    let number = partition.to_string();
    assert_eq!(tail(&project, &["--partition", &number]), in_partition);
    let end = in_partition.len() as i64;
    for from in [0, 1, end - 1, end] {
        let offset = from.to_string();
        let arguments = ["--partition", &number, "--from-offset", &offset];
        assert_eq!(
            tail(&project, &arguments),
            in_partition[from as usize..],
            "from {from}"
        );
    }
    let beyond = (end + 1).to_string();
    let last = (end - 1).to_string();
    project
        .run(&["tail", "orders.placed", "--partition", &number, "--from-offset", &beyond])
        .fails(1, &[&format!("orders.placed[{number}]: it holds the offsets 0 to {last}, and the next record gets {end}")]);
    project
        .run(&["tail", "orders.placed", "--partition", "70"])
        .fails(1, &["--partition 70 is not there", "partitions 0 to 6"]);
    project
        .run(&[
            "tail",
            "orders.plcaed",
            "--partition",
            "0",
            "--from-offset",
            "0",
        ])
        .fails(
            1,
            &[
                "there is no stream orders.plcaed",
                "did you mean `orders.placed`?",
            ],
        );
    for (arguments, said) in [
        (
            &["tail", "orders.*", "--partition", "0", "--from-offset", "0"][..],
            "name one stream",
        ),
        (
            &["tail", "orders.placed", "--from-offset", "0"],
            "--partition",
        ),
        (&["tail", "orders.placed", "--partition=-1"], "--partition"),
    ] {
        project.run(arguments).fails(64, &[said]);
    }
}

#[tokio::test]
async fn headers_are_lines_below_their_message_and_a_member_of_its_json_line() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let publish = [
        "publish",
        "orders.placed",
        "--schema",
        "Order:1",
        "--data",
        "{\"id\":1}",
    ];
    let headers = [
        "--header",
        "source=shop: \"1\"",
        "--header",
        "note=two\nlines",
    ];
    project.run(&[&publish[..], &headers].concat()).succeeds();
    let text = |more: &[&str]| {
        let all = [&["tail", "orders.placed", "--until-end"], more].concat();
        project.run(&all).succeeds()
    };
    assert_eq!(text(&[]).lines().count(), 1);
    let with_headers = text(&["--headers"]);
    let lines: Vec<&str> = with_headers.lines().collect();
    assert!(lines[0].ends_with("{\"id\":1}"), "{with_headers}");
    assert!(lines.contains(&"    source: shop: \"1\""), "{with_headers}");
    assert!(lines.contains(&"    note: two\\nlines"), "{with_headers}");
    assert_eq!(
        tail(&project, &["--headers"])[0]["headers"]["source"],
        "shop: \"1\""
    );
}
