//! One crate outside the workspace for each crate that a user may start from: the workspace's unified features and
//! paths would hide a derive that does not resolve there. Compiled without TLS, in the build of the compile-fail tests.

use std::fs;

use anyhow::{Result, bail};
use xtask::{command, paths};

use crate::cargo::cargo;

struct Entry {
    name: &'static str,
    /// The one crate of ours that the user names, with its options.
    dependency: &'static str,
    main: &'static str,
    /// Whether the crate's features bring the broker in memory: programs do without it, tests find it.
    has_memory: bool,
}

const ENTRIES: [Entry; 4] = [
    Entry {
        name: "from-schema",
        dependency: "kafkaesk-schema = { path = \"{root}/kafkaesk-schema\" }",
        main: include_str!("../entry/schema.rs"),
        has_memory: false,
    },
    Entry {
        name: "from-client",
        dependency: "kafkaesk-client = { path = \"{root}/kafkaesk-client\" }",
        main: include_str!("../entry/client.rs"),
        has_memory: true,
    },
    Entry {
        name: "from-worker",
        dependency: "kafkaesk-worker = { path = \"{root}/kafkaesk-worker\" }",
        main: include_str!("../entry/worker.rs"),
        has_memory: true,
    },
    Entry {
        name: "from-cli",
        dependency: "kafkaesk-cli = { path = \"{root}/kafkaesk-cli\", default-features = false }",
        main: include_str!("../entry/cli.rs"),
        has_memory: false,
    },
];

/// Compiles each without warnings, and checks which of them have the broker in memory.
///
/// # Errors
/// One does not compile, compiles with warnings, or has the broker in memory where it should not (or the reverse).
pub(crate) fn check() -> Result<()> {
    let root = paths::root();
    let build = paths::target();
    let folder = build.join("entry-crates");
    for entry in &ENTRIES {
        let home = folder.join(entry.name);
        fs::create_dir_all(home.join("src"))?;
        let dependency = entry.dependency.replace("{root}", &root.to_string_lossy());
        fs::write(
            home.join("Cargo.toml"),
            format!(
                "[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependency}\nschemars = \"1.2\"\nserde = {{ version = \"1\", features = [\"derive\"] }}\ntokio = {{ version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }}\n",
                entry.name
            ),
        )?;
        fs::write(home.join("src/main.rs"), entry.main)?;
        // The workspace's versions, so that nothing is resolved or fetched again.
        fs::copy(root.join("Cargo.lock"), home.join("Cargo.lock"))?;
        println!("{}", entry.name);
        command::run(
            cargo(&["check", "--quiet"])
                .current_dir(&home)
                // The compile-fail tests' build: its C code is without TLS as well.
                .env("CARGO_TARGET_DIR", build.join("tests/trybuild")),
        )?;
        // The first command of the README builds without the workspace's unified features: clippy does not see its warnings.
        let messages = command::output(
            cargo(&["check", "--quiet", "--message-format=json"])
                .current_dir(&home)
                .env("CARGO_TARGET_DIR", build.join("tests/trybuild")),
        )?;
        if messages.contains(r#""reason":"compiler-message""#) {
            bail!("{}: compiles with the warnings above", entry.name);
        }
        let packages = command::output(
            cargo(&["tree", "--quiet", "--prefix=none", "--format={p} {f}"]).current_dir(&home),
        )?;
        let has_memory = packages
            .lines()
            .filter(|line| line.starts_with("kafkaesk-client "))
            .any(|line| line.contains("memory"));
        if has_memory != entry.has_memory {
            bail!(
                "{}: kafkaesk-client has the feature `memory`: {has_memory}, expected: {}; see `default` in the crates' Cargo.toml",
                entry.name,
                entry.has_memory
            );
        }
    }
    Ok(())
}
