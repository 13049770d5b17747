//! A pattern that cannot be one.
use kafkaesk_worker::prelude::*;

#[subscribe("content.[")]
async fn handle(_data: Json) {}

fn main() {}
