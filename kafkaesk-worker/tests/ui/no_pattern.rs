//! An attribute without a pattern.
use kafkaesk_worker::prelude::*;

#[subscribe(group = "printer")]
async fn handle(_data: Json) {}

fn main() {}
