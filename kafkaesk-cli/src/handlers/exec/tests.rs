//! The exec handler against real child processes (python3, standard library only). No Kafka.

use kafkaesk_core::answer::Answer;

use super::*;

fn settings(script: &str) -> ExecSettings {
    ExecSettings {
        command: vec!["python3".into(), "-c".into(), script.into()],
        shown: "python3 -c …".into(),
        processes: 1,
        in_flight: 1,
        timeout: Duration::from_secs(20),
        environment: BTreeMap::new(),
        withheld: BTreeSet::new(),
        directory: ".".into(),
        group: "test".into(),
    }
}

async fn ask(exec: &Exec, extra: &str) -> Reply {
    let delivery = exec.delivery();
    let line = format!(r#"{{"delivery":"{delivery}"{extra}}}"#);
    exec.handle(delivery, extra, line.into_bytes(), None).await
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

const ECHO: &str = r#"
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    answer = {"delivery": message["delivery"], "outcome": message.get("want", "done")}
    if answer["outcome"] == "reject":
        answer["reason"] = "asked"
    print(json.dumps(answer))
"#;

#[tokio::test]
async fn a_plain_print_is_an_answer() {
    let exec = Exec::start(settings(ECHO)).unwrap();
    assert_eq!(ask(&exec, "").await, Reply::DONE);
    assert_eq!(
        ask(&exec, r#","want":"reject""#).await,
        Reply::reject("asked".into())
    );
    exec.shutdown(soon()).await;
}

#[tokio::test]
async fn a_child_that_reads_nothing_neither_outlives_the_deadline_nor_keeps_its_messages() {
    let mut settings = settings("import time; time.sleep(1000)");
    settings.in_flight = 10;
    settings.timeout = Duration::from_millis(500);
    let exec = Exec::start(settings).unwrap();
    let long = format!(r#","x":"{}""#, "y".repeat(300_000));
    assert!(matches!(ask(&exec, &long).await, Reply::Overloaded { .. }));
    // It is replaced, and the next message reaches the next child.
    let begun = Instant::now();
    let again = tokio::time::timeout(Duration::from_secs(10), ask(&exec, &long)).await;
    let Ok(Reply::Overloaded { reason, .. }) = again else {
        panic!("a message waits for ever behind a child that reads nothing")
    };
    assert!(reason.contains("no answer"), "{reason}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let ended = tokio::time::timeout(Duration::from_secs(8), exec.shutdown(soon())).await;
    assert!(
        ended.is_ok(),
        "the end waits for ever for a child that reads nothing"
    );
}

#[tokio::test]
async fn noise_unknown_and_late_answers_are_ignored() {
    let script = r#"
import json, sys
for line in sys.stdin:
    delivery = json.loads(line)["delivery"]
    print("hello, I am noise")
    print(json.dumps({"delivery": "nobody", "outcome": "reject"}))
    print(json.dumps({"outcome": "reject"}))
    print(json.dumps({"delivery": delivery, "outcome": "done"}))
    print(json.dumps({"delivery": delivery, "outcome": "reject"}))
"#;
    let exec = Exec::start(settings(script)).unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&exec, "").await, Reply::DONE);
    }
    exec.shutdown(soon()).await;
}

#[tokio::test]
async fn a_child_that_dies_is_started_again_and_blames_a_message_only_if_it_ever_answered() {
    let script = r#"
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("die"):
        sys.exit(3)
    print(json.dumps({"delivery": message["delivery"], "outcome": "done"}))
"#;
    let exec = Exec::start(settings(script)).unwrap();
    let Reply::Unavailable(reason) = ask(&exec, r#","die":1"#).await else {
        panic!("a child that never answered may not run at all")
    };
    assert!(reason.contains("exit status: 3"), "{reason}");
    assert_eq!(ask(&exec, "").await, Reply::DONE);
    let Reply::Answered(Answer::Retry {
        reason: Some(reason),
        ..
    }) = ask(&exec, r#","die":1"#).await
    else {
        panic!("a message that a working child died with is retried")
    };
    assert!(reason.contains("exit status: 3"), "{reason}");
    assert_eq!(ask(&exec, "").await, Reply::DONE);
    exec.shutdown(soon()).await;
}

#[tokio::test]
async fn a_message_that_kills_its_child_costs_the_others_no_attempt() {
    let script = r#"
import json, sys, time
for line in sys.stdin:
    message = json.loads(line)
    if message.get("die"):
        time.sleep(0.5)
        sys.exit(3)
    print(json.dumps({"delivery": message["delivery"], "outcome": "done"}))
"#;
    let exec = Exec::start(ExecSettings {
        in_flight: 4,
        ..settings(script)
    })
    .unwrap();
    assert_eq!(ask(&exec, "").await, Reply::DONE);
    let messages = [r#","die":1"#, r#","n":1"#, r#","n":2"#, r#","n":3"#];
    let all = || futures_util::future::join_all(messages.map(|message| ask(&exec, message)));
    for answer in all().await {
        assert!(matches!(answer, Reply::Busy(_)), "{answer:?}");
    }
    for _ in 0..2 {
        let answers = all().await;
        assert!(
            matches!(answers[0], Reply::Answered(Answer::Retry { .. })),
            "{answers:?}"
        );
        assert_eq!(answers[1..], [Reply::DONE, Reply::DONE, Reply::DONE]);
    }
    exec.shutdown(soon()).await;
}

#[tokio::test]
async fn no_answer_in_time_is_a_retry_and_a_stuck_child_is_replaced() {
    let script = r#"
import json, sys, time
for line in sys.stdin:
    message = json.loads(line)
    if message.get("hang"):
        time.sleep(1000)
    print(json.dumps({"delivery": message["delivery"], "outcome": "done"}))
"#;
    let exec = Exec::start(ExecSettings {
        timeout: Duration::from_secs(2),
        ..settings(script)
    })
    .unwrap();
    let Reply::Overloaded { reason, .. } = ask(&exec, r#","hang":1"#).await else {
        panic!("an overdue message is retried")
    };
    assert!(reason.contains("no answer within 2s"), "{reason}");
    assert_eq!(ask(&exec, "").await, Reply::DONE);
    exec.shutdown(soon()).await;
}

/// Notes each start and each SIGTERM in `events`, answers `done`, and does neither end nor answer from `hang` on.
const STUBBORN: &str = r#"
import json, os, signal, sys, time
def note(what):
    with open("events", "a") as events:
        events.write(what + "\n")
signal.signal(signal.SIGTERM, lambda *_: note("SIGTERM"))
note("start")
for line in sys.stdin:
    message = json.loads(line)
    if message.get("die"):
        sys.exit(3)
    if message.get("hang"):
        break
    print(json.dumps({"delivery": message["delivery"], "outcome": "done"}))
while True: time.sleep(1)
"#;

#[tokio::test]
async fn a_child_that_ignores_the_end_of_its_input_gets_sigterm_and_is_gone_at_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(STUBBORN);
    settings.directory = folder.path().into();
    let exec = Exec::start(settings).unwrap();
    assert_eq!(ask(&exec, "").await, Reply::DONE);
    let begun = Instant::now();
    let within = Duration::from_secs(4);
    exec.shutdown(begun + within).await;
    let took = begun.elapsed();
    assert!(took >= within, "SIGKILL came after {took:?}");
    assert!(took < within + TERM_TO_KILL, "{took:?}");
    let events = std::fs::read_to_string(folder.path().join("events")).unwrap();
    assert_eq!(events, "start\nSIGTERM\n");
}

#[tokio::test]
async fn once_a_shutdown_begins_no_child_is_started_again_and_messages_do_not_wait_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(STUBBORN);
    settings.directory = folder.path().into();
    settings.timeout = Duration::from_secs(600);
    let exec = Exec::start(settings).unwrap();
    assert_eq!(ask(&exec, "").await, Reply::DONE);
    exec.stop_restarts();
    assert_eq!(ask(&exec, "").await, Reply::DONE);
    let Reply::Answered(Answer::Retry {
        reason: Some(reason),
        ..
    }) = ask(&exec, r#","die":1"#).await
    else {
        panic!("a message that a working child died with is retried")
    };
    assert!(reason.contains("exit status: 3"), "{reason}");
    let Reply::Answered(Answer::Retry {
        reason: Some(reason),
        ..
    }) = ask(&exec, "").await
    else {
        panic!("a child was started during the shutdown")
    };
    assert!(reason.contains("is gone"), "{reason}");
    exec.shutdown(soon()).await;
    let events = std::fs::read_to_string(folder.path().join("events")).unwrap();
    assert_eq!(events, "start\n");
}

#[tokio::test]
async fn in_flight_messages_share_one_child_and_answers_may_come_in_any_order() {
    let script = r#"
import json, sys
waiting = []
for line in sys.stdin:
    waiting.append(json.loads(line)["delivery"])
    if len(waiting) == 4:
        for delivery in reversed(waiting):
            print(json.dumps({"delivery": delivery, "outcome": "done"}))
        waiting = []
"#;
    let exec = Exec::start(ExecSettings {
        in_flight: 4,
        ..settings(script)
    })
    .unwrap();
    let answers = tokio::join!(
        ask(&exec, ""),
        ask(&exec, ""),
        ask(&exec, ""),
        ask(&exec, "")
    );
    assert_eq!(
        answers,
        (Reply::DONE, Reply::DONE, Reply::DONE, Reply::DONE)
    );
    exec.shutdown(soon()).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_at_start() {
    let error = Exec::start(ExecSettings {
        command: vec!["no-such-program-here".into(), "s3cret".into()],
        shown: "no-such-program-here [redacted]".into(),
        ..settings("")
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the exec handler of group test cannot start `no-such-program-here [redacted]` in ."
    );
}
