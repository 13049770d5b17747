//! Nine arguments.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*")]
async fn handle(_: Json, _: Json, _: Json, _: Json, _: Json, _: Json, _: Json, _: Json, _: Json) {}

fn main() {}
