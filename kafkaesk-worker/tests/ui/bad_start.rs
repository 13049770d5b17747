//! A span that the configuration would refuse as well.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*", start = "24h ")]
async fn handle(_data: Json) {}

fn main() {}
