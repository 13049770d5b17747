//! Vectors: what becomes of each kind of record while the user decided nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafkaesk_client::{
    broker::TopicSpec,
    core::{Headers, TopicName},
};
use kafkaesk_vectors::{broken, bytes, cases, report, same, text};
use kafkaesk_worker::{IntoSubscription as _, prelude::*, testing::TestError};
use serde_json::Value;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Order", version = 1)]
struct Order {
    id: i64,
}

#[subscribe("orders", group = "g")]
async fn takes_orders(_: Order) {}

#[subscribe("orders", group = "g")]
async fn takes_any_event(_: Json) {}

#[subscribe("orders", group = "g")]
async fn takes_any_record(_: Record) {}

#[tokio::test(start_paused = true)]
async fn every_kind_of_record_becomes_what_the_contract_says() {
    let mut cases = cases("consuming.json");
    cases.retain(|case| case.get("records").is_none());
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(broken(case, became(case).await));
    }
    report("consuming.json", cases.len(), wrong);
}

async fn became(case: &Value) -> Result<(), String> {
    let subscription = match text(case, "handler") {
        "order" => takes_orders.into_subscription(),
        "any-event" => takes_any_event.into_subscription(),
        "record" => takes_any_record.into_subscription(),
        other => return Err(format!("unknown handler {other}")),
    };
    let subscription = subscription.validate(case["validates"].as_bool().unwrap());
    let app = TestApp::start(App::new().subscribe(subscription)).await;
    let log = TopicName::new("__schema__Order").unwrap();
    fill(&app, &log, case["log"].as_array().unwrap()).await;
    let stream = TopicName::new("orders").unwrap();
    fill(&app, &stream, std::slice::from_ref(case)).await;
    let became = match app.try_settle().await {
        Ok(handled) => match handled.outcomes()[..] {
            [Outcome::Done] => "handled",
            // A dead letter is written before the record is passed over.
            [Outcome::Skip] | [Outcome::Reject { .. }] => "passed over",
            ref other => return Err(format!("{other:?}")),
        },
        // A test stops after three attempts; a worker does not.
        Err(TestError::Handler { .. }) => "held",
        Err(other) => return Err(other.to_string()),
    };
    same(became, text(case, "becomes"))
}

/// Creates a topic with these records, which have a value and perhaps a key.
async fn fill(app: &TestApp, topic: &TopicName, records: &[Value]) {
    let spec = TopicSpec {
        topic: topic.clone(),
        partitions: 1,
        replication_factor: 1,
        config: BTreeMap::new(),
    };
    let broker = app.connection().broker();
    broker.create_topic(&spec).await.unwrap();
    for record in records {
        let (key, value) = (bytes(&record["key"]), bytes(&record["value"]));
        let (key, value) = (key.map(Bytes::from), value.map(Bytes::from));
        app.broker()
            .append_raw(topic, key, value, Headers::new())
            .unwrap();
    }
}
