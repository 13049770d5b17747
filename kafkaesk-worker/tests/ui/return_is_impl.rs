//! A return type that is not written out.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*")]
async fn handle(_data: Json) -> impl std::fmt::Debug {}

fn main() {}
