//! The README's first example: an event type, a handler, and the whole command line.
//!
//! `cargo run -p kafkaesk-examples --bin first -- dev` starts a broker and this worker, and prints what to try.

use kafkaesk_worker::prelude::*;

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
