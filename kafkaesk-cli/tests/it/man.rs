//! `man DIR`: a page for each command, and nothing on it without a description.

use std::{collections::BTreeSet, path::Path};

use crate::support::Project;

/// The names of all commands, as `--help` lists them, from the program on.
fn commands(project: &Project, words: &[&str], into: &mut BTreeSet<String>) {
    let name = std::iter::once("kafkaesk-cli").chain(words.iter().copied());
    into.insert(name.collect::<Vec<_>>().join("-"));
    let help = project.run(&[words, &["--help"]].concat()).succeeds();
    let Some((_, list)) = help.split_once("Commands:\n") else {
        return;
    };
    let list = list.lines().take_while(|line| line.starts_with("  "));
    // A description that is wrapped goes on further to the right.
    for line in list.filter(|line| !line.starts_with("   ")) {
        let word = line.split_whitespace().next().unwrap();
        if word != "help" {
            commands(project, &[words, &[word]].concat(), into);
        }
    }
}

fn page(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(format!("{name}.1"))).unwrap()
}

#[test]
fn each_command_has_a_page_and_nothing_on_it_lacks_a_description() {
    let project = Project::new();
    project.run(&["man", "share/man1"]).succeeds();
    // Again: an update replaces the pages.
    project.run(&["man", "share/man1"]).succeeds();
    let folder = project.path().join("share/man1");
    let written: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.strip_suffix(".1").unwrap().to_owned())
        .collect();
    let mut wanted = BTreeSet::new();
    commands(&project, &[], &mut wanted);
    assert!(wanted.contains("kafkaesk-cli-dead-letters-redrive"));
    assert_eq!(written, wanted);
    for name in &written {
        let page = page(&folder, name);
        for section in [".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n"] {
            let (_, text) = page
                .split_once(section)
                .unwrap_or_else(|| panic!("{name} has no {section}"));
            let first = text.lines().next().unwrap_or_default();
            assert!(
                !first.is_empty() && !first.starts_with('.'),
                "{name}: {section}{first}"
            );
        }
        let title = format!(".SH NAME\n{} \\- ", name.replace('-', "\\-"));
        assert!(page.contains(&title), "{name}: {page}");
        // `.TP`, then what is described, then its description.
        for item in page.split(".TP\n").skip(1) {
            let mut lines = item.lines();
            let (what, text) = (lines.next().unwrap(), lines.next().unwrap_or_default());
            assert!(
                !text.is_empty() && !text.starts_with('.'),
                "{name}: {what}: {text}"
            );
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let project = Project::new();
    project.file("file", "");
    project
        .run(&["man", "file"])
        .fails(1, &["cannot create file"]);
}
