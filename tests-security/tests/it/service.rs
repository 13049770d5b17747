//! One event type, the stream that exists for it, and a consumer of it.

use std::time::Duration;

use kafkaesk_client::{Connection, Settings};
use kafkaesk_worker::{AppError, prelude::*};
use tokio::{
    sync::{OnceCell, mpsc},
    time::timeout,
};

use crate::secured::{Secured, broker};

pub(crate) const STREAM: &str = "orders.placed";
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Order", version = 1)]
pub(crate) struct Order {
    pub(crate) id: u64,
}

/// The broker, with [`STREAM`] created and bound to Order by its administrator.
pub(crate) async fn prepared() -> &'static Secured {
    static DONE: OnceCell<()> = OnceCell::const_new();
    let broker = broker().await;
    DONE.get_or_init(|| async {
        let connection = Connection::open(&broker.administrator())
            .await
            .expect("the plain listener answers");
        connection
            .publisher()
            .publish(STREAM, &Order { id: 0 })
            .await
            .expect("the administrator may publish");
    })
    .await;
    broker
}

/// Consumes [`STREAM`] until one order with this id was handled, or the worker gives up.
/// As [`consume_keeping_dead_letters_until`], without dead letters: then a consumer needs no right to write.
pub(crate) async fn consume_until(
    mut settings: Settings,
    group: &str,
    id: u64,
) -> Result<(), AppError> {
    settings.dead_letters = false;
    consume_keeping_dead_letters_until(settings, group, id).await
}

/// Consumes as this user until the order comes.
pub(crate) async fn consume_keeping_dead_letters_until(
    settings: Settings,
    group: &str,
    id: u64,
) -> Result<(), AppError> {
    let (sender, mut seen) = mpsc::channel::<u64>(64);
    let app = App::new()
        .state(sender)
        .subscribe(subscription("orders.*", take).group(group));
    let arrived = async {
        while let Some(order) = seen.recv().await {
            if order == id {
                return;
            }
        }
    };
    timeout(LIMIT, app.run(&settings, arrived))
        .await
        .unwrap_or_else(|_| panic!("order {id} did not arrive within {LIMIT:?}"))
        .map(drop)
}

async fn take(order: Order, to: State<mpsc::Sender<u64>>) {
    let _ = to.send(order.id).await;
}
