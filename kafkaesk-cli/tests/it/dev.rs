//! `dev`: a broker, the schemas and a worker in one process; published to from a second one. Needs no Kafka.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{
    server::Server,
    support::{ORDER, Project, Running, TIMEOUT, until, until_full},
};

/// A loopback address that nobody uses now, and no other test got.
pub(crate) fn free() -> String {
    static GIVEN: Mutex<BTreeSet<SocketAddr>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        if GIVEN.lock().unwrap().insert(address) {
            return address.to_string();
        }
    }
}

pub(crate) fn project(handler: &str) -> Project {
    let project = Project::new();
    project.file("schemas/Order.1.json", ORDER).toml(&format!(
        "kafka-servers = [\"kafka.example:9092\"]\nschemas = [\"schemas/*.json\"]\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"billing\"\nhandler = {handler}\n[profile.dev]\nkafka-servers = [\"{}\"]\n",
        free()
    ));
    project
}

/// Where its broker listens.
pub(crate) fn address(dev: &Running) -> String {
    let stdout = dev.stdout();
    let ready = stdout
        .iter()
        .find_map(|line| line.strip_prefix("dev broker ready at "));
    let ready = ready.and_then(|rest| rest.split_whitespace().next());
    ready.unwrap().to_owned()
}

/// The command that `dev` prints for the second terminal.
pub(crate) fn printed(dev: &Running) -> String {
    let stdout = dev.stdout();
    let at = stdout
        .iter()
        .position(|line| line == "try, in another terminal:")
        .unwrap();
    stdout[at + 1].trim().to_owned()
}

#[test]
fn a_second_terminal_publishes_to_it_at_once() {
    let project = project("{ stdout = true }");
    let mut dev = project.start(&["dev"]);
    dev.until("the hint", |dev| {
        dev.stdout().iter().any(|line| line.contains(" publish "))
    });
    let stdout = dev.stdout();
    assert!(
        stdout[0].starts_with("dev broker ready at 127.0.0.1:"),
        "{stdout:?}"
    );
    assert_eq!(stdout[1], "pushed  Order:1");
    assert_eq!(stdout[2], "worker  billing  orders.*  → stdout");
    let command = printed(&dev);
    let receipt = project.shell(&command).succeeds();
    let published = Instant::now();
    assert!(receipt.starts_with("orders.example["), "{receipt}");
    dev.until("the message", |dev| {
        dev.stdout()
            .iter()
            .any(|line| line.contains(r#""data":{"id":1}"#))
    });
    let took = published.elapsed();
    assert!(took < Duration::from_secs(3), "seen after {took:?}");

    let wrong = command.replace("{\"id\":1}", "{\"id\":\"one\"}");
    project.shell(&wrong).fails(
        1,
        &["/id: \"one\" is not of type \"integer\"   (rule /properties/id/type)"],
    );
    dev.signal("TERM");
    assert_eq!(dev.end().status, 0);
}

#[test]
fn an_endpoint_that_does_not_listen_is_answered_for() {
    let address = free();
    let project = project(&format!("{{ http = \"http://{address}/orders\" }}"));
    let mut dev = project.start(&["dev"]);
    dev.until("the hint", |dev| {
        dev.stdout().iter().any(|line| line.contains(" publish "))
    });
    assert!(
        dev.stderr()
            .contains(&format!("note: nothing listens at http://{address}/orders")),
        "{}",
        dev.stderr()
    );
    let command = printed(&dev);
    project.shell(&command).succeeds();
    dev.until("the message", |dev| {
        dev.stdout()
            .iter()
            .any(|line| line.contains(r#""data":{"id":1}"#))
    });
    dev.until("the answer", |dev| {
        dev.stderr().contains("answered 204 for")
    });
    drop(dev);

    let server = Server::start(|_| (204, "", ""));
    let project = self::project(&format!("{{ http = \"{}\" }}", server.url));
    let mut dev = project.start(&["dev"]);
    dev.until("the hint", |dev| {
        dev.stdout().iter().any(|line| line.contains(" publish "))
    });
    let command = printed(&dev);
    project.shell(&command).succeeds();
    dev.until("the request", |_| server.posted().len() == 1);
    assert_eq!(server.posted()[0].body, br#"{"id":1}"#);
}

#[test]
fn a_rejected_message_is_kept_as_a_dead_letter() {
    let project = project(r#"{ exec = ["python3", "child.py"] }"#);
    project.file(
        "child.py",
        "import json, sys\nfor line in sys.stdin:\n    delivery = json.loads(line)[\"delivery\"]\n    print(json.dumps({\"delivery\": delivery, \"outcome\": \"reject\", \"reason\": \"no\"}), flush=True)\n",
    );
    let mut dev = project.start(&["dev"]);
    dev.until("the hint", |dev| {
        dev.stdout().iter().any(|line| line.contains(" publish "))
    });
    project.shell(&printed(&dev)).succeeds();
    let list = ["dead-letters", "list", "billing", "--profile", "dev"];
    until("the letter", || {
        let listed = project.run(&list).succeeds();
        listed.contains("orders.example[") && listed.contains("no")
    });
    dev.signal("TERM");
    assert_eq!(dev.end().status, 0);
}

#[test]
fn nothing_beyond_this_machine_is_contacted() {
    let project = Project::new();
    project
        .file("schemas/Order.1.json", ORDER)
        .toml(&format!("kafka-servers = [\"{}\"]\nschemas = [\"schemas/*.json\"]\n[[streams]]\nname = \"b.x\"\nschema = \"Order\"\n[[subscriptions]]\npattern = \"a.*\"\ngroup = \"g\"\nhandler = {{ http = \"http://192.0.2.1/orders\" }}\n[kafka-settings]\nsecurity.protocol = \"sasl_ssl\"\nsasl.mechanism = \"PLAIN\"\nsasl.username = \"u\"\nsasl.password = \"s3cret\"\n[[subscriptions]]\npattern = \"b.*\"\ngroup = \"g\"\nhandler = {{ stdout = true }}\nkafka-settings = {{ \"security.protocol\" = \"ssl\" }}\n", free()));
    let mut dev = project.start(&["dev"]);
    dev.until("the hint", |dev| {
        dev.stdout().iter().any(|line| line.contains(" publish "))
    });
    // Its own `security.protocol` is left out as well, or it would never join.
    dev.until("the second subscription's partitions", |dev| {
        dev.stderr().contains("partitions=b.x[")
    });
    let said = dev.stderr();
    assert!(
        said.contains("dev contacts nothing but this machine"),
        "{said}"
    );
    assert!(
        said.contains("sasl.* and ssl.* of kafka-settings are left out"),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
    let hint = dev.stdout().join("\n");
    assert!(hint.contains("security.protocol"), "{hint}");
}

#[test]
fn a_proxy_is_not_asked_for_what_is_on_this_machine() {
    let proxy = Server::start(|_| (204, "", ""));
    let server = Server::start(|_| (204, "", ""));
    let project = project(&format!("{{ http = \"{}\" }}", server.url))
        .variable("HTTP_PROXY", &proxy.url)
        .variable("http_proxy", &proxy.url);
    let mut dev = project.start(&["dev"]);
    dev.until("the hint", |dev| {
        dev.stdout().iter().any(|line| line.contains(" publish "))
    });
    project.shell(&printed(&dev)).succeeds();
    dev.until("the request", |_| {
        server.posted().len() + proxy.posted().len() == 1
    });
    assert!(proxy.posted().is_empty(), "{:?}", proxy.posted());
}

#[test]
fn an_address_that_is_taken_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    Project::new()
        .run(&["dev", "--kafka-servers", &address])
        .fails(1, &["error: ", &address, "--kafka-servers"]);
    Project::new().run(&["dev", "nowhere"]).fails(
        64,
        &["error: nowhere has no kafkaesk.toml, since there is no such folder"],
    );
}

#[test]
fn a_project_without_subscriptions_is_told_what_to_write() {
    let project = Project::new();
    project.toml("");
    let mut dev = project.start(&["dev", "--kafka-servers", &free()]);
    dev.until("the advice", |dev| {
        let text = dev.stdout().join("\n");
        text.contains("no subscriptions yet") && text.contains("handler = { stdout = true }")
    });
    dev.signal("TERM");
    assert_eq!(dev.end().status, 0);
}

#[test]
fn no_line_is_broken_by_another_where_all_output_goes_to_one_pipe() {
    const COUNT: usize = 120;
    let project = project("{ stdout = true }");
    project.file(
        "chatty.py",
        "import json, sys
for line in sys.stdin:
    print('begin' + 'x' * 6000 + 'end', file=sys.stderr, flush=True)
    print(json.dumps({'delivery': json.loads(line)['delivery'], 'outcome': 'done'}), flush=True)
",
    );
    let toml = std::fs::read_to_string(project.path().join("kafkaesk.toml")).unwrap();
    let chatty = "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"chatty\"\nhandler = { exec = [\"python3\", \"chatty.py\"] }\n";
    project.toml(&toml.replace("[profile.dev]", &format!("{chatty}[profile.dev]")));
    let (dev, pipe) = project.start_into_one_pipe(&["dev"]);
    // Each line is taken when it is asked for, so that the pipe fills: only then are writes cut.
    let (send, next) = std::sync::mpsc::sync_channel(0);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    let next = || next.recv_timeout(TIMEOUT).unwrap();
    let address = loop {
        if let Some(rest) = next().strip_prefix("dev broker ready at ") {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
    };
    while !next().contains(" publish ") {}
    let lines: String = (0..COUNT)
        .map(|id| {
            format!(
                "{{\"stream\":\"orders.placed\",\"schema\":\"Order:1\",\"data\":{{\"id\":{id},\"x\":\"{}\"}}}}\n",
                "y".repeat(6000)
            )
        })
        .collect();
    let publish = ["publish", "--ndjson", "-", "--kafka-servers", &address];
    project.run_with(&publish, &lines).succeeds();
    until_full(dev.id(), 1);
    let (mut printed, mut logged) = (0, 0);
    while printed < COUNT || logged < COUNT {
        let line = next();
        if line.starts_with('{') {
            let whole = serde_json::from_str::<serde_json::Value>(&line);
            assert!(whole.is_ok(), "{line}");
            printed += 1;
        } else if line.contains("stderr: begin") {
            let once =
                line.matches("xend").count() == 1 && line.ends_with(|c: char| c.is_ascii_digit());
            assert!(line.starts_with("20") && once, "{line}");
            logged += 1;
        } else {
            assert!(line.starts_with("20") && !line.contains("xx"), "{line}");
        }
    }
}
