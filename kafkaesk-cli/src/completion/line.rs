//! Finds the candidates for the last word of a command line from the definition of the command line alone.

use std::{collections::BTreeMap, ffi::OsString};

use clap::{Arg, Command, ValueHint};

/// What a value is, where the command line's shape does not list it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Stream,
    /// A stream id or a pattern of some.
    Pattern,
    /// `NAME:VERSION`.
    SchemaId,
    Profile,
    Group,
    File,
    /// Nothing is known of it.
    Any,
}

/// A word that may stand there, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    pub(crate) word: String,
    pub(crate) help: String,
}

/// What may stand at the end of the line.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Words of the command line itself.
    pub(crate) words: Vec<Candidate>,
    /// A value of this kind.
    pub(crate) value: Option<Kind>,
    /// What stands before the value in the same word: `--profile=`.
    pub(crate) before: String,
    /// What is there of the value.
    pub(crate) begun: String,
    /// The values of the options before, by their name.
    pub(crate) options: BTreeMap<String, String>,
}

/// Reads the words after the program's name; the last one is the one to complete, perhaps empty.
pub(crate) fn wanted(line: &mut Command, words: &[OsString]) -> Wanted {
    line.build();
    let words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", &[][..]),
    };
    let mut position = Position::new(line);
    for word in before {
        position.pass(word);
    }
    position.wanted(last)
}

/// Where in the line we are.
struct Position<'a> {
    command: &'a Command,
    /// How many positional arguments of the command there were.
    positional: usize,
    /// The option whose value comes next.
    open: Option<&'a Arg>,
    /// `--` was there.
    only_positional: bool,
    options: BTreeMap<String, String>,
}

impl<'a> Position<'a> {
    fn new(command: &'a Command) -> Self {
        Self {
            command,
            positional: 0,
            open: None,
            only_positional: false,
            options: BTreeMap::new(),
        }
    }

    fn pass(&mut self, word: &str) {
        if let Some(option) = self.open.take() {
            self.options
                .insert(option.get_id().to_string(), word.to_owned());
        } else if self.only_positional {
            self.positional += 1;
        } else if word == "--" {
            self.only_positional = true;
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            let option = self.option(name);
            match (option, value) {
                (Some(option), Some(value)) => {
                    self.options
                        .insert(option.get_id().to_string(), value.to_owned());
                }
                (Some(option), None) if option.get_action().takes_values() => {
                    self.open = Some(option);
                }
                _ => {}
            }
        } else if word.starts_with('-') && word.len() > 1 {
            // Only -h and -V are short.
        } else if let Some(command) = self.command.find_subcommand(word) {
            self.command = command;
            self.positional = 0;
        } else {
            self.positional += 1;
        }
    }

    fn option(&self, long: &str) -> Option<&'a Arg> {
        self.command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(long))
    }

    fn wanted(self, last: &str) -> Wanted {
        let nothing = Wanted {
            words: Vec::new(),
            value: None,
            before: String::new(),
            begun: last.to_owned(),
            options: self.options.clone(),
        };
        if let Some(option) = self.open {
            return of_value(option, nothing);
        }
        if let (false, Some((name, begun))) = (self.only_positional, last.split_once('='))
            && let Some(option) = name.strip_prefix("--").and_then(|name| self.option(name))
        {
            return of_value(
                option,
                Wanted {
                    before: format!("{name}="),
                    begun: begun.to_owned(),
                    ..nothing
                },
            );
        }
        if !self.only_positional && last.starts_with('-') {
            let options = self
                .command
                .get_arguments()
                .filter(|arg| !arg.is_hide_set());
            let words = options.filter_map(|arg| {
                candidate(
                    &format!("--{}", arg.get_long()?),
                    arg.get_help().map(ToString::to_string),
                )
            });
            return Wanted {
                words: words.collect(),
                ..nothing
            };
        }
        let positional: Vec<&Arg> = self.command.get_positionals().collect();
        let argument = positional.get(self.positional).or_else(|| {
            // The last one may take the rest.
            let last = positional.last()?;
            last.get_num_args()
                .is_some_and(|number| number.max_values() > 1)
                .then_some(last)
        });
        let subcommands = self.command.get_subcommands().filter(|command| {
            !command.is_hide_set() && !self.only_positional && self.positional == 0
        });
        let mut wanted = Wanted {
            words: subcommands
                .filter_map(|command| {
                    candidate(
                        command.get_name(),
                        command.get_about().map(ToString::to_string),
                    )
                })
                .collect(),
            ..nothing
        };
        if let Some(argument) = argument {
            wanted = of_value(argument, wanted);
        }
        wanted
    }
}

fn candidate(word: &str, help: Option<String>) -> Option<Candidate> {
    let help = help.unwrap_or_default();
    Some(Candidate {
        word: word.to_owned(),
        help: help.lines().next().unwrap_or_default().to_owned(),
    })
}

/// Adds the values of an argument: those that it lists, or the kind of them.
fn of_value(argument: &Arg, mut wanted: Wanted) -> Wanted {
    let listed = argument.get_possible_values();
    if listed.is_empty() {
        wanted.value = Some(kind(argument));
    }
    let boolean = argument
        .get_value_names()
        .is_some_and(|names| names.iter().any(|name| name.as_str() == "BOOL"));
    if boolean {
        let values = ["true", "false"].iter();
        wanted
            .words
            .extend(values.filter_map(|value| candidate(value, None)));
        wanted.value = None;
    }
    let listed = listed.iter().filter(|value| !value.is_hide_set());
    wanted.words.extend(listed.filter_map(|value| {
        candidate(value.get_name(), value.get_help().map(ToString::to_string))
    }));
    wanted
}

/// What an argument takes, by its name: one word for one thing on the whole command line.
fn kind(argument: &Arg) -> Kind {
    let is_file = matches!(
        argument.get_value_hint(),
        ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath
    );
    match argument.get_id().as_str() {
        "stream" | "streams" => Kind::Stream,
        "pattern" => Kind::Pattern,
        _ if is_file => Kind::File,
        "schema" => Kind::SchemaId,
        "profile" => Kind::Profile,
        "group" | "groups" => Kind::Group,
        "file" | "ndjson" => Kind::File,
        _ => Kind::Any,
    }
}
