//! A return type that is no ending.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*")]
async fn handle(_data: Json) -> u32 {
    7
}

fn main() {}
