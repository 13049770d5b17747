//! Finds and reads the configuration file: the given one, or the nearest one upward from the working directory.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    SettingsError,
    context::{Context, read_text},
    node::Node,
    toml_file,
};

/// The file that is looked for.
pub(super) const FILE_NAME: &str = "kafkaesk.toml";
/// The largest configuration file, in bytes.
const MAX_CONFIG: u64 = 4 * 1024 * 1024;

/// The nearest `kafkaesk.toml` in this folder or one above it.
pub(super) fn upward(from: &Path) -> Option<PathBuf> {
    from.ancestors()
        .map(|folder| folder.join(FILE_NAME))
        .find(|path| path.is_file())
}

/// A configuration file and its values.
pub(super) struct ConfigFile {
    /// Absolute.
    pub(super) path: PathBuf,
    /// The path in messages: relative to the working directory if that is shorter.
    pub(super) shown: String,
    pub(super) root: Node,
}

/// Reads and parses a configuration file. If it cannot be read, the error names `named_by` as the cause.
pub(super) fn read(
    path: PathBuf,
    context: &Arc<Context>,
    named_by: &str,
) -> Result<ConfigFile, SettingsError> {
    let text = read_text(&path, MAX_CONFIG).map_err(|reason| SettingsError::Unreadable {
        origin: named_by.to_owned(),
        path: path.clone(),
        reason,
    })?;
    let shown = path.strip_prefix(&context.directory).unwrap_or(&path);
    let shown = shown.display().to_string();
    let (layer, table) = toml_file::parse(&path, &shown, &text)?;
    Ok(ConfigFile {
        root: Node::root(context, layer, table),
        path,
        shown,
    })
}
