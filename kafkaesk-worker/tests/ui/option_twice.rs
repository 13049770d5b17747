//! An option that stands twice.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*", group = "g", group = "h")]
async fn handle(_data: Json) {}

fn main() {}
