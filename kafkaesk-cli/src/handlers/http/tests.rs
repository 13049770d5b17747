//! The http handler against a real server in this process. No Kafka.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use kafkaesk_core::{Headers, Offset, Source, StreamId, TopicPrefix, answer::Answer};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use super::*;

/// A server whose answer to each request is the request's own body, and how many connections it saw.
async fn echo_server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                loop {
                    let mut length = 0;
                    let mut line = String::new();
                    loop {
                        line.clear();
                        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                            return;
                        }
                        if let Some(value) = line.strip_prefix("content-length: ") {
                            length = value.trim().parse().unwrap();
                        }
                        if line == "\r\n" {
                            break;
                        }
                    }
                    let mut body = vec![0; length];
                    stream.read_exact(&mut body).await.unwrap();
                    if body == b"hang" {
                        std::future::pending::<()>().await;
                    }
                    if body == b"cut" {
                        return;
                    }
                    stream.get_mut().write_all(&body).await.unwrap();
                }
            });
        }
    });
    (format!("http://{address}/orders"), connections)
}

fn record() -> Record {
    let stream = StreamId::new("orders.placed").unwrap();
    Record {
        source: Arc::new(Source {
            topic: TopicPrefix::default().topic(&stream).unwrap(),
            stream,
            partition: 0,
        }),
        offset: Offset(0),
        timestamp: None,
        key: None,
        headers: Headers::new(),
        value: Some(Bytes::from_static(b"{}")),
        unreadable: None,
    }
}

fn handler(url: &str) -> Http {
    let url: Url = url.parse().unwrap();
    Http::new(HttpSettings {
        shown: shown(&url),
        url,
        timeout: Duration::from_secs(2),
        headers: HeaderMap::new(),
        trusted: Vec::new(),
        batches: false,
    })
    .unwrap()
}

async fn ask(http: &Http, answer: &str) -> Reply {
    http.handle(
        &record(),
        &Headers::new(),
        "Order:1",
        Bytes::copy_from_slice(answer.as_bytes()),
        "billing",
        1,
    )
    .await
    .unwrap_or_else(|error| http.broken(&error))
}

#[tokio::test]
async fn every_kind_of_status_is_its_outcome_on_one_connection() {
    let (url, connections) = echo_server().await;
    let http = handler(&url);
    let with = |status: &str, head: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} X\r\n{head}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert_eq!(ask(&http, &with("204", "", "")).await, Reply::DONE);
    assert_eq!(ask(&http, &with("200", "", "ignored")).await, Reply::DONE);
    let Reply::Answered(Answer::Reject {
        reason: Some(reason),
    }) = ask(&http, &with("422", "", "no such customer")).await
    else {
        panic!("422 rejects")
    };
    assert_eq!(
        reason,
        format!("{url} answered 422 Unprocessable Entity: no such customer")
    );
    let busy = ask(&http, &with("503", "retry-after: 7\r\n", "busy")).await;
    assert!(
        matches!(busy, Reply::Overloaded { delay: Some(delay), .. } if delay == Duration::from_secs(7))
    );
    let moved = with("302", "location: http://127.0.0.1:1/\r\n", "");
    let Reply::Unavailable(reason) = ask(&http, &moved).await else {
        panic!("a redirect means a wrong endpoint")
    };
    let said = format!("{url} answered 302 Found, a redirect to http://127.0.0.1:1/;");
    assert!(reason.contains(&said), "{reason}");
    assert!(matches!(
        ask(&http, &with("404", "", "")).await,
        Reply::Unavailable(_)
    ));
    let ours = "content-type: application/vnd.kafkaesk.answer+json\r\n";
    let skip = with("200", ours, r#"{"outcome":"skip"}"#);
    assert_eq!(ask(&http, &skip).await, Reply::Answered(Answer::Skip));
    let unreadable = with("200", ours, "not an answer");
    assert!(matches!(
        ask(&http, &unreadable).await,
        Reply::Unavailable(_)
    ));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_whole_answer_is_a_retry_that_names_the_endpoint() {
    let (url, _) = echo_server().await;
    let http = handler(&url);
    for (sent, said) in [("hang", "gave no answer in time"), ("cut", "broke off")] {
        let (Reply::Overloaded { delay, reason }
        | Reply::Answered(Answer::Retry {
            delay,
            reason: Some(reason),
        })) = ask(&http, sent).await
        else {
            panic!("{sent} is retried")
        };
        assert_eq!(delay, None);
        assert!(
            reason.starts_with(&url) && reason.contains(said),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_blames_no_message() {
    let (url, _) = echo_server().await;
    let no_tls = url.replace("http://", "https://");
    for url in [
        "http://user:secret@127.0.0.1:1/orders",
        "http://nobody.invalid/orders",
        &no_tls,
    ] {
        let mut nobody = handler(url);
        // A name service that does not answer takes its time to say so.
        nobody.client = reqwest::Client::builder()
            .timeout(Duration::from_secs(120))
            .build()
            .unwrap();
        let answer = ask(&nobody, "x").await;
        let Reply::Unavailable(reason) = answer else {
            panic!("{url}: {answer:?}")
        };
        assert!(reason.contains(" cannot be reached: "), "{reason}");
        assert!(!reason.contains("secret"), "{reason}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_read_to_its_bound() {
    let (url, _) = echo_server().await;
    let body = "x".repeat(MAX_BODY * 4);
    let answer = format!(
        "HTTP/1.1 400 X\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let Reply::Answered(Answer::Reject {
        reason: Some(reason),
    }) = ask(&handler(&url), &answer).await
    else {
        panic!("400 rejects")
    };
    assert!(reason.chars().count() < 1200, "{}", reason.len());
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_change_what_its_status_decided() {
    let (url, _) = echo_server().await;
    let answer = "HTTP/1.1 422 X\r\ncontent-length: 100\r\n\r\nno such customer";
    let Reply::Answered(Answer::Reject {
        reason: Some(reason),
    }) = ask(&handler(&url), answer).await
    else {
        panic!("422 rejects")
    };
    assert!(reason.ends_with(": no such customer"), "{reason}");
    let ours = "HTTP/1.1 200 X\r\ncontent-type: application/vnd.kafkaesk.answer+json\r\ncontent-length: 100\r\n\r\n{}";
    let cut = ask(&handler(&url), ours).await;
    assert!(matches!(cut, Reply::Overloaded { .. }), "{cut:?}");
}
