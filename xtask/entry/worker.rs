//! A program that depends on kafkaesk-worker alone: derives, `#[subscribe]` and the prelude resolve there.
use kafkaesk_worker::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1)]
struct Content {
    foo: String,
}

#[derive(Events)]
enum Change {
    Content(Content),
}

#[subscribe("content.*", group = "printer")]
async fn print(change: Change) {
    match change {
        Change::Content(content) => println!("{}", content.foo),
    }
}

/// What a test of this application begins with: `TestApp` needs no feature that must be named.
#[allow(dead_code)]
async fn in_a_test() -> TestApp {
    TestApp::start(App::new().subscribe(print)).await
}

#[tokio::main]
async fn main() -> Result<(), AppError> {
    let app = App::new().subscribe(print);
    app.run(&Settings::default(), std::future::pending()).await?;
    Ok(())
}
