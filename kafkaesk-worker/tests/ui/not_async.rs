//! A function that is not async.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*")]
fn handle(_data: Json) {}

fn main() {}
