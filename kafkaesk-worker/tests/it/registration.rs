//! What an application accepts, and what it says of what it does not accept. No broker.

use kafkaesk_worker::prelude::*;

#[subscribe(
    "content.*",
    group = "printer",
    concurrency = 4,
    ordering = "partition",
    start = "24h"
)]
async fn get_messages(data: Json, attempt: Attempt) -> Outcome {
    if data.is_null() || *attempt > 1 {
        return Outcome::Skip;
    }
    Outcome::Done
}

/// Documented.
#[subscribe("orders.*")]
pub async fn defaults(_: Raw) {}

async fn plain(_: Raw) -> Result<(), HandlerError> {
    Ok(())
}

#[tokio::test]
async fn a_subscribed_function_can_still_be_called() {
    let outcome = get_messages(Json(1.into()), Attempt(1)).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(
        get_messages(Json(1.into()), Attempt(2)).await,
        Outcome::Skip
    );
}

#[test]
fn a_group_defaults_to_the_functions_name() {
    let app = App::new()
        .subscribe(get_messages)
        .subscribe(defaults)
        .subscribe(subscription("x", plain));
    let groups: Vec<_> = app.subscriptions().iter().map(|s| s.group_name()).collect();
    assert_eq!(groups, [Some("printer"), Some("defaults"), Some("plain")]);
    app.check().unwrap();
}

#[test]
fn a_named_application_puts_its_name_before_default_groups() {
    let app = App::named("billing")
        .subscribe(get_messages)
        .mount(Router::new().subscribe(defaults));
    let groups: Vec<_> = app.subscriptions().iter().map(|s| s.group_name()).collect();
    assert_eq!(groups, [Some("printer"), Some("billing.defaults")]);
}

fn refusal(app: App) -> String {
    app.check().unwrap_err().to_string()
}

#[test]
fn a_closure_must_name_its_group() {
    let app = App::new().subscribe(subscription("x.*", |raw: Raw| async move { drop(raw) }));
    assert_eq!(
        refusal(app),
        "subscription to \"x.*\": a closure has no name to take the group from; name it: `.group(\"…\")`"
    );
    let named = subscription("x.*", |raw: Raw| async move { drop(raw) }).group("closure");
    App::new().subscribe(named).check().unwrap();
}

#[test]
fn subscriptions_of_one_group_must_not_overlap() {
    let app = App::new()
        .subscribe(subscription("a.b", plain).group("g"))
        .subscribe(subscription("a.b", plain).group("g"));
    assert_eq!(
        refusal(app),
        "subscriptions to \"a.b\" and \"a.b\" overlap in group \"g\", and one group gets each message once; give one of them another group or a narrower pattern"
    );
    let apart = App::new()
        .subscribe(subscription("a.b", plain).group("g"))
        .subscribe(subscription("a.b", plain).group("h"))
        .subscribe(subscription("a.c", plain).group("g"));
    apart.check().unwrap();
}

#[test]
fn bounds_are_checked() {
    let app = App::new().subscribe(subscription("a", plain).concurrency(0));
    assert_eq!(
        refusal(app),
        "subscription to \"a\": concurrency is 0; it must be from 1 to 100000"
    );
}

#[test]
fn only_known_groups_can_be_chosen() {
    let app = App::new().subscribe(defaults).only(["billing"]);
    assert_eq!(
        refusal(app),
        "no subscription has the group \"billing\"; there are: defaults"
    );
}

#[subscribe("batches", batch(max = 10, bytes = 4096, wait = "50ms"))]
async fn one_by_one(_: Raw) {}

#[test]
fn batches_and_what_takes_them_belong_together() {
    assert_eq!(
        refusal(App::new().subscribe(one_by_one)),
        "subscription to \"batches\": batches need a handler with an argument such as `batch: Batch<Json>`, which takes their messages"
    );
    let unbounded = subscription("a", plain).batch(BatchOptions::new().max(20_000));
    assert_eq!(
        refusal(App::new().subscribe(unbounded)),
        "subscription to \"a\": batch: its max is 20000; it must be from 1 to 10000"
    );
}
