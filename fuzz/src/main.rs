//! One libFuzzer program for all targets; `KAFKAESK_FUZZ_TARGET` names the one that runs. Started by `cargo xtask fuzz`.
#![no_main]

mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(|input: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let wanted = std::env::var("KAFKAESK_FUZZ_TARGET").unwrap_or_default();
        let found = targets::ALL.iter().find(|(name, _)| *name == wanted);
        let Some((_, target)) = found else {
            let names: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
            panic!(
                "KAFKAESK_FUZZ_TARGET={wanted:?} is not one of {}",
                names.join(", ")
            );
        };
        *target
    });
    target(input);
});
