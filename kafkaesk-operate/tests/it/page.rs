//! Laws of the page, in a real browser. With `KAFKAESK_BLESS=1` its pictures in `docs/images/` are made again.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use kafkaesk_client::memory::MemoryBroker;
use kafkaesk_operate::{Operate, ShownSetting};
use kafkaesk_worker::{prelude::*, subscription};

use crate::{
    browser::Browser,
    http::{Answer, get, get_with, post},
    support::{Content, Running, TOKEN, shown, until},
};

/// Keys of the WebDriver protocol.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const DELETE: &str = "\u{e017}";

const MARKUP: &str = "no such account: <b>4711</b>";

/// Handles everything but "poison", which fails each time with an error that looks like markup.
fn app() -> App {
    let handler = |data: Content| async move {
        match data.text.as_str() {
            "poison" => Err(HandlerError::msg(MARKUP)),
            _ => Ok(()),
        }
    };
    let billing = subscription("content.*", handler)
        .group("billing")
        .max_attempts(0);
    let audit = subscription("content.*", |_: Content| async {}).group("audit");
    App::new().subscribe(billing).subscribe(audit)
}

async fn start() -> Running {
    let running = Running::start(app(), shown()).await;
    until(running.address, "/readyz", |answer| answer.status == 200).await;
    running
}

/// Where the pictures go.
fn picture(name: &str) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    target.join("../page").join(format!("{name}.png"))
}

/// Where the handbook's pictures stand, if they are to be made again.
fn handbook(name: &str) -> Option<PathBuf> {
    std::env::var_os("KAFKAESK_BLESS")?;
    let crates = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Some(
        crates
            .join("../docs/images")
            .join(format!("page-{name}.png")),
    )
}

/// Takes a picture in each colour scheme, wide and as narrow as a phone; nothing is wider than the phone.
fn pictures(browser: &Browser, name: &str) {
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        for (size, width, height) in [("wide", 1280, 760), ("narrow", 360, 760)] {
            browser.look(width, height, scheme);
            let wide = browser.eval("document.documentElement.scrollWidth");
            assert!(
                wide.as_u64().unwrap() <= width.into(),
                "{name} {size}: {wide}"
            );
            browser.picture(&picture(&format!("{name}-{scheme}-{size}")));
        }
        let in_handbook = ["ok", "held", "paused"].contains(&name);
        if let Some(file) = handbook(&format!("{name}-{scheme}")).filter(|_| in_handbook) {
            browser.look(1280, 760, scheme);
            browser.picture(&file);
        }
        grounds.push(browser.eval("getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(grounds[0], grounds[1]);
    browser.look(1280, 760, "light");
    assert_eq!(browser.console(), [] as [serde_json::Value; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_for_browsers_and_its_policy_lets_nothing_else_in() {
    let running = start().await;
    let text = get(running.address, "/").await;
    assert!(text.body.contains("GET /metrics"), "{text:?}");
    let html = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n";
    let page = get_with(running.address, "/", html).await;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; connect-src 'self'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_well_is_shown_so_and_a_row_unfolds_by_keyboard() {
    let running = start().await;
    running.publish(&["1", "2", "3", "4", "5", "6"]).await;
    let browser = Browser::start();
    browser.look(1280, 760, "light");
    browser.open(running.address);
    browser.until("document.getElementById('word').innerText === 'OK'");
    assert_eq!(browser.text("sentence"), "all is well: 2 subscriptions run");
    assert_eq!(browser.eval("document.title"), "OK – kafkaesk");
    assert_eq!(browser.text("range"), "1–2 of 2");
    assert_eq!(
        browser.eval("document.querySelectorAll('#rows > tr').length"),
        2
    );
    assert_eq!(
        browser.eval("document.getElementById('problems').hidden"),
        true
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('#rows svg polyline').length"),
        2
    );

    // Filter, sort, back and next (switched off), then the rows.
    let fold = "document.activeElement.dataset.fold";
    for _ in 0..10 {
        browser.press(TAB);
        if browser.eval(&format!("!!{fold}")) == true {
            break;
        }
    }
    assert_eq!(browser.eval(fold), "audit content.*");
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.eval(outline), "solid");
    for (key, open) in [(ENTER, true), (" ", false), (" ", true)] {
        browser.press(key);
        let expanded = "document.activeElement.getAttribute('aria-expanded')";
        assert_eq!(browser.eval(expanded), open.to_string());
        let more = "document.querySelectorAll('#rows > .more').length";
        assert_eq!(browser.eval(more), u32::from(open));
    }
    let details = "document.querySelector('#rows > .more').innerText";
    let details = browser.eval(details).as_str().unwrap().to_owned();
    for part in [
        "Partitions furthest behind",
        "content.a[1]",
        "Last rebalances",
        "assigned",
    ] {
        assert!(details.contains(part), "{part}: {details}");
    }
    // The focus and what is unfolded outlast the next answer.
    let asked = "performance.getEntriesByType('resource').length";
    let before = browser.eval(asked);
    browser.until(&format!("{asked} > {before} + 1"));
    assert_eq!(browser.eval(fold), "audit content.*");
    assert_eq!(
        browser.eval("document.querySelectorAll('#rows > .more').length"),
        1
    );
    // Only one who listens hears news, and each news once.
    assert_eq!(
        browser.eval("document.querySelectorAll('[aria-live]').length"),
        1
    );
    pictures(&browser, "ok");
    drop(browser);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_in_custody_are_counted_and_the_oldest_is_named() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeps = kept.clone();
    let handler = move |_: Content, committer: Committer| {
        keeps.lock().unwrap().push(committer);
        async {}
    };
    let sink = subscription("content.*", handler)
        .group("sink")
        .commit(Commit::Manual);
    let running = Running::start(App::new().subscribe(sink), shown()).await;
    until(running.address, "/readyz", |answer| answer.status == 200).await;
    running.publish(&["1", "2", "3"]).await;
    let custody = |answer: &Answer| answer.json()["subscriptions"][0]["custody"] == 3;
    let stats = until(running.address, "/stats", custody).await.json();
    let oldest = stats["subscriptions"][0]["oldest_in_custody"]["message"].clone();
    let browser = Browser::start();
    browser.look(1280, 760, "light");
    browser.open(running.address);
    browser.until("document.querySelectorAll('[data-fold^=sink]').length === 1");
    browser.eval("document.querySelector('[data-fold^=sink]').click()");
    let text = "document.querySelector('#rows > .more').innerText";
    let line = format!(
        "In custody: 3 messages whose handler has returned and whose committer has not finished, the oldest {} for ",
        oldest.as_str().unwrap()
    );
    browser.until(&format!("{text}.includes('{line}')"));
    pictures(&browser, "custody");
    drop(browser);
    for committer in kept.lock().unwrap().drain(..) {
        drop(committer.done());
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_held_is_named_with_its_error_as_text() {
    let running = start().await;
    running.publish(&["1", "2", "poison", "3"]).await;
    let browser = Browser::start();
    browser.look(1280, 760, "light");
    browser.open(running.address);
    browser.until("document.getElementById('word').innerText === 'HELD'");
    let held = get(running.address, "/stats?group=billing").await.json();
    let message = held["subscriptions"][0]["held"][0]["message"].clone();
    let message = message.as_str().unwrap().to_owned();
    let sentence = browser.text("sentence");
    assert!(
        sentence.contains(&format!("{message} failed ")),
        "{sentence}"
    );
    let problem = "document.querySelector('#problem-list li').innerText";
    let problem = browser.eval(problem).as_str().unwrap().to_owned();
    let partition = message.split('@').next().unwrap();
    for part in ["HELD", "billing", partition, &message] {
        assert!(problem.contains(part), "{part}: {problem}");
    }
    assert_eq!(
        browser.text("announced").split(" failed ").next(),
        Some(format!("HELD: billing {partition}: {message}").as_str())
    );
    browser.eval("document.querySelector('[data-fold^=billing]').click()");
    let held = format!("document.querySelector('#rows > .more').innerText.includes('{message}')");
    browser.until(&held);
    let text = "document.querySelector('#rows > .more').innerText";
    assert!(browser.eval(text).as_str().unwrap().contains(MARKUP));
    assert_eq!(
        browser.eval("document.querySelectorAll('#rows b').length"),
        0
    );
    pictures(&browser, "held");
    drop(browser);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_shown_with_who_made_it_and_why() {
    let running = start().await;
    let body = r#"{"reason": "the database is moved", "for": "1h"}"#;
    let path = "/subscriptions/billing/pause";
    post(running.address, path, Some(TOKEN), body).await;
    let browser = Browser::start();
    browser.look(1280, 760, "light");
    browser.open(running.address);
    // Without lag, and then with it.
    browser.until("document.getElementById('word').innerText === 'PAUSED'");
    running.publish(&["1", "2", "3"]).await;
    browser.until("document.querySelector('#rows td:nth-of-type(2)').innerText === '3'");
    browser.until("document.getElementById('word').innerText === 'PAUSED'");
    let sentence = browser.text("sentence");
    assert!(sentence.contains("the database is moved"), "{sentence}");
    browser.eval("document.querySelector('[data-fold^=billing]').click()");
    let details = browser.eval("document.querySelector('#rows > .more').innerText");
    let details = details.as_str().unwrap();
    for part in ["by operator, since", "ends in 59m", "the database is moved"] {
        assert!(details.contains(part), "{part}: {details}");
    }
    pictures(&browser, "paused");
    drop(browser);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_are_away_are_said_and_so_is_a_service_that_does_not_answer() {
    let app = app();
    let operate = Operate::start(shown(), app.watch(), app.control());
    let operate = operate.await.unwrap();
    let browser = Browser::start();
    browser.look(1280, 760, "light");
    browser.open(operate.address().unwrap());
    browser.until("document.getElementById('word').innerText === 'UNKNOWN'");
    assert_eq!(
        browser.text("sentence"),
        "it has not connected to Kafka yet"
    );
    assert_eq!(browser.text("none"), "No subscription runs.");
    pictures(&browser, "away");
    drop(operate);
    browser.until("document.getElementById('word').innerText === 'NO ANSWER'");
    let sentence = browser.text("sentence");
    assert!(
        sentence
            .starts_with("the service does not answer: it cannot be reached; what is below is "),
        "{sentence}"
    );
    assert!(browser.text("announced").starts_with("NO ANSWER: "));
    browser.picture(&picture("gone"));
    drop(browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_nobody_sees_asks_nothing() {
    let running = start().await;
    let browser = Browser::start();
    browser.open(running.address);
    let asked = "performance.getEntriesByType('resource').length";
    browser.until(&format!("{asked} > 1"));
    let hide = |hidden: bool| {
        browser.eval(&format!(
            "(Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}), \
             document.dispatchEvent(new Event('visibilitychange')))"
        ));
    };
    hide(true);
    let hidden = browser.eval(asked).as_u64().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        // One that was under way may still end.
        assert!(browser.eval(asked).as_u64().unwrap() <= hidden + 1);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    hide(false);
    browser.until(&format!("{asked} > {hidden} + 1"));
    drop(browser);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_come_in_pages_of_fifty_and_a_filter_finds_them() {
    let mut app = App::new();
    for group in 0..120 {
        let one = subscription("content.*", |_: Content| async {});
        app = app.subscribe(one.group(format!("group-{group}")));
    }
    let running = Running::start(app, shown()).await;
    until(running.address, "/readyz", |answer| answer.status == 200).await;
    let browser = Browser::start();
    browser.look(1280, 760, "light");
    browser.open(running.address);
    let range = |wanted: &str| {
        browser.until(&format!(
            "document.getElementById('range').innerText === '{wanted}'"
        ));
    };
    range("1–50 of 120");
    let rows = "document.querySelectorAll('#rows > tr').length";
    assert_eq!(browser.eval(rows), 50);
    for after in ["51–100 of 120", "101–120 of 120"] {
        browser.eval("document.getElementById('next').click()");
        range(after);
    }
    assert_eq!(
        browser.eval("document.getElementById('next').disabled"),
        true
    );
    browser.eval("document.getElementById('search').focus()");
    browser.press("P-11");
    range("1–11 of 11");
    assert_eq!(browser.eval(rows), 11);
    browser.press("x");
    range("0");
    assert_eq!(
        browser.text("none"),
        "No group, pattern or partition contains “P-11x”."
    );
    browser.eval("document.getElementById('search').select()");
    browser.press(DELETE);
    range("1–50 of 120");
    pictures(&browser, "groups");
    drop(browser);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_5000_partitions_one_is_found_within_a_second() {
    let mut settings = Settings::default();
    settings.partitions = 5000;
    let broker = Arc::new(MemoryBroker::new());
    let connection = Connection::with_broker(settings, broker);
    let app = subscription("content.*", |_: Content| async {}).group("all");
    let running = Running::start_on(App::new().subscribe(app), connection, shown()).await;
    running.publish(&["1"]).await;
    until(running.address, "/stats?limit=1", |answer| {
        let all = answer.json();
        all["subscriptions"][0]["partitions_total"] == 5000 && all["verdict"] == "OK"
    })
    .await;
    let browser = Browser::start();
    browser.look(1280, 760, "light");
    browser.open(running.address);
    browser.until("document.getElementById('word').innerText === 'OK'");
    browser.eval("document.querySelector('[data-fold^=all]').click()");
    let title = "document.querySelector('.more h3').innerText";
    assert_eq!(
        browser.eval(title),
        "Partitions furthest behind, 50 of 5,000"
    );
    pictures(&browser, "many");
    browser.eval("document.getElementById('search').focus()");
    let begun = Instant::now();
    browser.press("A[4711]");
    browser.until(
        "[...document.querySelectorAll('.more [data-key^=Partitions] tbody th')].map((it) => it.innerText).join() \
         === 'content.a[4711]'",
    );
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    pictures(&browser, "found");
    drop(browser);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_5000_streams_one_is_found_within_a_second() {
    let mut settings = Settings::default();
    settings.partitions = 1;
    let broker = Arc::new(MemoryBroker::new());
    let connection = Connection::with_broker(settings, broker);
    for number in 0..5000 {
        let publisher = connection.publisher();
        let event = Content {
            text: String::new(),
        };
        let stream = format!("content.s{number}");
        publisher.publish(&stream, &event).await.unwrap();
    }
    let app = subscription("content.*", |_: Content| async {}).group("all");
    let running = Running::start_on(App::new().subscribe(app), connection, shown()).await;
    until(running.address, "/stats?limit=1", |answer| {
        let all = answer.json();
        all["subscriptions"][0]["partitions_total"] == 5000 && all["verdict"] == "OK"
    })
    .await;
    let begun = Instant::now();
    let stats = get(running.address, "/stats").await;
    let took = begun.elapsed();
    assert!(stats.body.len() < 1024 * 1024);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let browser = Browser::start();
    browser.look(1280, 760, "light");
    browser.open(running.address);
    browser.until("document.getElementById('word').innerText === 'OK'");
    browser.eval("document.querySelector('[data-fold^=all]').click()");
    browser.eval("document.getElementById('search').focus()");
    let begun = Instant::now();
    browser.press("s4711");
    browser.until(
        "[...document.querySelectorAll('.more [data-key^=Partitions] tbody th')].map((it) => it.innerText).join() \
         === 'content.s4711[0]'",
    );
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    pictures(&browser, "streams");
    drop(browser);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_keys_published_streams_and_settings_are_shown_when_they_are_asked_for() {
    let handler = |data: Content| async move {
        match data.text.as_str() {
            "bad" => Outcome::reject(MARKUP),
            "poison" => Outcome::retry(),
            _ => Outcome::Done,
        }
    };
    let app = subscription("content.*", handler).group("billing");
    let mut settings = shown();
    settings.show_keys = true;
    let running = Running::start(App::new().subscribe(app.max_attempts(0)), settings).await;
    running.operate.show_settings(vec![ShownSetting {
        key: "topic-prefix".into(),
        value: "shop.".into(),
        source: "kafkaesk.toml:3".into(),
    }]);
    running.publish(&["1", "bad", "poison"]).await;
    let browser = Browser::start();
    browser.look(1280, 760, "light");
    browser.open(running.address);
    browser.until("document.getElementById('word').innerText === 'HELD'");
    browser.eval("document.querySelector('[data-fold^=billing]').click()");
    let more = "document.querySelector('#rows > .more').innerText";
    for part in [
        "Last dead letters",
        "rejected",
        MARKUP,
        "kafkaesk-cli dead-letters redrive billing",
        "key poison",
    ] {
        browser.until(&format!("{more}.includes('{part}')"));
    }
    let published = browser.text("published");
    for part in ["content.a", "Content:1"] {
        assert!(published.contains(part), "{part}: {published}");
    }
    // Not before they are unfolded.
    assert_eq!(browser.text("setting-list"), "");
    browser.eval("document.querySelector('#settings > summary').click()");
    browser.until("document.getElementById('setting-list').innerText.includes('kafkaesk.toml:3')");
    pictures(&browser, "letters");
    drop(browser);
    running.end().await;
}
