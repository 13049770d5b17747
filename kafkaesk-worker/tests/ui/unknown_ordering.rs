//! An ordering that there is not.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*", ordering = "keys")]
async fn handle(_data: Json) {}

fn main() {}
