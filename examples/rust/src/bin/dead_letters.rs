//! Dead letters: what used up its attempts or was rejected is kept, and comes back by `dead-letters redrive`.
//!
//! The tests below show the same without Kafka.

use kafkaesk_worker::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Purchase", version = 1)]
struct Purchase {
    id: i64,
    customer: String,
}

/// What is known of the customer `acme`; nothing is at first.
struct Addresses {
    acme: Option<String>,
}

#[subscribe(
    "purchases.*",
    group = "billing",
    max_attempts = 3,
    retry_backoff = ("100ms", "1s")
)]
async fn bill(purchase: Purchase, addresses: State<Addresses>) -> Result<(), HandlerError> {
    match purchase.customer.as_str() {
        // No attempt would help.
        "ghost" => Err(HandlerError::reject("there is no customer ghost")),
        // A failed attempt: it is tried again.
        "acme" if addresses.acme.is_none() => Err(HandlerError::msg("acme has no address")),
        customer => {
            println!("bill {} {customer}", purchase.id);
            Ok(())
        }
    }
}

fn app(acme: Option<String>) -> App {
    App::new()
        .state(Addresses { acme })
        .event::<Purchase>()
        .subscribe(bill)
}

#[tokio::main]
async fn main() -> ExitCode {
    kafkaesk_cli::run(app(std::env::var("ACME_ADDRESS").ok())).await
}

#[cfg(test)]
mod tests {
    use kafkaesk_worker::core::Reason;

    use super::*;

    async fn publish(app: &TestApp, id: i64, customer: &str) {
        let customer = customer.to_owned();
        let purchase = Purchase { id, customer };
        app.publish("purchases.made", &purchase).await.unwrap();
    }

    #[tokio::test]
    async fn what_used_up_its_attempts_or_is_rejected_becomes_a_dead_letter() {
        let app = TestApp::start(app(None)).await;
        // Without this line `settle` panics with the handler's error.
        app.expect_dead_letters();
        publish(&app, 1, "bolt").await;
        publish(&app, 2, "acme").await;
        publish(&app, 3, "ghost").await;
        let handled = app.settle().await;
        assert_eq!(handled.messages()[0].outcome, Outcome::Done);
        assert_eq!(handled.messages()[1].attempts, 3);

        let mut dead = app.dead_letters();
        dead.sort_by_key(|dead| dead.letter.reason != Reason::Attempts);
        assert_eq!(dead.len(), 2);
        assert_eq!(dead[0].letter.error, "acme has no address");
        assert_eq!(dead[0].letter.attempts, 3);
        assert_eq!(dead[1].letter.reason, Reason::Rejected);
    }

    #[tokio::test]
    async fn nothing_is_given_up_once_the_address_is_known() {
        let app = TestApp::start(app(Some("1 Desert Road".to_owned()))).await;
        publish(&app, 2, "acme").await;
        assert_eq!(app.settle().await.outcomes(), [Outcome::Done]);
        assert!(app.dead_letters().is_empty());
    }
}
