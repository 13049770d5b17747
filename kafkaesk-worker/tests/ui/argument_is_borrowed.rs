//! An argument that is borrowed.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*")]
async fn handle(_data: &Json) {}

fn main() {}
