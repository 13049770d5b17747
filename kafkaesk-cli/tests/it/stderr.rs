//! Standard error on a full disk, closed, or unread: work goes on, the exit status keeps its meaning, and the end comes
//! in time.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::Stdio,
    time::{Duration, Instant},
};

use kafkaesk_client::testing::{TestKafka, kafka};

use crate::support::{ORDER, Project, ending_signals, orders, until, until_full};

/// More than any pipe and our queue hold.
const FLOOD: usize = 8 * 1024 * 1024;

fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// A pipe that nobody reads as long as the reader is kept: it holds 64 KiB.
fn unread() -> (std::io::PipeReader, Stdio) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader, OwnedFd::from(writer).into())
}

/// A pipe whose reader is gone.
fn broken() -> Stdio {
    unread().1
}

/// A handler that says more than standard error takes, and then answers.
const LOUD: &str = r#"
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    for _ in range(50):
        print("x" * 2000, file=sys.stderr)
    with open("handled", "a") as handled:
        handled.write("%s\n" % message["data"]["id"])
    print(json.dumps({"delivery": message["delivery"], "outcome": "done"}))
"#;

fn loud(project: &Project, kafka: &TestKafka) {
    project.file("loud.py", LOUD).toml(&format!(
        "shutdown-timeout = \"5s\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{}g\"\nhandler = {{ exec = [\"python3\", \"loud.py\"] }}\n",
        kafka.prefix()
    ));
}

fn handled(project: &Project) -> usize {
    let text = std::fs::read_to_string(project.path().join("handled")).unwrap_or_default();
    text.lines().count()
}

#[tokio::test]
async fn a_worker_handles_every_message_whatever_becomes_of_its_log() {
    let kafka = kafka().await;
    // 100 messages say 10 MB.
    for (name, reader, stderr) in [("full", None, full()), ("broken", None, broken()), {
        let (reader, stderr) = unread();
        ("unread", Some(reader), stderr)
    }] {
        let project = Project::on(&kafka).with_order();
        loud(&project, &kafka);
        project
            .run_with(&["publish", "--ndjson", "-"], &orders(100))
            .succeeds();
        let worker = project.start_saying(&["worker"], stderr);
        until(name, || handled(&project) >= 100);
        let asked = Instant::now();
        worker.signal("TERM");
        let ran = worker.end();
        assert_eq!(ran.status, 0, "{name}");
        assert!(
            asked.elapsed() < Duration::from_secs(15),
            "{name}: {:?}",
            asked.elapsed()
        );
        drop(reader);
        // Each round has its own committed messages.
        std::fs::remove_file(project.path().join("handled")).unwrap();
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once_though_nobody_reads_the_log() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project
        .file("stuck.py", "import sys, time\nsys.stdin.readline()\nopen('begun', 'w')\nwhile True:\n    print('x' * 2000, file=sys.stderr)\n")
        .toml(&format!(
            "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{}g\"\nhandler = {{ exec = [\"python3\", \"stuck.py\"] }}\nkafka-settings = {{ \"session.timeout.ms\" = 6000 }}\n",
            kafka.prefix()
        ));
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(1))
        .succeeds();
    for signal in ending_signals() {
        let (reader, stderr) = unread();
        let mut worker = project.start_saying(&["worker"], stderr);
        until("the handler", || project.path().join("begun").exists());
        std::fs::remove_file(project.path().join("begun")).unwrap();
        until_full(worker.id(), 2);
        worker.signal(signal);
        worker.until_delivered(signal);
        let asked = Instant::now();
        worker.signal(signal);
        let status = worker.end().status;
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
        let wanted = match signal {
            "TERM" => 143,
            "HUP" => 129,
            _ => 130,
        };
        assert_eq!(status, wanted);
        drop(reader);
    }
}

#[tokio::test]
async fn publish_and_tail_work_whatever_becomes_of_standard_error() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let mut published = 0;
    for stderr in [full as fn() -> Stdio, broken] {
        published += 1;
        // A new stream is told of in the log.
        let stream = format!("orders.new{published}");
        let arguments = [
            "publish",
            &stream,
            "--schema",
            "Order:1",
            "--data",
            r#"{"id":1}"#,
        ];
        let ran = project.start_saying(&arguments, stderr()).end();
        assert_eq!(ran.status, 0, "{}", ran.stdout);
        assert!(
            ran.stdout.starts_with(kafka.prefix()) || ran.stdout.contains("@0"),
            "{}",
            ran.stdout
        );
        // What failed has its own exit status, also when nobody hears why.
        let arguments = [
            "publish",
            &stream,
            "--schema",
            "Order:1",
            "--data",
            r#"{"id":"x"}"#,
        ];
        assert_eq!(project.start_saying(&arguments, stderr()).end().status, 1);
        let tail = ["tail", &stream, "--until-end"];
        let ran = project.start_saying(&tail, stderr()).end();
        assert_eq!((ran.status, ran.stdout.lines().count()), (0, 1));
        assert_eq!(
            project.start_saying(&["publish"], stderr()).end().status,
            64
        );
    }
}

#[test]
fn refused_lines_that_nobody_reads_stop_no_publish() {
    let project = Project::new();
    project.file("schemas/Order.1.json", ORDER).toml(&format!(
        "schemas = [\"schemas/*.json\"]\nkafka-servers = [\"{}\"]\n",
        crate::dev::free()
    ));
    let mut dev = project.start(&["dev"]);
    dev.until("the hint", |dev| {
        dev.stdout().iter().any(|line| line.contains(" publish "))
    });
    project.file("bad.nd", "{\"no\": \"stream\"}\n".repeat(FLOOD / 100));
    let (mut reader, stderr) = unread();
    let publish =
        project.start_saying(&["publish", "--ndjson", "bad.nd", "--skip-invalid"], stderr);
    assert_eq!(publish.end().status, 2);
    // What was left out is counted, or the pipe was never read at all: then the first lines are there.
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert!(said.contains("bad.nd:1: "), "{said}");
}

#[test]
fn dev_works_whatever_becomes_of_standard_error() {
    for stderr in [full as fn() -> Stdio, broken] {
        let project = Project::new();
        project.file("schemas/Order.1.json", ORDER).toml(&format!(
            "kafka-servers = [\"{}\"]\nschemas = [\"schemas/*.json\"]\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"g\"\nhandler = {{ stdout = true }}\n",
            crate::dev::free()
        ));
        let mut dev = project.start_saying(&["dev"], stderr());
        dev.until("the hint", |dev| {
            dev.stdout().iter().any(|line| line.contains(" publish "))
        });
        let stdout = dev.stdout();
        let command = stdout
            .iter()
            .find(|line| line.contains(" publish "))
            .unwrap();
        project.shell(command.trim()).succeeds();
        dev.until("the message", |dev| {
            dev.stdout()
                .iter()
                .any(|line| line.contains(r#""data":{"id":1}"#))
        });
        dev.signal("TERM");
        assert_eq!(dev.end().status, 0);
    }
}

#[test]
fn lines_left_out_are_counted_once_somebody_reads_again() {
    let project = Project::new();
    project
        .file("schemas/Order.1.json", ORDER)
        .file("loud.py", LOUD)
        .toml(&format!(
            "kafka-servers = [\"{}\"]\nschemas = [\"schemas/*.json\"]\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"g\"\nhandler = {{ exec = [\"python3\", \"loud.py\"] }}\n",
            crate::dev::free()
        ));
    let (reader, stderr) = unread();
    let mut dev = project.start_saying(&["dev"], stderr);
    dev.until("the hint", |dev| {
        dev.stdout().iter().any(|line| line.contains(" publish "))
    });
    let stdout = dev.stdout();
    let command = stdout
        .iter()
        .find(|line| line.contains(" publish "))
        .unwrap();
    let server = command
        .split(' ')
        .skip_while(|word| *word != "--kafka-servers")
        .nth(1)
        .unwrap();
    project
        .run_with(
            &["publish", "--ndjson", "-", "--kafka-servers", server],
            &orders(100),
        )
        .succeeds();
    dev.until("every message", |_| handled(&project) >= 100);
    let collected = std::thread::spawn(move || {
        let mut said = String::new();
        let mut reader = reader;
        let _ = reader.read_to_string(&mut said);
        said
    });
    dev.signal("TERM");
    assert_eq!(dev.end().status, 0);
    let said = collected.join().unwrap();
    let kept = said.matches("stderr: xx").count();
    let left_out: usize = said
        .lines()
        .filter_map(|line| {
            // The child's flood is thinned, and what is too much for the log as well.
            let (before, _) = line
                .split_once(" lines of the log were left out")
                .or_else(|| {
                    line.split_once(" lines of the child's standard error were left out")
                })?;
            before.rsplit(' ').next()?.parse::<usize>().ok()
        })
        .sum();
    assert!(
        kept < 5000 && kept + left_out >= 5000,
        "{kept} kept, {left_out} left out"
    );
}

#[test]
fn a_full_standard_output_is_a_failure() {
    let project = Project::new();
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["worker", "--help"],
        &["completions", "bash"],
        &["config", "show"],
    ] {
        let child = project
            .command(arguments)
            .stdout(full())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let ran = child.wait_with_output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            said.starts_with("error: ") && said.contains("No space left"),
            "{said}"
        );
        // A reader that went away ends it quietly.
        let child = project
            .command(arguments)
            .stdout(broken())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let ran = child.wait_with_output().unwrap();
        assert_eq!(
            (ran.status.code(), ran.stderr.len()),
            (Some(0), 0),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_signal_is_heard_before_anything_is_connected() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let project = Project::new();
    project.toml(&format!(
        "kafka-servers = [\"{address}\"]\nconnect-timeout = \"60s\"\n[[subscriptions]]\npattern = \"a\"\ngroup = \"g\"\nhandler = {{ stdout = true }}\n"
    ));
    for signal in ending_signals() {
        for arguments in [&["worker"][..], &["tail", "a"]] {
            let running = project.start(arguments);
            silent.accept().unwrap();
            let asked = Instant::now();
            running.signal(signal);
            assert_eq!(running.end().status, 0, "{arguments:?} {signal}");
            assert!(asked.elapsed() < Duration::from_secs(10));
        }
        let mut publish = project.start_with(&["publish", "--ndjson", "-"], Stdio::piped());
        // It reads its input before it connects.
        publish.stdin().write_all(b"\n").unwrap();
        publish.until_it_listens_to(signal);
        publish.signal(signal);
        publish.end().fails(1, &["nothing was published"]);
    }
}
