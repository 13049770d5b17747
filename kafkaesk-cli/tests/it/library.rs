//! The library: an application's own command line, from a crate that depends on kafkaesk-cli for everything.

use clap::{Parser, Subcommand};
use kafkaesk_cli::{
    schema::Event,
    worker::{App, Json, subscribe},
};
use kafkaesk_client::testing::kafka;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Order", version = 3)]
struct Order {
    id: i64,
}

#[subscribe("orders.*", group = "billing")]
async fn bill(order: Order, json: Json) {
    drop((order.id, json));
}

fn app() -> App {
    App::new().subscribe(bill)
}

async fn status(arguments: &[&str]) -> String {
    let arguments = std::iter::once("myapp").chain(arguments.iter().copied());
    let code = kafkaesk_cli::run_arguments(app(), arguments).await;
    format!("{code:?}")
}

#[tokio::test]
async fn an_application_exports_and_checks_its_own_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("schemas");
    let path = folder.to_str().unwrap();
    let (done, failed) = (
        format!("{:?}", std::process::ExitCode::SUCCESS),
        format!("{:?}", std::process::ExitCode::from(1)),
    );
    assert_eq!(status(&["schema", "check", path]).await, failed);
    assert_eq!(status(&["schema", "export", path]).await, done);
    assert_eq!(status(&["schema", "check", path]).await, done);
    let file = folder.join("Order.3.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("integer", "string")).unwrap();
    assert_eq!(status(&["schema", "check", path]).await, failed);
}

#[tokio::test]
async fn an_applications_own_type_is_registered_by_its_publish() {
    let kafka = kafka().await;
    let on = [
        "--kafka-servers",
        kafka.servers(),
        "--topic-prefix",
        kafka.prefix(),
    ];
    let publish = |schema: &'static str| {
        let arguments = [
            "publish",
            "orders.placed",
            "--schema",
            schema,
            "--data",
            "{\"id\":1}",
        ];
        async move { status(&[&arguments[..], &on].concat()).await }
    };
    assert_eq!(
        publish("Order:3").await,
        format!("{:?}", std::process::ExitCode::SUCCESS)
    );
    // Another's is not.
    assert_eq!(
        publish("Order:4").await,
        format!("{:?}", std::process::ExitCode::from(1))
    );
}

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: kafkaesk_cli::Options,
    #[command(subcommand)]
    command: Own,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant)]
enum Own {
    Greet,
    #[command(flatten)]
    Kafkaesk(kafkaesk_cli::Command),
}

#[tokio::test]
async fn the_commands_are_part_of_a_programs_own() {
    let arguments = Arguments::parse_from(["myapp", "greet", "--topic-prefix", "x."]);
    assert!(matches!(arguments.command, Own::Greet));
    let arguments = Arguments::parse_from(["myapp", "config", "show", "--topic-prefix", "no good"]);
    let Own::Kafkaesk(command) = arguments.command else {
        panic!("config is kafkaesk's")
    };
    let code = kafkaesk_cli::execute(app(), arguments.options, command).await;
    assert_eq!(
        format!("{code:?}"),
        format!("{:?}", std::process::ExitCode::from(64))
    );
}
