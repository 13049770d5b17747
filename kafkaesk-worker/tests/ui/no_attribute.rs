//! A function without the attribute.
use kafkaesk_worker::prelude::*;

async fn handle(_data: Json) {}

fn main() {
    App::new().subscribe(handle);
}
