//! Exactly once, from Kafka to Kafka: what a handler publishes and the offset of its message are committed in one transaction. So
//! each order has one invoice for readers of committed records, whatever fails, restarts or is killed on the way.

use kafkaesk_worker::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Order", version = 1)]
struct Order {
    id: i64,
    cents: i64,
}

#[derive(Event, Serialize, Deserialize, JsonSchema, Debug, PartialEq)]
#[event(name = "Invoice", version = 1)]
struct Invoice {
    order: i64,
    cents: i64,
}

/// Publishes an invoice and may fail after it: then the invoice of that attempt was never written.
#[subscribe(
    "orders.*",
    group = "enrich",
    batch(max = 1000, wait = "100ms", transaction = true)
)]
async fn enrich(order: Order, publisher: Publisher, attempt: Attempt) -> Result<(), HandlerError> {
    let invoice = Invoice {
        order: order.id,
        cents: order.cents,
    };
    let publish = publisher.publish("invoices", &invoice);
    publish.key(order.id.to_string()).await?;
    check(&order, attempt.0)
}

/// Stands for whatever may go wrong late: here, the first attempt of every third order.
fn check(order: &Order, attempt: u32) -> Result<(), HandlerError> {
    match (order.id % 3, attempt) {
        (0, 1) => Err(HandlerError::msg("the ledger did not answer")),
        _ => Ok(()),
    }
}

fn app() -> App {
    App::new().event::<Invoice>().subscribe(enrich)
}

#[tokio::main]
async fn main() -> ExitCode {
    kafkaesk_cli::run(app()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_order_has_one_invoice_however_often_it_was_tried() {
        let app = TestApp::start(app()).await;
        for id in 0..30 {
            let order = Order { id, cents: 100 };
            let publish = app.publish("orders.placed", &order);
            publish.key(id.to_string()).await.unwrap();
        }
        let handled = app.settle().await;
        assert_eq!(handled.messages().len(), 30);
        let invoices = app.published("invoices");
        let mut of: Vec<i64> = invoices
            .iter()
            .map(|it| it.event::<Invoice>().order)
            .collect();
        of.sort_unstable();
        assert_eq!(of, (0..30).collect::<Vec<_>>());
    }
}
