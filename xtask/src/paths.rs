//! Paths: finds the checkout, the cache outside of it and the build directory. Creates nothing but cache folders.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The checkout that this was called in: cargo says so at run time. Two checkouts may share one build directory, and the
/// program in it was then perhaps built in the other.
pub fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().unwrap_or(Path::new(".")).to_owned()
}

/// A folder that survives the checkout: `$XDG_CACHE_HOME` or `~/.cache`, then `kafkaesk/<name>`; created.
///
/// # Errors
/// Neither variable is set, or the folder cannot be made.
pub fn cache(name: &str) -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set: set one, the tests keep Kafka's jars and Python's packages there")?;
    let dir = base.join("kafkaesk").join(name);
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// Cargo's build directory.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .filter(|v| !v.is_empty())
        .map_or_else(|| root().join("target"), PathBuf::from)
}
