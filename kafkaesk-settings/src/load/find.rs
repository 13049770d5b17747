//! Where the configuration file is: given, or found upward from the working directory.

use std::path::{Path, PathBuf};

use super::{SettingsError, context::read_text, toml_file::TomlFile};

/// The file that is looked for.
pub(super) const FILE_NAME: &str = "kafkaesk.toml";
/// The largest configuration file.
const MAX_CONFIG: u64 = 4 * 1024 * 1024;

/// The nearest `kafkaesk.toml` in this folder or one above it.
pub(super) fn upward(from: &Path) -> Option<PathBuf> {
    from.ancestors()
        .map(|folder| folder.join(FILE_NAME))
        .find(|path| path.is_file())
}

/// Reads and parses a configuration file. `named_by` is what messages blame if it cannot be read.
pub(super) fn read(
    path: &Path,
    directory: &Path,
    named_by: &str,
) -> Result<TomlFile, SettingsError> {
    let text = read_text(path, MAX_CONFIG).map_err(|reason| SettingsError::Unreadable {
        origin: named_by.to_owned(),
        path: path.to_owned(),
        reason,
    })?;
    let shown = path.strip_prefix(directory).unwrap_or(path);
    TomlFile::parse(path, &shown.display().to_string(), &text)
}
