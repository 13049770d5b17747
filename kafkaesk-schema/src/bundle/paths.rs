//! Paths of a bundle's files: what a reference in one of them names.

use percent_encoding::percent_decode_str;

/// The folders above a file.
pub(super) fn folders(path: &str) -> Vec<&str> {
    let mut all: Vec<&str> = path.split('/').collect();
    all.pop();
    all
}

/// The target of a relative path in a file; `None` if it is outside of the folder.
pub(super) fn join(from: &str, path: &str) -> Option<String> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    if path.is_empty() {
        return Some(from.to_owned());
    }
    if path.starts_with('/') || path.contains('\\') {
        return None;
    }
    let mut all = folders(from);
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                all.pop()?;
            }
            name => all.push(name),
        }
    }
    Some(all.join("/"))
}

/// Whether a URI reference has a scheme.
pub(super) fn is_absolute(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}
