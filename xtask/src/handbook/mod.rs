//! `cargo xtask handbook`: the pages of `docs/` as a book: checks them, makes the HTML in cargo's target folder, and checks
//! that. Writes nothing into the checkout.

mod book;
mod check;
pub(crate) mod documents;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};
use clap::Args;
use xtask::{broker::free_port, command, kafka::Kafka, paths};

use self::documents::Document;
use crate::{
    cargo::build_all,
    walk::{self, Place, Walked},
};

#[derive(Args)]
pub(crate) struct HandbookArgs {
    /// Show it in a browser
    #[arg(long)]
    open: bool,
}

pub(crate) fn run(args: &HandbookArgs) -> Result<()> {
    let (html, _) = build()?;
    let first = html.join("index.html");
    println!("{}", first.display());
    match args.open {
        true => command::run(Command::new("xdg-open").arg(first)),
        false => Ok(()),
    }
}

/// Checks the pages, makes the book and checks it. Returns the folder of its HTML, and what it was made of.
///
/// # Errors
/// What is wrong, each with its file and line.
fn build() -> Result<(PathBuf, Vec<Document>)> {
    let root = paths::root();
    let documents = documents::all(&root)?;
    let mut faults = Vec::new();
    let elsewhere = faults_of(&root, &documents, &mut faults);
    println!(
        "{} documents, {} links; not fetched, {} addresses elsewhere:",
        documents.len(),
        documents.iter().map(|it| it.links.len()).sum::<usize>(),
        elsewhere.len()
    );
    for address in elsewhere {
        println!("  {address}");
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok((book::make(&root, &documents)?, documents))
}

/// As [`build`], and runs the commands of every page on this Kafka.
///
/// # Errors
/// As [`build`], or a command fails or prints other lines than its page shows.
pub(crate) fn check(kafka: &Kafka) -> Result<()> {
    let (_, documents) = build()?;
    build_all()?;
    let (servers, _broker) = kafka.running("handbook")?;
    let mut faults = Vec::new();
    for page in documents.iter().filter(|it| it.path.starts_with("docs/")) {
        let place = Place {
            servers: servers.clone(),
            prefix: format!("handbook-{}-{}.", std::process::id(), free_port()?),
        };
        match walk::page(&place, page) {
            Ok(Walked { ran: 0, not_run: 0 }) => {}
            Ok(Walked { ran, not_run }) => println!(
                "{}: {ran} commands ran; {not_run} blocks that cannot run in a test",
                page.path
            ),
            Err(error) => faults.push(format!("{error:#}")),
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => bail!("{}", faults.join("\n")),
    }
}

/// Adds what is wrong with the pages as they are written, for `tidy` as well. Needs no tool.
///
/// # Errors
/// A page cannot be read.
pub(crate) fn faults(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    faults_of(root, &documents::all(root)?, faults);
    Ok(())
}

fn faults_of(root: &Path, documents: &[Document], faults: &mut Vec<String>) -> BTreeSet<String> {
    check::contents(documents, faults);
    check::blocks(documents, faults);
    check::links(root, documents, faults)
}
