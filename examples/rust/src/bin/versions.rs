//! One handler for several versions of an event: the enum takes whichever schema id the message carries.

use kafkaesk_worker::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1)]
struct Content {
    foo: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 2)]
struct ContentV2 {
    foo: String,
    author: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Removed", version = 1)]
struct Removed {
    id: String,
}

#[derive(Events)]
enum ContentChange {
    V1(Content),
    V2(ContentV2),
    Removed(Removed),
}

#[subscribe("content.*", group = "changes")]
async fn follow(data: ContentChange) {
    match data {
        ContentChange::V1(content) => println!("{} by nobody", content.foo),
        ContentChange::V2(content) => println!("{} by {}", content.foo, content.author),
        ContentChange::Removed(removed) => println!("{} is gone", removed.id),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    kafkaesk_cli::run(App::new().subscribe(follow)).await
}
