//! A program that depends on kafkaesk-cli alone: everything resolves through it.
use kafkaesk_cli::worker::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1, retention = "24h")]
struct Content {
    foo: String,
}

#[subscribe("content.*", group = "printer")]
async fn get_messages(data: Content) {
    println!("{}", data.foo);
}

#[tokio::main]
async fn main() -> ExitCode {
    kafkaesk_cli::run(App::new().subscribe(get_messages)).await
}
