//! `probe`: a health check by the program itself, of services that are well, are not, or do not answer. Needs no Kafka.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use crate::{
    dev::{free, project},
    server::Server,
    support::{Project, Ran, until},
};

fn probe(question: &str, url: &str) -> Ran {
    Project::new().run(&["probe", question, "--url", url])
}

/// Ended with 1 and one line.
#[track_caller]
fn fails_with_one_line(ran: &Ran, said: &[&str]) {
    ran.fails(1, said);
    assert_eq!(ran.stderr.trim_end().lines().count(), 1, "{}", ran.stderr);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
}

#[test]
fn a_running_worker_is_live_and_then_ready() {
    let project = project("{ stdout = true }").variable("KAFKAESK_OPERATE_LISTEN", &free());
    let mut dev = project.start(&["dev"]);
    dev.until("its service", |dev| {
        dev.stdout().iter().any(|line| line.starts_with("operate "))
    });
    let live = project.run(&["probe", "live"]).succeeds();
    assert!(live.starts_with("live  127.0.0.1:"), "{live}");
    until("ready", || project.run(&["probe", "ready"]).status == 0);
    dev.signal("TERM");
    assert_eq!(dev.end().status, 0);
    fails_with_one_line(
        &project.run(&["probe", "live"]),
        &["is not live", "nothing listens there", "`operate-listen`"],
    );
}

#[test]
fn the_first_check_that_fails_is_named_on_one_line() {
    let body = r#"{"ok":false,"checks":[
        {"check":"task","group":"billing","pattern":"orders.*","ok":true,"sentence":"the task answers"},
        {"check":"handlers","group":"billing","pattern":"orders.*","ok":false,"sentence":"all 4 handlers are\nstuck"},
        {"check":"consumer","group":"audit","pattern":"a.*","ok":false,"sentence":"x"}]}"#;
    let server = Server::start(move |_| (503, "", body));
    fails_with_one_line(
        &probe("live", &server.url),
        &["is not live: billing orders.* handlers: all 4 handlers are stuck (and 1 more)"],
    );
    fails_with_one_line(&probe("ready", &server.url), &["is not ready: billing"]);
}

#[test]
fn what_is_not_a_worker_or_does_not_answer_fails_within_two_seconds() {
    let server = Server::start(|_| (404, "", "nothing here"));
    fails_with_one_line(
        &probe("live", &server.url),
        &["404", "it is not the service of a kafkaesk worker"],
    );
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    fails_with_one_line(&probe("ready", &url), &["no answer within 2s"]);
    // The bound is the program's own; the rest is for a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(8));
    probe("live", "https://127.0.0.1:1").fails(64, &["write http://HOST:PORT"]);
}
