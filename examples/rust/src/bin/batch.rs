//! A handler that writes many rows at once: up to 500 messages of one partition, or what has gathered after a fifth of a second.
//! A batch that the database refuses is cut in halves until the bad row stands alone, which becomes a dead letter.

use kafkaesk_worker::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Order", version = 1)]
struct Order {
    id: i64,
    total: i64,
}

/// One statement for all rows. It fails as a whole, so it does not say which row is bad.
#[subscribe("orders.*", group = "load", batch(max = 500, wait = "200ms"))]
async fn load(orders: Batch<Order>) -> Result<(), HandlerError> {
    if orders.iter().any(|order| order.total < 0) {
        return Err(HandlerError::reject("a total is below zero"));
    }
    println!("{} rows in one statement", orders.len());
    Ok(())
}

/// One request for all messages, and an answer for each.
#[subscribe("orders.*", group = "notify", batch(max = 100))]
async fn notify(orders: Batch<Order>) -> BatchOutcome {
    let one = |order: &Order| match order.total {
        0 => Outcome::Skip,
        _ => Outcome::Done,
    };
    orders.iter().map(one).collect()
}

fn app() -> App {
    App::new().subscribe(load).subscribe(notify)
}

#[tokio::main]
async fn main() -> ExitCode {
    kafkaesk_cli::run(app()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_bad_row_becomes_a_dead_letter_and_the_others_are_written() {
        let app = TestApp::start(app()).await;
        for id in 0..50 {
            let total = if id == 7 { -1 } else { id };
            let order = Order { id, total };
            app.publish("orders.placed", &order).await.unwrap();
        }
        let handled = app.settle().await;
        let mut expected = vec![Outcome::Done; 50];
        expected[7] = Outcome::reject("a total is below zero");
        assert_eq!(handled.outcomes_of("load"), expected);
        let skipped = handled.outcomes_of("notify");
        assert_eq!(skipped.iter().filter(|it| **it == Outcome::Skip).count(), 1);
        assert_eq!(app.dead_letters().len(), 1);
    }
}
