//! Laws of the commands.

use kafkaesk_worker::{prelude::*, subscription};
use serde_json::json;

use crate::{
    http::{get, post},
    support::{Content, Running, TOKEN, shown, sum, until, value},
};

/// Handles everything but "poison", which fails each time.
fn app() -> App {
    let handler = |data: Content| async move {
        match data.text.as_str() {
            "poison" => Err(HandlerError::msg("no such account")),
            _ => Ok(()),
        }
    };
    App::new().subscribe(
        subscription("content.*", handler)
            .group("g")
            .max_attempts(0),
    )
}

const FINISHED: &str = "kafkaesk_consumer_finished_messages_total";

async fn start() -> Running {
    let running = Running::start(app(), shown()).await;
    until(running.address, "/readyz", |answer| answer.status == 200).await;
    running
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_needs_the_token_and_without_a_setting_there_is_none() {
    let running = start().await;
    let path = "/subscriptions/g/pause";
    for (token, status) in [
        (None, 401),
        (Some("wrong-token"), 401),
        (Some(""), 401),
        (Some(TOKEN), 200),
    ] {
        let answer = post(running.address, path, token, "").await;
        assert_eq!(answer.status, status, "{token:?}: {answer:?}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    }
    running.end().await;

    let mut settings = shown();
    settings.token = None;
    let running = Running::start(app(), settings).await;
    let answer = post(running.address, path, Some(TOKEN), "").await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("`operate-token`"), "{answer:?}");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_group_handles_nothing_until_it_is_resumed_and_the_metrics_say_by_whom() {
    let running = start().await;
    let body = r#"{"reason": "the database is moved", "for": "1h"}"#;
    let paused = post(running.address, "/subscriptions/g/pause", Some(TOKEN), body).await;
    assert_eq!(paused.json(), json!({"group": "g", "subscriptions": 1}));
    running.publish(&["1", "2"]).await;
    let by_operator = "kafkaesk_consumer_paused_partitions{group_id=\"g\",by=\"operator\"}";
    let status = "kafkaesk_consumer_status{group_id=\"g\",status=\"PAUSED\"}";
    let seen = until(running.address, "/metrics", |all| {
        value(all, by_operator) == Some(2.0) && value(all, status) == Some(1.0)
    })
    .await;
    assert_eq!(sum(&seen, FINISHED), 0.0);
    assert_eq!(get(running.address, "/livez").await.status, 200);
    assert_eq!(get(running.address, "/readyz").await.status, 200);
    let resumed = post(running.address, "/subscriptions/g/resume", Some(TOKEN), "").await;
    assert_eq!(resumed.status, 200);
    let after = until(running.address, "/metrics", |all| sum(all, FINISHED) == 2.0).await;
    assert_eq!(value(&after, by_operator), Some(0.0));
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_named_held_message_is_skipped() {
    let running = start().await;
    running.publish(&["poison"]).await;
    let held = until(running.address, "/metrics", |all| {
        sum(all, "kafkaesk_consumer_held_messages") == 1.0
    })
    .await;
    assert_eq!(sum(&held, FINISHED), 0.0);
    let partition = (0..2).find(|partition| {
        let series = format!(
            "kafkaesk_consumer_retries_total{{stream_id=\"content.a\",partition=\"{partition}\",group_id=\"g\"}}"
        );
        value(&held, &series) > Some(0.0)
    });
    let message = format!("content.a[{}]@0", partition.unwrap());
    let path = "/subscriptions/g/skip";
    // Held for longer than lag-interval, it holds its partition: the first sentence names it.
    let seen = until(running.address, "/stats", |all| {
        all.json()["verdict"] == "HELD"
    })
    .await;
    let (stats, sentence) = (seen.json(), format!("{message} failed "));
    assert!(
        stats["sentence"].as_str().unwrap().contains(&sentence),
        "{stats}"
    );
    let held = &stats["subscriptions"][0]["held"][0];
    assert_eq!(
        (&held["message"], &held["end"], &held["error"]),
        (&json!(message), &json!("retry"), &json!("no such account"))
    );
    let other = json!({"message": message.replace("@0", "@7")}).to_string();
    let refused = post(running.address, path, Some(TOKEN), &other).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    let body = json!({"message": message, "dead_letter": true}).to_string();
    let skipped = post(running.address, path, Some(TOKEN), &body).await;
    assert_eq!(skipped.json(), json!({"group": "g", "skipped": message}));
    let letters = "kafkaesk_dead_letters_total{group_id=\"g\",reason=\"skipped\"}";
    until(running.address, "/metrics", |all| {
        sum(all, FINISHED) == 1.0 && value(all, letters) == Some(1.0)
    })
    .await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_command_says_what_is_wrong() {
    let running = start().await;
    for (path, body, status, says) in [
        ("/subscriptions/h/pause", "", 404, "did you mean g?"),
        ("/subscriptions/g/pause", "{", 400, "the body"),
        ("/subscriptions/g/pause", "[]", 400, "a JSON object"),
        (
            "/subscriptions/g/skip",
            r#"["content.a[0]@0", false]"#,
            400,
            "a JSON object",
        ),
        (
            "/subscriptions/g/pause",
            r#"{"until": "1h"}"#,
            400,
            "unknown field `until`",
        ),
        ("/subscriptions/g/pause", r#"{"for": "soon"}"#, 400, "`for`"),
        ("/subscriptions/g/throttle", "", 400, "the body"),
        (
            "/subscriptions/g/throttle",
            r#"{"per_second": 0}"#,
            400,
            "nonzero",
        ),
        ("/subscriptions/g/throttle", "{}", 400, "per_second"),
        (
            "/subscriptions/g/skip",
            r#"{"message": "content.a"}"#,
            400,
            "`message`",
        ),
        ("/subscriptions/g/stop", "", 404, "GET / lists"),
    ] {
        let answer = post(running.address, path, Some(TOKEN), body).await;
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(says), "{path} {body}: {error}");
    }
    let throttled = r#"{"per_second": 5}"#;
    for body in [throttled, r#"{"per_second": null}"#] {
        let answer = post(
            running.address,
            "/subscriptions/g/throttle",
            Some(TOKEN),
            body,
        )
        .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_partition_names_the_message_that_holds_it_however_many_there_are() {
    let handler = |_: Content| async { Outcome::retry() };
    let app = subscription("content.*", handler)
        .group("g")
        .max_attempts(0)
        .failure_limit(None);
    let mut settings = Settings::default();
    settings.partitions = 60;
    let broker = std::sync::Arc::new(kafkaesk_client::memory::MemoryBroker::new());
    let connection = Connection::with_broker(settings, broker);
    let running = Running::start_on(App::new().subscribe(app), connection, shown()).await;
    let event = Content {
        text: String::new(),
    };
    for partition in 0..60 {
        let publisher = running.connection.publisher();
        let publish = publisher.publish("content.a", &event);
        publish.partition(partition).await.unwrap();
    }
    let all = until(running.address, "/stats", |all| {
        all.json()["problems_total"] == 60
    })
    .await;
    let all = all.json();
    let problems = all["problems"].as_array().unwrap();
    assert!(problems.iter().all(|it| it["verdict"] == "HELD"), "{all}");
    // No key is shown unasked.
    assert!(!all.to_string().contains("\"key\":\""), "{all}");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_failed_stays_held_while_its_next_attempt_runs_and_is_not_skipped_then() {
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |_: Content, attempt: Attempt| {
        let begin = begin.clone();
        async move {
            if attempt.0 > 1 {
                let _ = begin.send(());
                std::future::pending::<()>().await;
            }
            Outcome::retry()
        }
    };
    let app = subscription("content.*", handler)
        .group("g")
        .max_attempts(0);
    let running = Running::start(App::new().subscribe(app), shown()).await;
    running.publish(&["1"]).await;
    begun.recv().await.unwrap();
    let seen = until(running.address, "/stats", |all| {
        all.json()["verdict"] == "HELD"
    })
    .await;
    let stats = seen.json();
    let subscription = &stats["subscriptions"][0];
    assert_eq!(subscription["running"], 1, "{stats}");
    assert_eq!(subscription["held_total"], 1, "{stats}");
    assert_eq!(subscription["held"][0]["attempts"], 1, "{stats}");
    let message = &subscription["held"][0]["message"];
    let body = json!({ "message": message }).to_string();
    let path = "/subscriptions/g/skip";
    let refused = post(running.address, path, Some(TOKEN), &body).await;
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("runs now"), "{refused:?}");
    drop(running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_says_that_the_handler_itself_still_pauses_the_group() {
    let handler =
        |_: Content| async { Err::<(), _>(HandlerError::unavailable("the database is away")) };
    let app = App::new().subscribe(subscription("content.*", handler).group("g"));
    let running = Running::start(app, shown()).await;
    until(running.address, "/readyz", |answer| answer.status == 200).await;
    running.publish(&["1"]).await;
    until(running.address, "/stats", |answer| {
        answer.json()["subscriptions"][0]["pause"]["by"] == "unavailable"
    })
    .await;
    let path = "/subscriptions/g/resume";
    let answer = post(running.address, path, Some(TOKEN), "").await.json();
    let note = answer["note"].as_str().unwrap_or_default();
    assert!(
        note.contains("its handler does") && note.contains("the database is away"),
        "{answer}"
    );
    running.end().await;
}
