//! Check: every link of the documents leads to a file and heading that exists, code blocks of data can be read, and the table
//! of contents names every page. Fetches nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use super::documents::{Document, Link};

/// The table of contents.
pub(crate) const SUMMARY: &str = "docs/SUMMARY.md";

/// Where a link leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Another program resolves it: `https:`, `mailto:`.
    Elsewhere,
    /// In the checkout: the path from its root, and the heading.
    Here(PathBuf, Option<String>),
    /// Above the checkout's root.
    Outside,
}

impl Target {
    /// Where a link of the file at `path` leads.
    pub(crate) fn of(path: &str, to: &str) -> Self {
        let scheme = to.split([':', '/', '#', '?']).next().unwrap_or_default();
        if to[scheme.len()..].starts_with(':') {
            return Self::Elsewhere;
        }
        let (file, heading) = match to.split_once('#') {
            Some((file, heading)) => (file, Some(heading.to_owned())),
            None => (to, None),
        };
        if file.is_empty() {
            return Self::Here(PathBuf::from(path), heading);
        }
        let mut target = PathBuf::new();
        let beside = Path::new(path).parent().unwrap_or(Path::new(""));
        for step in beside.join(file).components() {
            match step {
                Component::Normal(step) => target.push(step),
                Component::CurDir => {}
                Component::ParentDir if target.pop() => {}
                _ => return Self::Outside,
            }
        }
        Self::Here(target, heading)
    }
}

/// Adds a fault for each link that leads nowhere, and returns the addresses that were not looked at.
pub(crate) fn links(
    root: &Path,
    documents: &[Document],
    faults: &mut Vec<String>,
) -> BTreeSet<String> {
    let headings: BTreeMap<&Path, &[String]> = documents
        .iter()
        .map(|document| (Path::new(&document.path), &*document.anchors))
        .collect();
    let mut elsewhere = BTreeSet::new();
    for document in documents {
        for Link { to, line, .. } in &document.links {
            let mut fault = |what: String| {
                faults.push(format!("{}:{line}: the link {to} {what}", document.path));
            };
            match Target::of(&document.path, to) {
                Target::Elsewhere => {
                    elsewhere.insert(to.clone());
                }
                Target::Outside => fault("leads out of the checkout".to_owned()),
                Target::Here(file, _) if !root.join(&file).exists() => {
                    fault(format!("leads to {}, which does not exist", file.display()));
                }
                Target::Here(_, None) => {}
                Target::Here(file, Some(heading)) => match headings.get(&*file) {
                    Some(names) if names.contains(&heading) => {}
                    Some(names) => fault(format!(
                        "names a heading that {} does not have; it has: {}",
                        file.display(),
                        names.join(", ")
                    )),
                    None => fault(format!("names a heading of {}", file.display())),
                },
            }
        }
    }
    elsewhere
}

/// Adds a fault for each page of `docs/` that the table of contents does not have. What it has and is not there is a link
/// that leads nowhere.
pub(crate) fn contents(documents: &[Document], faults: &mut Vec<String>) {
    let summary = documents.iter().find(|document| document.path == SUMMARY);
    let listed: Vec<Target> = summary
        .iter()
        .flat_map(|summary| &summary.links)
        .map(|link| Target::of(SUMMARY, &link.to))
        .collect();
    for document in documents {
        let is_page = document.path.starts_with("docs/") && document.path != SUMMARY;
        let page = Target::Here(PathBuf::from(&document.path), None);
        let times = listed.iter().filter(|target| **target == page).count();
        if is_page && times != 1 {
            faults.push(format!(
                "{SUMMARY} lists {} {times} times; list each page once",
                document.path
            ));
        }
    }
}

/// Adds a fault for each block of JSON or TOML that cannot be read. A block of several JSON values has one on each line.
pub(crate) fn blocks(documents: &[Document], faults: &mut Vec<String>) {
    for document in documents {
        for block in &document.blocks {
            let error = match &*block.info {
                "json" => json(&block.text).err().map(|error| error.to_string()),
                "toml" => block
                    .text
                    .parse::<toml::Table>()
                    .err()
                    .map(|error| error.to_string()),
                _ => None,
            };
            if let Some(error) = error {
                faults.push(format!(
                    "{}:{}: this {} block cannot be read: {}",
                    document.path,
                    block.line,
                    block.info,
                    error.trim_end()
                ));
            }
        }
    }
}

fn json(text: &str) -> serde_json::Result<()> {
    serde_json::Deserializer::from_str(text)
        .into_iter::<serde_json::Value>()
        .try_for_each(|value| value.map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(path: &str, heading: Option<&str>) -> Target {
        Target::Here(PathBuf::from(path), heading.map(str::to_owned))
    }

    #[test]
    fn a_link_leads_from_its_file() {
        assert_eq!(
            Target::of("docs/a.md", "b.md#c"),
            here("docs/b.md", Some("c"))
        );
        assert_eq!(Target::of("docs/a.md", "#c"), here("docs/a.md", Some("c")));
        assert_eq!(Target::of("docs/a.md", "../x/y"), here("x/y", None));
        assert_eq!(Target::of("docs/a.md", "../../x"), Target::Outside);
        assert_eq!(Target::of("docs/a.md", "https://x/#y"), Target::Elsewhere);
    }

    #[test]
    fn a_page_that_is_not_listed_a_dead_heading_and_broken_data_are_faults() {
        let page = |path: &str, text: &str| Document::parse(path, text.to_owned());
        let documents = [
            page(SUMMARY, "- [a](ordering.md)\n"),
            page("docs/ordering.md", "# One\n[x](#two)\n```json\n{\n```\n"),
            page("docs/none.md", "```toml\na = \n```\n"),
        ];
        let mut faults = Vec::new();
        links(&xtask::paths::root(), &documents, &mut faults);
        contents(&documents, &mut faults);
        blocks(&documents, &mut faults);
        let starts = [
            "docs/ordering.md:2: the link #two names a heading",
            "docs/SUMMARY.md lists docs/none.md 0 times",
            "docs/ordering.md:3: this json block cannot be read",
            "docs/none.md:1: this toml block cannot be read",
        ];
        assert_eq!(faults.len(), starts.len(), "{faults:?}");
        for (fault, start) in faults.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}");
        }
    }
}
