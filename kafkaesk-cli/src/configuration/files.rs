//! Paths with patterns in, the files that match out, sorted. `*`, `?` and `[…]` within one step of the path.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use kafkaesk_core::Pattern;

/// The files that a path names; a path without pattern characters is itself, there or not.
///
/// # Errors
/// A folder that cannot be read.
pub(crate) fn expand(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !is_pattern(&path.to_string_lossy()) {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = vec![PathBuf::new()];
    for component in path.components() {
        let name = component.as_os_str().to_string_lossy();
        if !matches!(component, Component::Normal(_)) || !is_pattern(&name) {
            for path in &mut found {
                path.push(component);
            }
            continue;
        }
        let Ok(pattern) = Pattern::new(&name) else {
            return Ok(Vec::new());
        };
        let mut next = Vec::new();
        for folder in &found {
            next.extend(matching(folder, &pattern)?);
        }
        found = next;
    }
    found.retain(|path| path.is_file());
    found.sort();
    Ok(found)
}

/// The schema files directly in a folder: everything that ends in `.json`, sorted.
///
/// # Errors
/// A folder that cannot be read.
pub(crate) fn json_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e == "json") && path.is_file());
    files.sort();
    Ok(files)
}

fn matching(folder: &Path, pattern: &Pattern) -> io::Result<Vec<PathBuf>> {
    let listed = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    if !listed.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(listed)? {
        let name = entry?.file_name();
        // As in a shell, a pattern does not find hidden files.
        let text = name.to_string_lossy();
        if !text.starts_with('.') && pattern.matches(&text) {
            found.push(folder.join(name));
        }
    }
    Ok(found)
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_files_in_order_and_in_any_step() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["b/Two.1.json", "a/One.1.json", "a/.hidden.json", "a/x.txt"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        }
        let found = expand(&folder.path().join("*/*.json")).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|p| p.strip_prefix(folder.path()).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["a/One.1.json", "b/Two.1.json"]);
        assert!(
            expand(&folder.path().join("none/*.json"))
                .unwrap()
                .is_empty()
        );
        let plain = folder.path().join("not-there.json");
        assert_eq!(expand(&plain).unwrap(), [plain]);
    }
}
