//! Notices: the licence texts of every crate in the program, and of the C libraries in their sources, in one file. Most
//! licences ask for that wherever a program is given away.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use anyhow::{Result, bail};

use super::crates::Crate;

/// Folders in a crate's sources that hold a C library with a licence of its own.
const C_SOURCES: [&str; 4] = ["librdkafka", "openssl", "zstd", "src/zlib"];

/// The text: each licence once, with the crates that it is of.
///
/// # Errors
/// A licence cannot be read, or a crate names no licence at all.
pub(super) fn text(crates: &[Crate]) -> Result<String> {
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut without = Vec::new();
    for it in crates.iter().filter(|it| !it.is_own) {
        let Some(licence) = &it.licence else {
            bail!("{} {} names no licence", it.name, it.version);
        };
        let label = format!("{} {} ({licence})", it.name, it.version);
        let found = licences(&it.folder)?;
        if found.is_empty() {
            let repository = it.repository.as_deref().unwrap_or("no repository is named");
            without.push(format!("{label}: {repository}"));
        }
        let own = found.into_iter().map(|text| (text, label.clone()));
        let mut all: Vec<(String, String)> = own.collect();
        for folder in C_SOURCES {
            let texts = licences(&it.folder.join(folder))?;
            all.extend(
                texts
                    .into_iter()
                    .map(|text| (text, format!("{folder} in {label}"))),
            );
        }
        for (text, label) in all {
            texts.entry(text).or_default().insert(label);
        }
    }
    let mut all = String::from(
        "The program kafkaesk-cli contains the Rust standard library (MIT OR Apache-2.0) and the crates below, under these licences.\n",
    );
    if !without.is_empty() {
        all.push_str("\nThese crates ship no licence text; their expression names it:\n\n");
        for line in without {
            let _ = writeln!(all, "  {line}");
        }
    }
    for (text, crates) in texts {
        let _ = writeln!(all, "\n{}\n", "=".repeat(80));
        for label in crates {
            let _ = writeln!(all, "  {label}");
        }
        let _ = writeln!(all, "\n{text}");
    }
    Ok(all)
}

/// The licence texts directly in a folder; none if it does not exist.
fn licences(folder: &Path) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut texts = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_uppercase();
        let starts = [
            "LICENSE",
            "LICENCE",
            "COPYING",
            "COPYRIGHT",
            "NOTICE",
            "UNLICENSE",
        ];
        if path.is_file() && starts.iter().any(|start| name.starts_with(start)) {
            let text = String::from_utf8_lossy(&fs::read(&path)?).replace("\r\n", "\n");
            texts.push(text.trim().to_owned());
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::crates::tests::two;

    #[test]
    fn each_text_stands_once_with_all_crates_that_it_is_of() {
        let folder = std::env::temp_dir().join(format!("kafkaesk-notices-{}", std::process::id()));
        fs::create_dir_all(folder.join("librdkafka")).unwrap();
        fs::write(folder.join("LICENSE-MIT"), "Permission is granted\r\n").unwrap();
        fs::write(folder.join("librdkafka/LICENSES.txt"), "Redistribution").unwrap();
        fs::write(folder.join("main.c"), "int main").unwrap();
        let mut crates = two();
        crates[1].folder.clone_from(&folder);
        let mut other = crates[1].clone();
        other.name = "other".into();
        crates.push(other);
        let text = text(&crates).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(text.matches("Permission is granted").count(), 1);
        assert_eq!(text.matches("Redistribution").count(), 1);
        assert!(text.contains("  other 1.0.0+2.0 (MIT/Apache-2.0)\n  zlib-sys"));
        assert!(!text.contains("int main") && !text.contains("  own "));
    }

    #[test]
    fn a_crate_without_a_licence_is_refused() {
        let mut crates = two();
        crates[1].licence = None;
        assert!(text(&crates).is_err());
    }
}
