//! Laws of `/stats`.

use std::time::SystemTime;

use kafkaesk_client::schema::{Document, Validator};
use kafkaesk_worker::snapshot::{PauseState, PausedBy, RecentError};
use serde_json::Value;

use super::*;
use crate::testing::{hold, running, source, view};

fn read(view: &View, wish: &Wish) -> Value {
    serde_json::from_str(&text(view, wish)).unwrap()
}

#[test]
fn the_schema_is_made_of_the_form() {
    let written = include_str!("../../../contract/stats.schema.json");
    assert_eq!(
        written,
        schema(),
        "run: cargo run -p kafkaesk-operate --example documents -- stats > contract/stats.schema.json"
    );
}

#[test]
fn a_document_fits_its_schema() {
    let document = Document::parse(schema()).unwrap();
    let validator = Validator::new(&document).unwrap();
    let mut it = running("billing", &["orders.placed", "orders.paid"]);
    hold(&mut it, std::time::Duration::from_secs(60));
    for view in [View::default(), view(vec![it])] {
        let text = text(&view, &Wish::default());
        validator.validate(text.as_bytes()).unwrap();
    }
}

#[test]
fn the_sentence_names_the_worst_and_says_how_much_more_there_is() {
    let all_well = read(&view(vec![running("billing", &[])]), &Wish::default());
    assert_eq!(
        all_well["sentence"],
        "all is well: 1 subscription runs; without a partition: 1 (other members have all, or no stream matches the pattern)"
    );
    let mut it = running("billing", &["orders.placed"]);
    it.pause = Some(PauseState {
        by: PausedBy::Operator,
        reason: "the database is moved".into(),
        since: SystemTime::UNIX_EPOCH,
        until: None,
    });
    let mut view = view(vec![it]);
    view.lags[0][0].verdict = kafkaesk_client::lag::Verdict::Paused;
    let paused = read(&view, &Wish::default());
    assert_eq!(
        paused["sentence"],
        "billing: PAUSED: paused by operator since 1970-01-01T00:00:00.000Z: the database is moved"
    );
    view.connected = false;
    let away = read(&view, &Wish::default());
    assert_eq!(
        away["sentence"],
        "UNKNOWN: it has not connected to Kafka yet (and 1 more)"
    );
    assert_eq!(away["problems_total"], 2);
}

#[test]
fn what_may_quote_a_message_is_left_out() {
    let mut it = running("billing", &["orders.placed"]);
    hold(&mut it, std::time::Duration::from_secs(60));
    let error = |end| RecentError {
        error: "/id: \"secret\" is not of type \"integer\"".into(),
        end,
        source: source("orders.placed", 0),
        offset: 3,
        first: SystemTime::now(),
        last: SystemTime::now(),
        count: 1,
    };
    it.errors = vec![
        error(kafkaesk_worker::snapshot::AttemptEnd::Mismatch),
        RecentError {
            error: "connection refused".into(),
            ..error(kafkaesk_worker::snapshot::AttemptEnd::Retry)
        },
    ];
    it.held[0].key = Some("secret-key".into());
    let text = text(&view(vec![it]), &Wish::default());
    assert!(!text.contains("secret"), "{text}");
    assert!(text.contains("connection refused"));
}

#[test]
fn a_document_is_bounded_and_says_what_it_left_out() {
    let streams: Vec<String> = (0..60).map(|number| format!("orders.s{number}")).collect();
    let streams: Vec<&str> = streams.iter().map(String::as_str).collect();
    let subscriptions = (0..300).map(|number| {
        let mut it = running(&format!("group-{number}"), &streams);
        hold(&mut it, std::time::Duration::from_secs(60));
        let held = it.held[0].clone();
        it.held = vec![held; 50];
        it.held
            .iter_mut()
            .for_each(|held| held.error = Some("é".repeat(500)));
        it
    });
    let view = view(subscriptions.collect());
    let text = text(&view, &Wish::default());
    assert!(text.len() <= BYTES, "{}", text.len());
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["subscriptions_total"], 300);
    assert!(read["subscriptions"].as_array().unwrap().len() >= 100);
    assert!(read["listed"].as_u64().unwrap() < 50);
    let one = Wish {
        group: Some("group-7".into()),
        ..Wish::default()
    };
    let read = super::tests::read(&view, &one);
    assert_eq!(
        (&read["subscriptions_total"], &read["listed"]),
        (&1.into(), &50.into())
    );
    assert_eq!(read["subscriptions"][0]["partitions_total"], 60);
    assert_eq!(
        read["subscriptions"][0]["partitions"]
            .as_array()
            .unwrap()
            .len(),
        50
    );
}

#[test]
fn subscriptions_are_sorted_and_paged() {
    let view = view(vec![
        running("b", &["s"]),
        running("a", &[]),
        running("c", &["t"]),
    ]);
    let groups = |wish: &Wish| {
        let read = read(&view, wish);
        let all = read["subscriptions"].as_array().unwrap().clone();
        all.iter()
            .map(|it| it["group"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let mut wish = Wish {
        sort: Sort::Group,
        ..Wish::default()
    };
    assert_eq!(groups(&wish), ["a", "b", "c"]);
    (wish.skip, wish.limit) = (1, Some(1));
    assert_eq!(groups(&wish), ["b"]);
    // Nothing is known of the partitions of b and c; a has none, and is well.
    assert_eq!(groups(&Wish::default()), ["b", "c", "a"]);
}

#[test]
fn a_search_finds_groups_patterns_and_partitions_and_lists_only_the_partitions_that_it_found() {
    let view = view(vec![
        running("billing", &["orders.placed", "orders.paid"]),
        running("audit", &["users.added"]),
    ]);
    let found = |search: &str| {
        let wish = Wish {
            search: Some(search.into()),
            sort: Sort::Group,
            ..Wish::default()
        };
        let read = read(&view, &wish);
        let all = read["subscriptions"].as_array().unwrap().clone();
        assert_eq!(read["subscriptions_total"], all.len());
        all.iter()
            .map(|it| {
                let listed = it["partitions"].as_array().unwrap().len();
                format!("{} {listed}", it["group"].as_str().unwrap())
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(found(""), ["audit 1", "billing 2"]);
    assert_eq!(found("BILL"), ["billing 2"]);
    assert_eq!(found("paid"), ["billing 1"]);
    assert_eq!(found("added[0]"), ["audit 1"]);
    assert!(found("added[1]").is_empty());
    assert!(found("nothing").is_empty());
}

#[test]
fn the_verdict_is_that_of_all_subscriptions_whatever_is_asked_for() {
    let view = view(vec![running("a", &["s"]), running("b", &[])]);
    for wish in [
        Wish::default(),
        Wish {
            group: Some("b".into()),
            ..Wish::default()
        },
    ] {
        let read = read(&view, &wish);
        assert_eq!(read["verdict"], "UNKNOWN");
        assert_eq!(
            read["sentence"],
            "the lag is not known yet: 2 subscriptions run; without a partition: 1 (other members have all, or no stream matches the pattern)"
        );
    }
}
