//! A handler that never returns.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*")]
async fn handle(_data: Json) -> ! {
    std::process::exit(1)
}

fn main() {}
