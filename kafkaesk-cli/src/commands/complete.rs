//! `__complete -- WORD…`: answers the completion scripts. Prints one candidate on each line, with a tab and its help,
//! or `:files` if the shell should list files. Never fails: a shell could not show the error.

use std::{collections::BTreeMap, ffi::OsString};

use clap::Args;

use crate::{
    Options,
    completion::{self, Kind},
    context::Context,
    exit::Exit,
    output,
};

/// Arguments of `__complete`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct CompleteArguments {
    /// The words after the program's name; the last one is the one to complete
    #[arg(last = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}

/// Prints the candidates.
pub(crate) async fn run(
    context: &Context,
    arguments: &CompleteArguments,
    mut line: clap::Command,
) -> anyhow::Result<Exit> {
    let wanted = completion::wanted(&mut line, &arguments.words);
    let mut lines: Vec<String> = wanted
        .words
        .iter()
        .filter(|candidate| candidate.word.starts_with(&wanted.begun))
        .map(|candidate| format!("{}{}\t{}", wanted.before, candidate.word, candidate.help))
        .collect();
    let options = options(&wanted.options);
    let values = completion::values(&context.app, &options, &wanted).await;
    let values = values
        .iter()
        .filter(|value| value.starts_with(&wanted.begun));
    lines.extend(values.map(|value| format!("{}{value}\t", wanted.before)));
    if wanted.value == Some(Kind::File) {
        lines.push(":files\t".to_owned());
    }
    for line in lines {
        if !line.contains(['\n', '\r']) {
            output::line(line)?;
        }
    }
    Ok(Exit::Done)
}

/// The options before the word that say which configuration and which cluster are meant.
fn options(given: &BTreeMap<String, String>) -> Options {
    let text = |name: &str| given.get(name).cloned();
    Options {
        config: text("config").map(|path| home(&path).into()),
        profile: text("profile"),
        kafka_servers: text("kafka_servers"),
        kafka_settings: text("kafka_settings"),
        topic_prefix: text("topic_prefix"),
        group_prefix: text("group_prefix"),
        ..Options::default()
    }
}

/// A shell has not replaced the tilde of a word that is being written.
fn home(path: &str) -> String {
    match (path.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(below), Ok(home)) => format!("{home}/{below}"),
        _ => path.to_owned(),
    }
}
