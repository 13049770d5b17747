//! `chaos-worker`: one worker process of the chaos suite. It says on standard output what it does.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    kafkaesk_chaos::worker()
}
