//! Input: a path with `*`, `?`, `[…]` in its steps. Output: the matching files, sorted. A hidden name matches only a step
//! that begins with a dot.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use kafkaesk_core::pattern::fnmatch;

use super::{SchemaDeclaration, SettingsError};

impl SchemaDeclaration {
    /// The files that [`Self::files`] names, sorted; at least one.
    ///
    /// # Errors
    /// [`SettingsError::Value`] when no file is there, or a folder cannot be listed.
    pub fn expand(&self) -> Result<Vec<PathBuf>, SettingsError> {
        let error = |problem: String| SettingsError::Value {
            key: "schemas".to_owned(),
            origin: self.origin.clone(),
            problem,
        };
        let found = expand(&self.files)
            .map_err(|problem| error(format!("cannot list {:?}: {problem}", self.written)))?;
        if found.is_empty() {
            return Err(error(format!(
                "no file is found at {:?} ({})",
                self.written,
                self.files.display()
            )));
        }
        Ok(found)
    }
}

/// Follows the path step by step; a step without wildcards is taken as it is.
fn expand(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for step in path.components() {
        let step_text = step.as_os_str().to_str().unwrap_or_default();
        if !matches!(step, Component::Normal(_)) || !step_text.contains(['*', '?', '[']) {
            for path in &mut found {
                path.push(step);
            }
            continue;
        }
        let mut deeper = Vec::new();
        for folder in found.iter().filter(|folder| folder.is_dir()) {
            deeper.extend(matching(folder, step_text)?);
        }
        found = deeper;
    }
    found.retain(|path| path.is_file());
    found.sort();
    Ok(found)
}

fn matching(folder: &Path, step: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            continue;
        };
        if fnmatch(step, name) && (step.starts_with('.') || !name.starts_with('.')) {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}
