//! `lag`: how far groups are behind, whether or not a worker runs.

use kafkaesk_client::testing::kafka;
use serde_json::Value;

use crate::support::{Project, Ran, orders};

fn publish(project: &Project, count: usize) {
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(count))
        .succeeds();
}

/// The last line of JSON.
fn last(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap()
}

#[tokio::test]
async fn the_lag_of_a_worker_that_is_gone_is_seen_without_it() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let group = format!("{}billing", kafka.prefix());
    project.toml(&format!(
        "group-prefix = \"{}\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"billing\"\nhandler = \"stdout\"\n",
        kafka.prefix()
    ));
    publish(&project, 5);
    // Its worker has never run: Kafka does not know the group, the configuration does.
    for arguments in [&["lag"][..], &["lag", "billing"]] {
        let behind = project.run(arguments).succeeds();
        assert!(
            behind.contains(&format!("{group}  nobody is in it  lag 5")) && behind.contains("STOP"),
            "{behind}"
        );
    }
    let mut worker = project.start(&["worker"]);
    worker.until("five messages", |worker| worker.stdout().len() == 5);
    let running = project.run(&["lag", "billing", "--output", "json"]);
    assert_eq!(last(&running.succeeds())["members"], true);
    worker.signal("TERM");
    worker.end();
    let read = project.run(&["lag"]).succeeds();
    assert!(
        read.contains(&format!("{group}  nobody is in it  lag 0")),
        "{read}"
    );

    publish(&project, 3);
    // The group's name with and without its prefix.
    for name in ["billing", &group] {
        let behind = project.run(&["lag", name]).succeeds();
        for said in [
            "nobody is in it",
            "lag 3",
            "STOP: nobody is in the group; start its worker",
            "orders.placed[",
        ] {
            assert!(behind.contains(said), "{said} is missing in {behind}");
        }
        let json = last(&project.run(&["lag", name, "--output", "json"]).succeeds());
        assert_eq!(json["group"], group.as_str());
        assert_eq!(json["lag"], 3);
        assert_eq!(json["members"], false);
        assert_eq!(json["verdict"], "STOP");
        assert!(json["seconds"].as_f64().unwrap() < 120.0, "{json}");
        let partitions = json["partitions"].as_array().unwrap();
        assert_eq!(partitions.len(), 7);
        let behind = |it: &&Value| it["lag"] != 0;
        for it in partitions.iter().filter(behind) {
            assert!(it["oldest"].is_string() && it["verdict"] == "STOP", "{it}");
        }
    }
}

#[tokio::test]
async fn a_message_that_is_held_is_a_stall_once_it_was_watched_for_the_window() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let group = format!("{}billing", kafka.prefix());
    project
        .file("no.py", "import json, sys\nfor line in sys.stdin:\n    print(json.dumps({'delivery': json.loads(line)['delivery'], 'outcome': 'reject', 'reason': 'no'}), flush=True)\n")
        .toml(&format!(
            "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{group}\"\non-reject = \"hold\"\nhandler = {{ exec = [\"python3\", \"no.py\"] }}\n"
        ));
    publish(&project, 1);
    let mut worker = project.start(&["worker"]);
    worker.until("a held message", |worker| {
        worker.stderr().contains("reject")
    });
    // It has never committed: the configuration says what it reads.
    let new = project.run(&["lag", &group]).succeeds();
    assert!(
        new.contains("nothing committed") && new.contains("lag 1"),
        "{new}"
    );
    let partition = worker.stderr();
    let place = partition.split("orders.placed[").nth(1).unwrap();
    let place = place.split(']').next().unwrap().to_owned();
    worker.signal("TERM");
    worker.end();
    let reset = format!("orders.placed[{place}]@0");
    project
        .run(&["groups", "reset", &group, &reset, "--yes"])
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("a held message", |worker| {
        worker.stderr().contains("reject")
    });

    let arguments = [
        "lag",
        &group,
        "--watch=500ms",
        "--window",
        "2s",
        "--output",
        "json",
    ];
    let mut watch = project.start(&arguments);
    let verdict = |line: &String| last(line)["verdict"].as_str().unwrap().to_owned();
    watch.until("a stall", |watch| {
        watch.stdout().iter().any(|line| verdict(line) == "STALL")
    });
    assert_eq!(verdict(&watch.stdout()[0]), "UNKNOWN");
    watch.signal("INT");
    assert_eq!(watch.end().status, 0);
    worker.signal("TERM");
    worker.end();
}

#[tokio::test]
async fn a_group_that_there_is_not_is_an_error_with_the_nearest_name() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let group = format!("{}billing", kafka.prefix());
    let none: Ran = project.run(&["lag"]);
    none.fails(0, &["no consumer group committed anything in our streams"]);
    publish(&project, 1);
    project
        .run(&["groups", "reset", &group, "orders.placed[0]@0", "--yes"])
        .succeeds();
    let misspelt = format!("{}biling", kafka.prefix());
    project.run(&["lag", &misspelt]).fails(
        1,
        &[
            "there is no consumer group",
            &format!("did you mean `{group}`?"),
        ],
    );
    project
        .run(&["lag", "--watch=1ms"])
        .fails(64, &["at least 500ms"]);
    project
        .run(&["lag", "--window", "5s"])
        .fails(64, &["--watch"]);
}

#[tokio::test]
async fn a_lag_that_is_served_is_that_of_kafka_and_ends_with_a_signal() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let group = format!("{}billing", kafka.prefix());
    project.toml(&format!(
        "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{group}\"\nhandler = \"stdout\"\n"
    ));
    publish(&project, 2);
    let mut worker = project.start(&["worker"]);
    worker.until("two messages", |worker| worker.stdout().len() == 2);
    worker.signal("TERM");
    worker.end();
    publish(&project, 3);
    let mut lag = project.start(&["lag", &group, "--listen", "127.0.0.1:0"]);
    lag.until("the address", |lag| lag.stderr().contains("/metrics"));
    let said = lag.stderr();
    let url = said
        .split_whitespace()
        .find(|word| word.starts_with("http://"));
    let mut text = String::new();
    for _ in 0..600 {
        text = reqwest::get(url.unwrap())
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        if text.contains("kafkaesk_consumer_lag_records{") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let of = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    };
    assert_eq!(of("kafkaesk_consumer_lag_records{"), 3.0, "{text}");
    assert_eq!(of("kafkaesk_consumer_committed_offset{"), 2.0, "{text}");
    assert_eq!(of("kafkaesk_stream_end_offset{"), 5.0, "{text}");
    let stop = format!("kafkaesk_consumer_status{{group_id=\"{group}\",status=\"STOP\"}} 1");
    assert!(text.contains(&stop), "{text}");
    let wanted = format!("kafkaesk_scaling_wanted{{group_id=\"{group}\",knob=\"processes\"}} 1");
    assert!(
        text.contains(&wanted),
        "an autoscaler starts from zero: {text}"
    );
    assert!(text.contains("kafkaesk_brokers_reachable 1"));
    lag.signal("TERM");
    assert_eq!(lag.end().status, 0);
    project
        .run(&["lag", "--listen", "no-port"])
        .fails(1, &["cannot listen at no-port"]);
    project
        .run(&["lag", "--window", "1m"])
        .fails(64, &["--watch"]);
}
