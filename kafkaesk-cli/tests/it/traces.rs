//! One trace through several processes: `publish`, a worker, a Python handler, and what that publishes.

use kafkaesk_client::testing::kafka;
use kafkaesk_collector::{Collected, Collector, Manner};

use crate::{
    dev::{self, free, printed},
    support::{Project, Running, orders, until},
};

/// Refuses the first attempt at each message, then publishes another event with the trace that it got.
const HANDLER: &str = r#"
import os, subprocess, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        status = 503
        if self.headers["kafkaesk-attempt"] != "1":
            trace = "traceparent=" + self.headers["traceparent"]
            subprocess.run(sys.argv[2:] + ["--header", trace], check=True, stdout=sys.stderr)
            status = 204
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"#;

fn named<'a>(spans: &'a [Collected], name: &str) -> Vec<&'a Collected> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// A Python process; killed when dropped.
struct Python(std::process::Child);

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until_listening(worker: &mut Running, group: &str) {
    worker.until("an assignment", |worker| {
        let log = worker.stderr();
        log.contains("assigned") && log.contains(group)
    });
}

#[tokio::test]
async fn a_publish_a_python_handler_and_what_it_publishes_are_one_trace() {
    let kafka = kafka().await;
    let collector = Collector::start(Manner::Takes);
    let port = free().rsplit_once(':').unwrap().1.to_owned();
    let project = Project::on(&kafka)
        .with_order()
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .variable("OTEL_BSP_SCHEDULE_DELAY", "100")
        .variable("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop");
    let (billing, audit) = (
        format!("{}billing", kafka.prefix()),
        format!("{}audit", kafka.prefix()),
    );
    project.file("handler.py", HANDLER);
    project.toml(&format!(
        "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{billing}\"\nhandler = {{ http = \"http://127.0.0.1:{port}/\" }}\n\
         [[subscriptions]]\npattern = \"billed\"\ngroup = \"{audit}\"\nhandler = \"stdout\"\n"
    ));
    let publish = [
        "publish",
        "billed",
        "--schema",
        "Order:1",
        "--data",
        "{\"id\":2}",
    ];
    let publish = project.command(&publish);
    let mut python = std::process::Command::new("python3");
    python
        .arg(project.path().join("handler.py"))
        .arg(&port)
        .arg(publish.get_program())
        .args(publish.get_args())
        .current_dir(project.path())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    let _python = Python(python.spawn().unwrap());
    until("the handler", || {
        std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok()
    });

    let first = [
        "publish",
        "orders.placed",
        "--schema",
        "Order:1",
        "--data",
        "{\"id\":1}",
        "--id",
        "e-1",
    ];
    project.run(&first).succeeds();
    // The publish has waited for its span.
    assert_eq!(collector.spans().len(), 1);
    let worker = project.start(&["worker"]);
    let spans = collector.until(|spans| spans.len() >= 5);
    worker.signal("TERM");
    let ran = worker.end();
    assert_eq!(ran.status, 0, "{}", ran.stderr);

    let topic = |stream: &str| format!("{}{stream}", kafka.prefix());
    let one = |name: &str| match named(&spans, name)[..] {
        [one] => one,
        _ => panic!("{name}: {spans:#?}"),
    };
    let send = one(&format!("send {}", topic("orders.placed")));
    let attempts = named(&spans, &format!("process {}", topic("orders.*")));
    let [failed, done] = attempts[..] else {
        panic!("{spans:#?}");
    };
    let again = one(&format!("send {}", topic("billed")));
    let last = one(&format!("process {}", topic("billed")));
    assert!(
        spans.iter().all(|span| span.trace == send.trace),
        "{spans:#?}"
    );
    assert_eq!(send.parent, "");
    for attempt in [failed, done] {
        assert_eq!(attempt.parent, send.span);
        assert_eq!(attempt.links, [(send.trace.clone(), send.span.clone())]);
        assert_eq!(attempt.get("messaging.message.id"), "e-1");
    }
    assert_eq!(
        (failed.get("error.type"), failed.get("kafkaesk.attempt")),
        ("retry", "1")
    );
    assert_eq!(
        (done.get("error.type"), done.get("kafkaesk.attempt")),
        ("", "2")
    );
    // The handler gave the context of its attempt, which is sent as it is.
    assert_eq!((&again.parent, &last.parent), (&done.span, &done.span));
    assert_eq!(send.service, "shop");
    assert_eq!(again.service, "kafkaesk");
    assert!(ran.stdout.contains(&done.trace), "{}", ran.stdout);
}

#[tokio::test]
async fn a_drained_worker_has_sent_all_its_spans_and_a_killed_one_those_before_its_last_moment() {
    let kafka = kafka().await;
    let collector = Collector::start(Manner::Takes);
    let project = Project::on(&kafka)
        .with_order()
        .variable("OTEL_BSP_SCHEDULE_DELAY", "200");
    let group = format!("{}g", kafka.prefix());
    project.toml(&format!(
        "otel-endpoint = \"{}\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{group}\"\nhandler = \"stdout\"\n",
        collector.url
    ));
    let publish = || {
        project
            .run_with(&["publish", "--ndjson", "-"], &orders(300))
            .succeeds();
    };
    publish();
    let count = |spans: &[Collected], operation: &str| {
        let of = |span: &&Collected| span.get("messaging.operation.type") == operation;
        spans.iter().filter(of).count()
    };
    assert_eq!(count(&collector.spans(), "send"), 300);
    let mut worker = project.start(&["worker"]);
    worker.until("300 messages", |worker| worker.stdout().len() == 300);
    worker.signal("TERM");
    assert_eq!(worker.end().status, 0);
    assert_eq!(count(&collector.spans(), "process"), 300);

    publish();
    let mut worker = project.start(&["worker"]);
    until_listening(&mut worker, &group);
    collector.until(|spans| count(spans, "process") >= 600);
    worker.signal("KILL");
    assert_eq!(worker.end().status, -1);
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_neither_a_publish_nor_a_worker_for_long() {
    let kafka = kafka().await;
    let collector = Collector::start(Manner::Silent);
    let project = Project::on(&kafka).with_order();
    let group = format!("{}g", kafka.prefix());
    project.toml(&format!(
        "otel-endpoint = \"{}\"\nshutdown-timeout = \"3s\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{group}\"\nhandler = \"stdout\"\n",
        collector.url
    ));
    let begun = std::time::Instant::now();
    let ran = project.run_with(&["publish", "--ndjson", "-"], &orders(30));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("30 at the end"), "{}", ran.stderr);
    let mut worker = project.start(&["worker"]);
    worker.until("30 messages", |worker| worker.stdout().len() == 30);
    worker.signal("TERM");
    let ran = worker.end();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("30 at the end"), "{}", ran.stderr);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_childs_line_of_standard_error_names_the_message_that_it_has_and_its_trace() {
    let kafka = kafka().await;
    let collector = Collector::start(Manner::Takes);
    let project = Project::on(&kafka).with_order();
    let group = format!("{}g", kafka.prefix());
    project.file(
        "child.py",
        "import json, sys\n\
         for line in sys.stdin:\n\
         \x20   m = json.loads(line)\n\
         \x20   _, trace, span, _ = m['headers']['traceparent'].split('-')\n\
         \x20   print('seen', m['partition'], m['offset'], trace, span, file=sys.stderr)\n\
         \x20   print(json.dumps({'delivery': m['delivery'], 'outcome': 'done'}), flush=True)\n",
    );
    project.toml(&format!(
        "otel-endpoint = \"{}\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{group}\"\nhandler = {{ exec = [\"python3\", \"child.py\"] }}\n",
        collector.url
    ));
    project
        .run_with(&["publish", "--ndjson", "-"], &orders(200))
        .succeeds();
    let mut worker = project.start(&["worker"]);
    worker.until("200 messages", |worker| {
        worker.stderr().matches("stderr: seen").count() == 200
    });
    worker.signal("TERM");
    let said = worker.end().stderr;
    for line in said.lines().filter(|line| line.contains("stderr: seen")) {
        let (_, seen) = line.split_once("stderr: seen ").unwrap();
        let words: Vec<&str> = seen.split(' ').take(4).collect();
        let [partition, offset, trace, span] = words[..] else {
            panic!("{line}");
        };
        let span = span.trim_end();
        let context = format!(
            "handle{{group=\"{group}\" stream=\"orders.placed\" partition={partition} offset={offset} attempt=1 trace_id=\"{trace}\" span_id=\"{span}\"}}"
        );
        assert!(line.contains(&context), "{context}: {line}");
    }
}

#[test]
fn dev_sends_the_spans_of_its_own_broker_to_this_machine_and_to_no_other() {
    let hint = |dev: &Running| dev.stdout().iter().any(|line| line.contains(" publish "));
    let collector = Collector::start(Manner::Takes);
    let project = dev::project("{ stdout = true }")
        .variable("KAFKAESK_OTEL_ENDPOINT", &collector.url)
        .variable("OTEL_BSP_SCHEDULE_DELAY", "100");
    let mut dev = project.start(&["dev"]);
    dev.until("the hint", hint);
    project.shell(&printed(&dev)).succeeds();
    let spans = collector.until(|spans| spans.len() >= 2);
    let [send] = named(&spans, "send orders.example")[..] else {
        panic!("{spans:#?}");
    };
    let [process] = named(&spans, "process orders.*")[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!((&process.trace, &process.parent), (&send.trace, &send.span));
    dev.signal("TERM");
    assert_eq!(dev.end().status, 0);

    let project = dev::project("{ stdout = true }")
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://203.0.113.1:4318");
    let mut dev = project.start(&["dev"]);
    dev.until("the hint", hint);
    let said = dev.stderr();
    assert!(
        said.contains("no spans are sent: nothing but this machine"),
        "{said}"
    );
}
