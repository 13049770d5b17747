//! The program `kafkaesk-cli`. Everything it does is the library's.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use kafkaesk_cli::worker::App;

#[tokio::main]
async fn main() -> ExitCode {
    kafkaesk_cli::run(App::new()).await
}
