//! A handler with state. `state_with` makes it when the worker starts, and only then: `schema push` in CI needs no
//! database.

use std::sync::atomic::{AtomicU64, Ordering};

use kafkaesk_worker::prelude::*;

#[derive(Default)]
struct Count {
    handled: AtomicU64,
}

#[subscribe("orders.*", group = "counter")]
async fn count(_order: Json, state: State<Count>) {
    println!(
        "{} so far",
        state.handled.fetch_add(1, Ordering::Relaxed) + 1
    );
}

fn app() -> App {
    App::new()
        .state_with(|_settings| async { Ok(Count::default()) })
        .subscribe(count)
}

#[tokio::main]
async fn main() -> ExitCode {
    kafkaesk_cli::run(app()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_starts() {
        app().check().unwrap();
    }
}
