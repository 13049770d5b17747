//! Each side reads what the other publishes: by pattern, behind the same prefix, in the same envelope.

use std::time::Duration;

use serde_json::json;

use crate::service::{Content, Place};

#[tokio::test(flavor = "multi_thread")]
async fn a_python_model_reads_what_we_publish_by_pattern() {
    let place = Place::new("to-python").await;
    let other = Place::new("to-python-other").await;
    let mine = place.connect().await.publisher();
    let theirs = other.connect().await.publisher();
    theirs
        .publish("content.edited", &Content::new("behind another prefix"))
        .await
        .expect("published");
    let event = Content {
        foo: "grüße \u{1f600}".into(),
        note: Some("n".into()),
    };
    let receipt = mine
        .publish("content.edited.Resource", &event)
        .key("user-7")
        .header("source", "import")
        .await
        .expect("published");
    mine.publish("content.new", &Content::new("second"))
        .await
        .expect("published");
    mine.publish("other.stream", &Content::new("not of the pattern"))
        .await
        .expect("published");

    let mut python = place.python_consumer("content.*");
    let mut seen = python.take(2).await;
    assert_eq!(python.next_within(Duration::from_secs(2)).await, None);
    seen.extend(python.stop().await);

    seen.sort_by_key(|message| message["topic"].to_string());
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(
        seen[0],
        json!({
            "topic": receipt.topic.to_string(),
            "partition": receipt.partition,
            "offset": receipt.offset.unwrap().0,
            "key": "user-7",
            "schema": "Content:1",
            "headers": {"source": "import"},
            "foo": "grüße \u{1f600}",
            "note": "n",
        })
    );
    assert_eq!(seen[1]["foo"], "second");
    assert_eq!(seen[1]["note"], json!(null));
    assert_eq!(seen[1]["key"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn we_read_what_python_publishes_by_pattern() {
    let place = Place::new("from-python").await;
    let mut service = place.rust_consumer("content.*", &[]);
    let mut python = place.python_publisher();
    let message = json!({"stream": "content.edited.Resource", "key": "user-7",
        "data": {"foo": "grüße \u{1f600}", "note": "n"}, "headers": {"source": "import"}});
    python.tell(&message).await;
    let receipt = python.next().await;
    python
        .tell(&json!({"stream": "other.stream", "data": {"foo": "not of the pattern"}}))
        .await;
    python.next().await;
    python
        .tell(&json!({"stream": "content.new", "data": {"foo": "second"}}))
        .await;
    python.next().await;
    python.stop().await;

    let mut seen = service.take(2).await;
    assert_eq!(service.next_within(Duration::from_secs(2)).await, None);
    service.stop().await;

    seen.sort_by_key(|message| message.topic.clone());
    assert_eq!(receipt["topic"], seen[0].topic.as_str());
    assert_eq!(receipt["partition"], seen[0].partition);
    assert_eq!(receipt["offset"], seen[0].offset);
    assert_eq!(seen[0].key.as_deref(), Some("user-7"));
    assert_eq!(seen[0].source.as_deref(), Some("import"));
    assert_eq!(seen[0].schema, "Content:1");
    assert_eq!(seen[0].data.foo, "grüße \u{1f600}");
    assert_eq!(seen[0].data.note.as_deref(), Some("n"));
    assert_eq!(seen[1].data, Content::new("second"));
    assert_eq!(seen[1].key, None);
}
