//! Tidy: the house rules that no other tool checks. First lines, where modules stand, file lengths, who names rdkafka,
//! where `unsafe` stands, which features serde_json gets, whether the map in ARCHITECTURE.md is true, which phrases are
//! not written, whether the documents' links lead somewhere. Reads files; changes none.

use std::{fs, path::Path, process::Command};

use anyhow::{Result, bail};
use xtask::{command::output, paths};

use crate::{cargo::cargo, handbook};

/// Longer files are split by responsibility.
const MAX_LINES: usize = 600;
/// Where the paths begin of the files that hold `unsafe`: one module and its parts.
const UNSAFE: &str = "kafkaesk-client/src/kafka/native/";
/// It includes the worker's controllers themselves, so that what is simulated is what is shipped.
const SIMULATED: &str = "tests-simulate/src/scale/mod.rs";
/// They change how a user's own types are read or written (cargo unifies features).
const FORBIDDEN: [&str; 3] = ["arbitrary_precision", "preserve_order", "unbounded_depth"];
/// What a user depends on.
pub(crate) const SHIPPED: [&str; 8] = [
    "kafkaesk-core",
    "kafkaesk-schema",
    "kafkaesk-settings",
    "kafkaesk-client",
    "kafkaesk-macros",
    "kafkaesk-worker",
    "kafkaesk-operate",
    "kafkaesk-cli",
];

mod map;
mod words;

struct Source {
    path: String,
    text: String,
}

pub(crate) fn run() -> Result<()> {
    let root = paths::root();
    let sources = sources(&root, "*.rs")?;
    let manifests = sources_of_manifests(&root)?;
    let mut faults = Vec::new();
    first_lines(&sources, &mut faults);
    modules(&sources, &mut faults);
    lengths(&sources, &mut faults);
    rdkafka(&sources, &manifests, &mut faults);
    unsafe_code(&sources, &mut faults);
    features(&mut faults)?;
    map::check(&root, &mut faults)?;
    map::cited(&root, &sources, &mut faults);
    map::laws(&root, &sources, &mut faults)?;
    words::check(&sources, &mut faults);
    handbook::faults(&root, &mut faults)?;
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{}", faults.join("\n"))
}

fn sources_of_manifests(root: &Path) -> Result<Vec<Source>> {
    sources(root, "*Cargo.toml")
}

fn sources(root: &Path, glob: &str) -> Result<Vec<Source>> {
    let list = output(Command::new("git").current_dir(root).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
        glob,
    ]))?;
    Ok(list
        .lines()
        .filter_map(|path| {
            let text = fs::read_to_string(root.join(path)).ok()?;
            Some(Source {
                path: path.to_owned(),
                text,
            })
        })
        .collect())
}

fn first_lines(sources: &[Source], faults: &mut Vec<String>) {
    for source in sources {
        // A crate's or module's long page is a file of its own.
        let page = source.text.starts_with("#![doc = include_str!(");
        let first = source.text.lines().next().unwrap_or_default();
        if !page && !first.starts_with("//!") {
            faults.push(format!(
                "{}:1: the first line must be `//!` and say what the file does and what it never does",
                source.path
            ));
        }
        let head: Vec<&str> = source
            .text
            .lines()
            .take_while(|line| line.starts_with("//!") && line.len() > 3)
            .collect();
        let head = head.join(" ");
        let sentence = head.split(". ").next().unwrap_or_default();
        if sentence.contains(" in, ") && sentence.trim_end_matches('.').ends_with(" out") {
            faults.push(format!(
                "{}:1: write `Topic: what it does.` or `Input: … Output: …` for \"… in, … out\"",
                source.path
            ));
        }
    }
}

/// A module with a folder is the folder's `mod.rs`, and its tests stand inside: one style of module, one of test file.
fn modules(sources: &[Source], faults: &mut Vec<String>) {
    for source in sources {
        let path = &source.path;
        let folder = format!("{}/", path.trim_end_matches(".rs"));
        if sources.iter().any(|other| other.path.starts_with(&folder)) {
            faults.push(format!(
                "{path}: it has a folder of its own; make it {folder}mod.rs"
            ));
        }
        // Split, or this file would have one.
        if source.text.contains(concat!("#[", "path =")) && path != SIMULATED {
            faults.push(format!(
                "{path}: a module stands where its name says, without a path attribute"
            ));
        }
    }
}

fn lengths(sources: &[Source], faults: &mut Vec<String>) {
    let mut lengths = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        if !source.path.contains("/tests/") {
            lengths.push(lines);
        }
        if lines > MAX_LINES {
            faults.push(format!(
                "{}: {lines} lines; split it by responsibility (at most {MAX_LINES})",
                source.path
            ));
        }
    }
    lengths.sort_unstable();
    let at = |share: usize| {
        lengths
            .get(lengths.len() * share / 100)
            .copied()
            .unwrap_or(0)
    };
    println!(
        "{} files, lines: median {}, p90 {}, longest {}",
        lengths.len(),
        at(50),
        at(90),
        lengths.last().unwrap_or(&0)
    );
}

fn rdkafka(sources: &[Source], manifests: &[Source], faults: &mut Vec<String>) {
    let allowed = |path: &str| {
        ["kafkaesk-client/", "bench/"]
            .iter()
            .any(|home| path.starts_with(home))
    };
    // Split, or this file would name it.
    let path = concat!("rdkafka", "::");
    for source in sources.iter().filter(|source| !allowed(&source.path)) {
        for (number, line) in source.text.lines().enumerate() {
            if line.contains(path) && !line.trim_start().starts_with("//") {
                faults.push(format!(
                    "{}:{}: only kafkaesk-client names rdkafka",
                    source.path,
                    number + 1
                ));
            }
        }
    }
    for manifest in manifests
        .iter()
        .filter(|m| m.path != "Cargo.toml" && !allowed(&m.path))
    {
        if manifest
            .text
            .lines()
            .any(|line| line.starts_with("rdkafka"))
        {
            faults.push(format!(
                "{}: only kafkaesk-client depends on rdkafka",
                manifest.path
            ));
        }
    }
}

fn unsafe_code(sources: &[Source], faults: &mut Vec<String>) {
    let holders: Vec<&str> = sources
        .iter()
        .filter(|source| {
            source.text.lines().any(|line| {
                let code = line.trim_start();
                !code.starts_with("//")
                    && ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
                        .iter()
                        .any(|word| code.contains(word) && !code.contains(&format!("\"{word}")))
            })
        })
        .map(|source| source.path.as_str())
        .collect();
    if holders.iter().any(|path| !path.starts_with(UNSAFE)) {
        faults.push(format!(
            "unsafe stands in {}; {UNSAFE} alone may hold it",
            holders.join(", ")
        ));
    }
    for shipped in SHIPPED.iter().filter(|name| **name != "kafkaesk-client") {
        let lib = format!("{shipped}/src/lib.rs");
        let forbids = sources
            .iter()
            .any(|s| s.path == lib && s.text.contains("#![forbid(unsafe_code)]"));
        if !forbids {
            faults.push(format!("{lib}: `#![forbid(unsafe_code)]` is missing"));
        }
    }
}

fn features(faults: &mut Vec<String>) -> Result<()> {
    for shipped in SHIPPED {
        let tree = output(&mut cargo(&[
            "tree",
            "--package",
            shipped,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p} [{f}]",
        ]))?;
        for line in tree.lines().filter(|line| line.starts_with("serde_json ")) {
            for feature in FORBIDDEN {
                if line.contains(feature) {
                    faults.push(format!(
                        "{shipped}: serde_json gets the feature {feature}, which changes users' own types; find who asks with: cargo tree -p {shipped} -e features -i serde_json"
                    ));
                }
            }
        }
    }
    Ok(())
}
