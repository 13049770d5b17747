//! Laws of `/scale`.

use kafkaesk_worker::{prelude::*, subscription};

use crate::{
    http::get,
    support::{Content, Running, shown, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_number_is_shown_with_its_bounds_and_its_reason() {
    let of = |group: &str| subscription("content.*", |_: Content| async {}).group(group);
    let app = App::new()
        .subscribe(of("auto").concurrency(4..=64))
        .subscribe(of("fixed").max_concurrency(1));
    let running = Running::start(app, shown()).await;
    // The load is looked at every ten seconds.
    let seen = until(running.address, "/scale", |all| {
        !all.json()["subscriptions"][0]["instances"]["scaled"].is_null()
    })
    .await;
    let seen = seen.json();
    let [auto, fixed] = seen["subscriptions"].as_array().unwrap().as_slice() else {
        panic!("{seen}");
    };
    assert_eq!(
        (&auto["group"], &fixed["group"]),
        (&"auto".into(), &"fixed".into())
    );
    let handlers = &auto["handlers"];
    assert_eq!(handlers["scaled"]["max"], 64, "{seen}");
    assert!(handlers["scaled"]["state"].is_string(), "{seen}");
    let instances = &auto["instances"];
    assert_eq!(
        (&instances["now"], &instances["scaled"]["max"]),
        (&1.into(), &3.into())
    );
    assert_eq!(instances["scaled"]["acts"], true, "{seen}");
    assert_eq!(fixed["handlers"]["now"], 32, "{seen}");
    assert!(fixed["handlers"].get("scaled").is_none(), "{seen}");
    assert!(fixed["instances"].get("scaled").is_none(), "{seen}");

    let one = get(running.address, "/scale?group=fixed").await.json();
    assert_eq!(one["subscriptions_total"], 1, "{one}");
    let none = get(running.address, "/scale?group=other").await.json();
    assert_eq!(none["subscriptions_total"], 0, "{none}");
    let wrong = get(running.address, "/scale?grup=fixed").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("it may have group"), "{wrong:?}");
    running.end().await;
}
