//! `worker --operate-listen`, and the commands that reach it: `top`, `pause`, `resume`.

use kafkaesk_client::testing::kafka;

use crate::{
    dev::free,
    support::{Project, orders, until},
};

const TOKEN: &str = "planted-secret-token";

#[tokio::test]
async fn a_running_worker_is_shown_paused_and_resumed_and_no_output_has_its_token() {
    let kafka = kafka().await;
    let address = free();
    let url = format!("http://{address}");
    let project = Project::on(&kafka)
        .with_order()
        .variable("OPERATE_TOKEN", TOKEN);
    let group = format!("{}billing", kafka.prefix());
    project.toml(&format!(
        "operate-listen = \"{address}\"\noperate-token = {{ env = \"OPERATE_TOKEN\" }}\nlag-interval = \"1s\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{group}\"\nhandler = \"stdout\"\n"
    ));
    project
        .run(&["top", "--once", "--url", &url])
        .fails(1, &[&address, "does not answer"]);
    let mut worker = project.start(&["worker"]);
    worker.until("its service", |worker| {
        worker.stderr().contains(&format!("at http://{address}/"))
    });
    let pause = || {
        let reason = "the database is moved";
        let arguments = ["--url", &url, "--reason", reason, "--for", "1h"];
        project.run(&[&["pause", group.as_str()][..], &arguments].concat())
    };
    // The service listens before the subscription starts.
    let mut said = String::new();
    until("a pause", || {
        let paused = pause();
        said = paused.stdout;
        paused.status == 0
    });
    assert_eq!(
        said.trim(),
        format!("{address}  {group}  paused, 1 subscriptions")
    );
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(3))
        .succeeds();
    until("PAUSED", || {
        let top = project.run(&["top", "--once", "--url", &url]);
        let top = top.succeeds();
        assert!(top.starts_with("GROUP"), "{top}");
        top.contains("PAUSED") && top.contains("the database is moved")
    });
    assert!(worker.stdout().is_empty());
    project.run(&["resume", &group, "--url", &url]).succeeds();
    worker.until("three messages", |worker| worker.stdout().len() == 3);

    project
        .run(&["pause", "no-such-group", "--url", &url])
        .fails(1, &["no subscription of this process is in the group"]);
    for (wrong, says) in [
        ("ftp://localhost", "write http://HOST:PORT"),
        ("localhost:9464", "write http://HOST:PORT"),
        ("not a url", "--url not a url"),
    ] {
        project
            .run(&["top", "--once", "--url", wrong])
            .fails(64, &[says]);
    }
    project
        .run(&["top", "--url", &url])
        .fails(64, &["standard output is not a terminal"]);
    let shown = project.run(&["config", "show"]).succeeds();
    assert!(
        shown.contains("operate-token") && !shown.contains(TOKEN),
        "{shown}"
    );
    worker.signal("TERM");
    let ran = worker.end();
    assert_eq!(ran.status, 0);
    assert!(!ran.stderr.contains(TOKEN) && !ran.stdout.contains(TOKEN));
}

#[tokio::test]
async fn a_command_without_the_right_token_is_refused_with_what_to_do() {
    let kafka = kafka().await;
    let address = free();
    let url = format!("http://{address}");
    let project = Project::on(&kafka).with_order();
    let group = format!("{}billing", kafka.prefix());
    project.toml(&format!(
        "operate-token = \"another-token\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{group}\"\nhandler = \"stdout\"\n"
    ));
    let mut worker = project.start(&[
        "worker",
        "--operate-listen",
        &address,
        "--operate-token",
        TOKEN,
    ]);
    worker.until("its service", |worker| {
        worker.stderr().contains(&format!("at http://{address}/"))
    });
    project
        .run(&["pause", &group, "--url", &url])
        .fails(1, &["the token is wrong"]);
    worker.signal("TERM");
    worker.end();
    let taken = std::net::TcpListener::bind(&address).unwrap();
    let worker = project.run(&["worker", "--operate-listen", &address]);
    worker.fails(1, &[&format!("cannot listen at {address}")]);
    drop(taken);
}
