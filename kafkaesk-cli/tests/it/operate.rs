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
        format!("{address}  {group}  paused, 1 subscription")
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

    let explained = project.run(&["scale", "explain", &group, "--url", &url]);
    let explained = explained.succeeds();
    for said in [
        format!("{address}  {group}  orders.*"),
        "  handlers   32, fixed; ".to_owned(),
        "  instances  1".to_owned(),
        "  processes  ".to_owned(),
    ] {
        assert!(explained.contains(&said), "{said:?} in {explained}");
    }
    project
        .run(&["scale", "explain", "no-such-group", "--url", &url])
        .fails(1, &["no process here runs group \"no-such-group\""]);
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

/// What a service answers to one request, as text.
fn asked(address: &str, path: &str, accept: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn no_endpoint_page_or_log_has_a_secret_of_the_configuration_or_of_a_message() {
    let kafka = kafka().await;
    let address = free();
    let url = format!("http://{address}");
    let secret = "planted-secret";
    let project = Project::on(&kafka)
        .with_order()
        .variable("PLANTED", &format!("{secret}-variable"));
    let group = format!("{}billing", kafka.prefix());
    project.file("password", format!("{secret}-file"));
    project.toml(&format!(
        r#"
operate-listen = "{address}"
operate-token = {{ env = "PLANTED" }}
lag-interval = "1s"
[[subscriptions]]
pattern = "orders.*"
group = "{group}"
handler = {{ http = "http://user:{secret}-user@127.0.0.1:1/hook?token={secret}-query", headers = {{ Authorization = "{secret}-header" }} }}
[kafka-settings]
sasl.username = "somebody"
sasl.password = {{ file = "password" }}
"#
    ));
    let mut worker = project.start(&["worker"]);
    worker.until("its service", |worker| {
        worker.stderr().contains(&format!("at http://{address}/"))
    });
    let data = format!(r#"{{"id":1,"note":"{secret}-content"}}"#);
    let publish = ["publish", "orders.placed", "--schema", "Order:1", "--key"];
    let key = format!("{secret}-key");
    project
        .run(&[&publish[..], &[&key, "--data", &data]].concat())
        .succeeds();
    // Its handler cannot be reached, so the message waits.
    until("a held message", || {
        asked(&address, "/stats", "*/*").contains("unavailable")
    });
    for path in [
        "/",
        "/metrics",
        "/livez",
        "/readyz",
        "/healthz",
        "/stats?settings=true",
        "/stats/schema",
        "/nothing",
    ] {
        for accept in ["*/*", "text/html"] {
            let answer = asked(&address, path, accept);
            assert!(answer.starts_with("HTTP/1.1 "), "{path}: {answer}");
            assert!(!answer.contains(secret), "{path}: {answer}");
        }
    }
    let settings = asked(&address, "/stats?settings=true", "*/*");
    assert!(settings.contains("sasl.password"), "{settings}");
    for arguments in [
        &["top", "--once", "--url", &url][..],
        &["top", "--once", "--output", "json", "--url", &url],
        &["config", "show"],
        &["pause", &group, "--url", &url],
        &["resume", &group],
    ] {
        let ran = project.run(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.stderr);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains(secret), "{arguments:?}: {said}");
    }
    worker.signal("TERM");
    let ran = worker.end();
    // A key is data, which the log names to all who may read it.
    let said = ran.stderr.replace(&key, "");
    assert!(!said.contains(secret), "{said}");
}
