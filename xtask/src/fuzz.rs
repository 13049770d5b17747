//! `cargo xtask fuzz`: builds `fuzz/` with coverage instrumentation, seeds each target from the contract's vectors, and
//! runs it for a while. What a run learned stays in the cache folder; an input that breaks a law stays in `fuzz/found`.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use xtask::{command, machine, paths};

use crate::cargo::cargo;

/// The targets of `fuzz/src/targets.rs`.
const TARGETS: [&str; 11] = [
    "envelope",
    "line",
    "answer",
    "record",
    "log",
    "document",
    "validate",
    "expression",
    "bundle",
    "pattern",
    "configuration",
];

/// Instrumentation that a stable compiler has: counters and comparisons, no sanitizer.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

#[derive(Args)]
pub(crate) struct FuzzArgs {
    /// Only these targets; without any, all
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

pub(crate) fn run(args: &FuzzArgs) -> Result<()> {
    machine::build_tools()?;
    for target in &args.targets {
        if !TARGETS.contains(&target.as_str()) {
            bail!(
                "there is no target {target:?}; there are: {}",
                TARGETS.join(", ")
            );
        }
    }
    let wanted: Vec<&str> = TARGETS
        .into_iter()
        .filter(|target| args.targets.is_empty() || args.targets.iter().any(|one| one == target))
        .collect();
    let extent = [format!("-max_total_time={}", args.seconds)];
    fuzz(&wanted, &paths::cache("fuzz")?, &extent)
}

/// The same inputs of each target in every run of the tests, so that the verdict belongs to the code and not to the
/// day. The command without a seed is what searches.
pub(crate) fn briefly() -> Result<()> {
    let corpora = paths::target().join("fuzz/briefly");
    if corpora.exists() {
        fs::remove_dir_all(&corpora)?;
    }
    let extent = ["-seed=1".to_owned(), "-runs=20000".to_owned()];
    fuzz(&TARGETS, &corpora, &extent)
}

fn fuzz(targets: &[&str], corpora: &Path, extent: &[String]) -> Result<()> {
    let program = build()?;
    let found = paths::root().join("fuzz/found");
    for target in targets {
        let corpus = corpora.join(target);
        fs::create_dir_all(&corpus)?;
        seed(target, &corpus)?;
        fs::create_dir_all(&found)?;
        println!("{target}: {}", extent.join(" "));
        let mut run = Command::new(&program);
        run.env("KAFKAESK_FUZZ_TARGET", target)
            .arg(&corpus)
            .args(extent)
            // One input: longer than this, or more memory than this, breaks a law as well.
            .args(["-timeout=20", "-rss_limit_mb=2048", "-max_len=8192"])
            .args(["-verbosity=0", "-print_funcs=0"])
            .arg(format!("-artifact_prefix={}/{target}-", found.display()));
        command::output(&mut run).with_context(|| {
            format!(
                "target {target}: the input that broke it is in {}",
                found.display()
            )
        })?;
    }
    // Empty where nothing was found.
    let _ = fs::remove_dir(&found);
    Ok(())
}

fn build() -> Result<PathBuf> {
    let folder = paths::target().join("fuzz");
    let version = command::output(Command::new("rustc").arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("`rustc -vV` names no host")?;
    let mut flags = FLAGS.to_owned();
    if let Ok(given) = env::var("RUSTFLAGS") {
        flags = format!("{given} {flags}");
    }
    command::run(
        cargo(&["build", "--quiet", "--locked", "--manifest-path"])
            .arg(paths::root().join("fuzz/Cargo.toml"))
            // With a target named, the flags leave build scripts and macros alone.
            .args(["--target", host])
            .env("CARGO_TARGET_DIR", &folder)
            .env("RUSTFLAGS", flags),
    )?;
    Ok(folder.join(host).join("debug/kafkaesk-fuzz"))
}

/// Every text and every document in the contract's vectors, as an input each.
fn seed(target: &str, corpus: &Path) -> Result<()> {
    let mut seeds = BTreeSet::new();
    let vectors = paths::root().join("contract/vectors");
    for entry in fs::read_dir(&vectors).with_context(|| format!("reading {}", vectors.display()))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let text = fs::read(&path)?;
            let value = serde_json::from_slice(&text)
                .with_context(|| format!("reading {}", path.display()))?;
            collect(&value, &mut seeds);
        }
    }
    if target == "configuration" {
        for example in [
            "examples/orders/kafkaesk.toml",
            "examples/polyglot/kafkaesk.toml",
        ] {
            seeds.insert(fs::read(paths::root().join(example))?);
        }
    }
    if seeds.len() < 100 {
        bail!(
            "the vectors gave {} seeds: their form has changed",
            seeds.len()
        );
    }
    for (number, seed) in seeds.into_iter().enumerate() {
        fs::write(corpus.join(format!("vector-{number}")), seed)?;
    }
    Ok(())
}

fn collect(value: &Value, seeds: &mut BTreeSet<Vec<u8>>) {
    const LONGEST: usize = 4096;
    match value {
        Value::String(text) if text.len() <= LONGEST => {
            seeds.insert(text.clone().into_bytes());
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, seeds)),
        Value::Object(members) => {
            let whole = value.to_string();
            if whole.len() <= LONGEST {
                seeds.insert(whole.into_bytes());
            }
            members.values().for_each(|member| collect(member, seeds));
        }
        _ => {}
    }
}
