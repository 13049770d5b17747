//! A return type that does not say how an attempt ended.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*")]
async fn handle(_data: Json) -> u32 {
    7
}

fn main() {}
