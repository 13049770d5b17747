//! `dev --watch`: the worker follows the project's files, and the broker's messages stay.

use std::collections::BTreeSet;

use crate::{
    dev::{address, project},
    support::{Project, Running, orders},
};

const HANDLER: &str = "{ exec = [\"python3\", \"handler.py\"] }";

/// A handler that notes what it handles, under a name of its own, in `handled`.
fn handler(name: &str) -> String {
    format!(
        "import json, sys
for line in sys.stdin:
    message = json.loads(line)
    with open('handled', 'a') as handled:
        print('{name}', message['data']['id'], file=handled)
    print(json.dumps({{'delivery': message['delivery'], 'outcome': 'done'}}), flush=True)
"
    )
}

fn handled(project: &Project) -> BTreeSet<(String, usize)> {
    let text = std::fs::read_to_string(project.path().join("handled")).unwrap_or_default();
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    whole
        .map(|line| {
            let (name, id) = line.trim_end().split_once(' ').unwrap();
            (name.to_owned(), id.parse().unwrap())
        })
        .collect()
}

fn ids(project: &Project) -> BTreeSet<usize> {
    handled(project).into_iter().map(|(_, id)| id).collect()
}

fn start(project: &Project) -> (Running, String) {
    let mut dev = project.start(&["dev", "--watch"]);
    dev.until("the first start", |dev| {
        dev.stdout().iter().any(|line| line.contains(" publish "))
    });
    let address = address(&dev);
    (dev, address)
}

fn publish(project: &Project, address: &str, lines: &str) {
    project
        .run_with(
            &["publish", "--ndjson", "-", "--kafka-servers", address],
            lines,
        )
        .succeeds();
}

#[test]
fn a_handler_that_changes_under_load_is_started_again_and_no_message_is_lost() {
    const COUNT: usize = 3_000;
    let project = project(HANDLER);
    project.file("handler.py", handler("one"));
    let (mut dev, address) = start(&project);
    std::thread::scope(|scope| {
        scope.spawn(|| publish(&project, &address, &orders(COUNT)));
        dev.until("the first messages", |_| !handled(&project).is_empty());
        project.file("handler.py", handler("other"));
        dev.until("the change", |dev| {
            dev.stdout()
                .contains(&"changed handler.py; starting again".to_owned())
        });
    });
    dev.until("every message", |_| ids(&project).len() == COUNT);
    publish(&project, &address, &orders(1));
    dev.until("the new handler", |_| {
        handled(&project).contains(&("other".to_owned(), 0))
    });
    // What did not change is not said again.
    let lines = dev.stdout();
    let workers = lines.iter().filter(|line| line.starts_with("worker  "));
    assert_eq!(workers.count(), 1, "{lines:?}");
    dev.signal("TERM");
    assert_eq!(dev.end().status, 0);
}

#[test]
fn a_broken_project_is_shown_with_its_place_and_the_next_change_runs_it() {
    let project = project(HANDLER);
    project.file("handler.py", handler("h"));
    let good = std::fs::read_to_string(project.path().join("kafkaesk.toml")).unwrap();
    let (mut dev, address) = start(&project);
    for (file, broken, repaired, said) in [
        (
            "kafkaesk.toml",
            format!("{good}\nnonsense = [\n"),
            good.clone(),
            "kafkaesk.toml:",
        ),
        (
            "kafkaesk.toml",
            good.replace("group = ", "gruop = "),
            good.clone(),
            "gruop",
        ),
        (
            "schemas/Order.2.json",
            "{\"type\": 7}".to_owned(),
            "{}".to_owned(),
            "Order.2.json",
        ),
    ] {
        let waits = |dev: &Running| dev.stderr().matches("waiting for a change").count();
        let before = waits(&dev);
        project.file(file, broken);
        dev.until("the error", |dev| {
            waits(dev) > before && dev.stderr().contains(said)
        });
        project.file(file, repaired);
        let id = 10 + before;
        let line = orders(id + 1).lines().last().unwrap().to_owned();
        publish(&project, &address, &format!("{line}\n"));
        dev.until("the message", |_| ids(&project).contains(&id));
    }
    dev.until("the new schema", |dev| {
        dev.stdout().contains(&"pushed  Order:2".to_owned())
    });
    project.toml("=");
    dev.until("the error", |dev| {
        dev.stderr().matches("waiting for a change").count() == 4
    });
    dev.signal("TERM");
    assert_eq!(dev.end().status, 0);
}

#[test]
fn a_project_that_is_broken_at_its_first_start_ends() {
    let project = Project::new();
    project.toml("=");
    project
        .run(&["dev", "--watch"])
        .fails(1, &["kafkaesk.toml:1"]);
}
