//! `#[subscribe]` on something other than a function.
use kafkaesk_worker::prelude::*;

#[subscribe("content.*")]
struct Handler;

fn main() {}
