//! Without event types: the data as JSON, the record's untouched bytes, or the record itself.

use kafkaesk_worker::prelude::*;

#[subscribe("orders.*", group = "json")]
async fn json(schema: Schema, data: Json) {
    println!("{} {}", *schema, *data);
}

#[subscribe("orders.*", group = "raw")]
async fn raw(data: Raw) {
    println!("{} bytes", data.len());
}

#[subscribe("orders.*", group = "record")]
async fn record(record: Record) {
    println!("{}@{}", record.source, record.offset);
}

#[tokio::main]
async fn main() -> ExitCode {
    kafkaesk_cli::run(App::new().subscribe(json).subscribe(raw).subscribe(record)).await
}
