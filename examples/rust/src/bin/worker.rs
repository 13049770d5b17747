//! A worker without the command line: settings from file and environment, a router in its own module, a clean end.

use kafkaesk_worker::prelude::*;

mod billing {
    use kafkaesk_worker::prelude::*;

    #[derive(Event, Serialize, Deserialize, JsonSchema)]
    #[event(name = "Order", version = 1, streams = ["orders.placed"], retention = "7d")]
    pub struct Order {
        pub id: i64,
    }

    /// Any error is retried; `.or_reject` says that a message will never succeed.
    #[subscribe("orders.*", group = "billing")]
    async fn bill(order: Order, attempt: Attempt) -> Result<(), HandlerError> {
        let number = u32::try_from(order.id).or_reject("an order's id is not negative")?;
        println!("bill {number}, attempt {}", *attempt);
        Ok(())
    }

    pub fn router() -> Router {
        Router::new().subscribe(bill)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // What is retried, held or rejected is logged through `tracing`: without a subscriber it is lost.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let settings = Settings::load()?;
    let shutdown = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let report = App::new()
        .mount(billing::router())
        .run(&settings, shutdown)
        .await?;
    println!("{} messages handled", report.handled);
    Ok(())
}
