//! Laws of committers that need no broker of their own: what is refused before anything starts, and what a test sees of custody.

use kafkaesk_worker::{Subscription, prelude::*, subscription};
use tokio::sync::mpsc;

use crate::events::Content;

#[subscribe("content.*", group = "m", commit = "manual", max_uncommitted = 7)]
async fn by_macro(_event: Content, committer: Committer) {
    drop(committer.done());
}

#[tokio::test]
async fn combinations_that_mean_nothing_are_errors_before_anything_starts() {
    App::new().subscribe(by_macro).check().unwrap();
    let refused = |subscription: Subscription| {
        let app = App::new().subscribe(subscription.group("g"));
        app.check().unwrap_err().to_string()
    };
    let with = || subscription("a", |_: Content, _: Committer| async {});
    let without = || subscription("a", |_: Content| async {});
    for (subscription, part) in [
        (with(), "write `commit = \"manual\"`"),
        (without().commit(Commit::Manual), "committer: Committer"),
        (without().max_uncommitted(5), "max-uncommitted"),
        (
            with().commit(Commit::Manual).max_uncommitted(0),
            "from 1 to 65536",
        ),
        (
            with().commit(Commit::Manual).max_uncommitted(70_000),
            "from 1 to 65536",
        ),
    ] {
        let error = refused(subscription);
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_test_application_waits_for_committers_and_names_what_they_left() {
    let (custody, mut taken) = mpsc::unbounded_channel();
    let handler = move |_: Content, committer: Committer| {
        let custody = custody.clone();
        async move { drop(custody.send(committer)) }
    };
    let by_hand = subscription("content.*", handler).group("g");
    let app = TestApp::start(App::new().subscribe(by_hand.commit(Commit::Manual))).await;
    for text in ["a", "b"] {
        let event = Content::new(text);
        app.publish("content.a", &event).await.unwrap();
    }
    let (first, second) = (taken.recv().await.unwrap(), taken.recv().await.unwrap());
    drop(first.done());
    let error = app.try_settle().await.unwrap_err().to_string();
    assert!(error.contains("1 message(s) in custody"), "{error}");
    assert!(error.contains(&app.in_custody("g")[0]), "{error}");
    drop(second.done());
    assert_eq!(app.settle().await.outcomes(), vec![Outcome::Done; 2]);
    assert!(app.in_custody("g").is_empty());
}
