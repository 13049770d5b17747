//! Something that is no function.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*")]
struct Handler;

fn main() {}
