//! A partition that is lost and comes back: no key is handled twice at once, over the broker in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use kafkaesk_client::core::TopicName;
use kafkaesk_worker::prelude::*;
use tokio::sync::Notify;

use crate::{events::Content, support::start};

/// How many handlers run for each key, and the most that ever did.
#[derive(Default)]
struct Running {
    now: Mutex<HashMap<String, usize>>,
    most: Mutex<usize>,
    begun: Notify,
    ended: Notify,
    go_on: Notify,
    calls: Mutex<usize>,
}

async fn slow(data: Content, running: State<Arc<Running>>) {
    let begin = |running: &Running| {
        let mut now = running.now.lock().unwrap();
        let count = now.entry(data.foo.clone()).or_default();
        *count += 1;
        let mut most = running.most.lock().unwrap();
        *most = (*most).max(*count);
        *running.calls.lock().unwrap() += 1;
    };
    begin(&running);
    running.begun.notify_one();
    running.go_on.notified().await;
    *running.now.lock().unwrap().get_mut(&data.foo).unwrap() -= 1;
    running.ended.notify_one();
}

#[tokio::test]
async fn a_key_is_not_handled_twice_at_once_after_its_partition_was_lost_and_came_back() {
    for ordering in [Ordering::Key, Ordering::Partition, Ordering::None] {
        let running = Arc::new(Running::default());
        let app = App::new()
            .state(running.clone())
            .subscribe(subscription("a", slow).group("g").ordering(ordering));
        let (broker, connection, stop, task) = start(app);
        let publisher = connection.publisher();
        let publish = publisher.publish("a", &Content::new("x"));
        publish.key("x").await.unwrap();
        running.begun.notified().await;
        for _ in 0..3 {
            broker.lose("g");
            // Assigned again, so that the message comes again.
            let topic = TopicName::new("a").unwrap();
            while connection
                .broker()
                .readers(&topic)
                .await
                .unwrap()
                .is_empty()
            {
                tokio::task::yield_now().await;
            }
        }
        // The message comes again, and waits for the handler of the lost assignment.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(*running.calls.lock().unwrap(), 1, "{ordering:?}");
        running.go_on.notify_one();
        running.ended.notified().await;
        running.begun.notified().await;
        running.go_on.notify_one();
        running.ended.notified().await;
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
        assert_eq!(*running.most.lock().unwrap(), 1, "{ordering:?}");
        assert_eq!(broker.committed("g", "a", 0).map(|next| next.0), Some(1));
    }
}
