//! A type that cannot be an argument.
use kafkaesk_worker::prelude::*;

struct Database;

#[subscribe("content.*")]
async fn handle(_data: Json, _database: Database) {}

fn main() {}
