//! Prints a document that is made of the code: `metrics` is `docs/metrics.md`, `stats` is `contract/stats.schema.json`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let text = match std::env::args().nth(1).as_deref() {
        Some("metrics") => kafkaesk_operate::metrics::document(),
        Some("stats") => kafkaesk_operate::stats::schema(),
        _ => return Err(std::io::Error::other("say `metrics` or `stats`")),
    };
    std::io::stdout().write_all(text.as_bytes())
}
