//! An `Option` of what is not an event.
use kafkaesk_worker::prelude::*;

struct Database;

#[subscribe("content.*")]
async fn handle(_database: Option<Database>) {}

fn main() {}
