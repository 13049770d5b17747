//! The start of a run: what is checked before anything else, how a shutdown is heard from the beginning, when hooks run.
//! No Kafka.

use std::{
    future::{Future, pending, ready},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use kafkaesk_worker::{AppError, RunReport, prelude::*};

struct Db;

#[subscribe("s.*", group = "with-state")]
async fn with_state(_: Raw, _: State<Db>) {}

/// How often a hook ran.
#[derive(Clone, Default)]
struct Hooks(Arc<AtomicU32>);

impl Hooks {
    fn on(&self, app: App) -> App {
        let count = self.0.clone();
        app.on_shutdown(move || async move {
            count.fetch_add(1, SeqCst);
        })
    }

    fn ran(&self) -> u32 {
        self.0.load(SeqCst)
    }
}

fn nobody() -> Settings {
    let mut settings = Settings::default();
    settings.kafka_servers = vec!["127.0.0.1:1".to_owned()];
    settings
}

async fn at_once(run: impl Future<Output = Result<RunReport, AppError>>) -> RunReport {
    tokio::time::timeout(Duration::from_secs(3), run)
        .await
        .expect("the shutdown is heard")
        .unwrap()
}

#[tokio::test]
async fn missing_state_is_said_before_anything_is_contacted() {
    let app = || App::new().subscribe(with_state);
    let checked = app().check().unwrap_err();
    let run = app().run(&nobody(), pending()).await.unwrap_err();
    for error in [checked, run] {
        assert!(matches!(error, AppError::MissingState { .. }), "{error}");
        assert!(error.to_string().contains("Db>"), "{error}");
    }
    app().state(Db).check().unwrap();
    app().state_with(|_| async { Ok(Db) }).check().unwrap();
}

#[tokio::test]
async fn state_of_handlers_that_do_not_run_is_not_asked_for() {
    let app = App::new()
        .subscribe(with_state)
        .subscribe(subscription("r", |_: Raw| async {}).group("raw"));
    app.only(["raw"]).check().unwrap();
}

#[tokio::test]
async fn a_shutdown_is_heard_while_brokers_are_waited_for() {
    let hooks = Hooks::default();
    let app = hooks.on(App::new().subscribe(with_state).state(Db));
    let shutdown = tokio::time::sleep(Duration::from_millis(50));
    let report = at_once(app.run(&nobody(), shutdown)).await;
    assert_eq!((report.handled, hooks.ran()), (0, 1));
}

#[tokio::test]
async fn a_shutdown_is_heard_while_state_is_made() {
    let hooks = Hooks::default();
    let app = hooks.on(App::new().subscribe(with_state).state_with(|_| async {
        pending::<()>().await;
        Ok(Db)
    }));
    let connection = Connection::in_memory(Settings::default());
    let shutdown = tokio::time::sleep(Duration::from_millis(50));
    at_once(app.run_on(connection, shutdown)).await;
    assert_eq!(hooks.ran(), 1);
}

#[tokio::test]
async fn hooks_run_when_the_start_failed_after_some_state_was_made() {
    struct Other;
    let hooks = Hooks::default();
    let app = hooks.on(App::new()
        .subscribe(with_state)
        .state_with(|_| async { Ok(Db) })
        .state_with(|_| async { Err::<Other, _>(HandlerError::msg("no other")) }));
    let connection = Connection::in_memory(Settings::default());
    let error = app.run_on(connection, pending()).await.unwrap_err();
    assert!(matches!(error, AppError::State { .. }), "{error}");
    assert_eq!(hooks.ran(), 1);
}

#[tokio::test]
async fn an_application_that_is_refused_runs_no_hook() {
    let hooks = Hooks::default();
    let app = hooks.on(App::new().subscribe(with_state));
    app.run(&nobody(), ready(())).await.unwrap_err();
    assert_eq!(hooks.ran(), 0);
}
