//! Book: makes the HTML of the pages by mdBook, from a copy whose links out of `docs/` lead to the repository, and checks every
//! link of it. Builds mdBook once for each target folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use xtask::{command, paths};

use super::{check::Target, documents::Document};
use crate::cargo::cargo;

/// mdBook's version.
const VERSION: &str = "0.5.4";
/// Where the files stand that the book links to and does not have.
const REPOSITORY: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/");

/// Makes the book and returns the folder of its HTML.
///
/// # Errors
/// mdBook cannot be built, or a link of the HTML leads nowhere.
pub(super) fn make(root: &Path, documents: &[Document]) -> Result<PathBuf> {
    let mdbook = mdbook()?;
    let home = paths::target().join("handbook");
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    let pages = home.join("pages");
    fs::create_dir_all(&home)?;
    command::run(
        Command::new("cp")
            .arg("-r")
            .arg(root.join("docs"))
            .arg(&pages),
    )?;
    for document in documents {
        if let Some(name) = document.path.strip_prefix("docs/") {
            fs::write(pages.join(name), with_links_to_repository(document)?)?;
        }
    }
    let html = home.join("html");
    command::output(
        Command::new(mdbook)
            .arg("build")
            .arg(&pages)
            .arg("--dest-dir")
            .arg(&html),
    )?;
    // For the check: the headings as GitHub names them.
    let headings = home.join("headings.json");
    let names: BTreeMap<_, _> = documents
        .iter()
        .filter_map(|it| Some((it.path.strip_prefix("docs/")?, &it.anchors)))
        .collect();
    fs::write(&headings, serde_json::to_vec(&names)?)?;
    let script = root.join("xtask/handbook/links.py");
    command::run(Command::new("python3").arg(script).args([&html, &headings]))?;
    Ok(html)
}

/// mdBook copies its own folder alone, so a reader of the HTML finds every other file in the repository.
fn with_links_to_repository(document: &Document) -> Result<String> {
    let mut text = document.text.clone();
    // From the end, so that the places before stay.
    for link in document.links.iter().rev() {
        let Target::Here(file, heading) = Target::of(&document.path, &link.to) else {
            continue;
        };
        if file.starts_with("docs") {
            continue;
        }
        let heading = heading.map(|heading| format!("#{heading}"));
        let address = format!(
            "{REPOSITORY}{}{}",
            file.display(),
            heading.unwrap_or_default()
        );
        let at = text[link.range.clone()].rfind(&link.to).with_context(|| {
            format!(
                "{}:{}: write the address {} in the link itself, not in a reference",
                document.path, link.line, link.to
            )
        })?;
        let start = link.range.start + at;
        text.replace_range(start..start + link.to.len(), &address);
    }
    Ok(text)
}

/// The program, built if this target folder does not have it.
fn mdbook() -> Result<PathBuf> {
    let home = paths::target()
        .join("tools")
        .join(format!("mdbook-{VERSION}"));
    let program = home.join("bin/mdbook");
    if program.exists() {
        return Ok(program);
    }
    println!("building mdBook {VERSION}, once for this target folder: about a minute on two cores");
    let start = Instant::now();
    let install = [
        "install",
        "mdbook",
        "--locked",
        "--quiet",
        // A release build takes two and a half times as long, and would make this book no sooner.
        "--debug",
        "--no-default-features",
        "--features",
        "search",
        "--version",
        VERSION,
        "--root",
    ];
    let built = paths::target().join("tools/build");
    command::run(
        cargo(&install)
            .arg(&home)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // Its own: mdBook's features are not those of the tests' build.
            .env("CARGO_TARGET_DIR", &built),
    )?;
    fs::remove_dir_all(built)?;
    println!("it took {:.0} s", start.elapsed().as_secs_f64());
    match program.exists() {
        true => Ok(program),
        false => bail!("cargo installed no {}", program.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_pages_lead_to_the_repository_and_others_stay() {
        let text = "[a](a.md#b) ![p](images/p.png) [../c.md](../c.md#d) [e](https://e)";
        let document = Document::parse("docs/x.md", text.to_owned());
        let rewritten = with_links_to_repository(&document).expect("links in place");
        let expected = text.replace("](../c.md#d)", &format!("]({REPOSITORY}c.md#d)"));
        assert_eq!(rewritten, expected);
    }
}
