//! `kafkaesk-chaos`: the chaos suite. Call it by `cargo xtask chaos`, which builds what it needs.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    kafkaesk_chaos::suite()
}
