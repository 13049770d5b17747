//! An option that there is not.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*", grup = "printer")]
async fn handle(_data: Json) {}

fn main() {}
