//! The files that `dev --watch` watches: which they are, how they look, and when one changes. Looks at times and sizes, every
//! 500 ms, and reads none.
//!
//! The system's notices of changes (inotify and others) do not come for network mounts, nor for changes that are made outside a
//! container or a virtual machine. Looking does not depend on that, and the files are few.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::ensure;
use kafkaesk_client::settings::SchemaDeclaration;
use tokio::sync::oneshot;

use crate::configuration::{Configuration, HandlerSettings, SchemaSource};

/// The most files that are watched.
const MOST: usize = 1_000;
/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long the files must stay as they are before a change counts: an editor writes in several steps.
const SETTLE: Duration = Duration::from_millis(300);
/// So often they may change within [`SETTLE`]; then the change counts nonetheless.
const SETTLES: u32 = 10;
/// How many files a line names.
const NAMED: usize = 3;

/// Which files.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    /// The project's folder.
    folder: PathBuf,
    /// The configuration, and what the arguments of `exec` handlers name.
    named: BTreeSet<PathBuf>,
    /// Looked up each time, since a pattern takes new files.
    schemas: Vec<SchemaDeclaration>,
    /// The files that schemas refer to.
    parts: BTreeSet<PathBuf>,
}

/// How files look; nothing for one that is not there.
pub(super) type Look = BTreeMap<PathBuf, Option<State>>;

/// A file's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    changed: Option<SystemTime>,
    bytes: u64,
    /// Another file under the same name.
    number: u64,
}

/// Files that changed.
#[derive(Debug)]
pub(super) struct Change {
    names: Vec<String>,
    /// How the files look now.
    pub(super) now: Look,
}

impl Files {
    /// Takes the files that a configuration names. The parts of schemas stay.
    ///
    /// # Errors
    /// There are more than [`MOST`].
    pub(super) fn of_configuration(&mut self, configuration: &Configuration) -> anyhow::Result<()> {
        let file = match &configuration.file {
            Some(file) => std::path::absolute(file)?,
            // It may be written later.
            None => std::env::current_dir()?.join("kafkaesk.toml"),
        };
        self.folder = file.parent().map(Path::to_owned).unwrap_or_default();
        self.named = BTreeSet::from([file]);
        for subscription in &configuration.subscriptions {
            if let HandlerSettings::Exec(exec) = &subscription.handler {
                let directory = std::path::absolute(&exec.directory)?;
                let files = named_by(&exec.command).map(|word| directory.join(word));
                self.named.extend(files);
            }
        }
        self.schemas.clone_from(&configuration.schemas);
        self.check()
    }

    /// Takes the files that became parts of schemas.
    ///
    /// # Errors
    /// As [`Self::of_configuration`].
    pub(super) fn of_schemas(&mut self, sources: &[SchemaSource]) -> anyhow::Result<()> {
        self.parts = sources
            .iter()
            .flat_map(|it| it.parts.iter().cloned())
            .collect();
        self.check()
    }

    fn check(&self) -> anyhow::Result<()> {
        let count = self.paths().len();
        ensure!(
            count <= MOST,
            "--watch watches {MOST} files at most, and {}/kafkaesk.toml names {count}; name fewer schemas, or run `dev` without --watch",
            self.folder.display()
        );
        Ok(())
    }

    fn paths(&self) -> BTreeSet<PathBuf> {
        let found = self
            .schemas
            .iter()
            .flat_map(|it| it.expand().unwrap_or_default());
        let known = self.named.iter().chain(&self.parts).cloned();
        known.chain(found).take(MOST + 1).collect()
    }

    /// How they look now.
    pub(super) fn look(&self) -> Look {
        let look = |path: PathBuf| {
            let state = state(&path);
            (path, state)
        };
        self.paths().into_iter().map(look).collect()
    }

    /// How they looked when they were read: as `seen` before the reading, where that says so, and now otherwise.
    pub(super) fn look_since(&self, seen: &Look) -> Look {
        let mut look = self.look();
        for (path, state) in &mut look {
            if let Some(before) = seen.get(path) {
                *state = *before;
            }
        }
        look
    }

    /// Waits for a change since `seen`, on a thread of its own: a network mount may answer late.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn watch(&self, seen: Look) -> io::Result<oneshot::Receiver<Change>> {
        let files = self.clone();
        let (found, change) = oneshot::channel();
        thread::Builder::new()
            .name("kafkaesk-watch".into())
            .spawn(move || {
                while !found.is_closed() {
                    if let Some(change) = files.change(&seen) {
                        let _ = found.send(change);
                        return;
                    }
                    thread::sleep(LOOK);
                }
            })?;
        Ok(change)
    }

    /// The change since `seen`, once the files have settled.
    fn change(&self, seen: &Look) -> Option<Change> {
        let mut now = self.look();
        if now == *seen {
            return None;
        }
        for _ in 0..SETTLES {
            thread::sleep(SETTLE);
            let later = self.look();
            if later == now {
                break;
            }
            now = later;
        }
        let names: Vec<String> = differences(seen, &now)
            .map(|path| {
                path.strip_prefix(&self.folder)
                    .unwrap_or(path)
                    .display()
                    .to_string()
            })
            .collect();
        (!names.is_empty()).then_some(Change { names, now })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.names.len().min(NAMED);
        f.write_str(&self.names[..named].join(", "))?;
        match self.names.len() - named {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The words of a command that may name a file. A program without a slash is looked up in PATH.
fn named_by(command: &[String]) -> impl Iterator<Item = &String> {
    command
        .iter()
        .enumerate()
        .filter(|(at, word)| !word.starts_with('-') && (*at > 0 || word.contains('/')))
        .map(|(_, word)| word)
}

fn state(path: &Path) -> Option<State> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let number = 0;
    Some(State {
        changed: metadata.modified().ok(),
        bytes: metadata.len(),
        number,
    })
}

fn differences<'a>(before: &'a Look, now: &'a Look) -> impl Iterator<Item = &'a PathBuf> {
    let gone = before.keys().filter(|path| !now.contains_key(*path));
    let changed = now
        .iter()
        .filter(|(path, state)| before.get(*path).copied().flatten() != **state);
    changed.map(|(path, _)| path).chain(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, names: &[&str]) -> Files {
        Files {
            folder: folder.to_owned(),
            named: names.iter().map(|name| folder.join(name)).collect(),
            ..Files::default()
        }
    }

    #[test]
    fn a_file_that_is_written_replaced_removed_or_new_is_a_change_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a", "1");
        write("b", "1");
        let files = files(folder.path(), &["a", "b", "c"]);
        let changed = |seen: &Look| files.change(seen).map(|change| change.to_string());
        let seen = files.look();
        assert_eq!(changed(&seen), None);
        write("a", "12");
        assert_eq!(changed(&seen).as_deref(), Some("a"));
        let seen = files.look();
        write("b.new", "1");
        fs::rename(folder.path().join("b.new"), folder.path().join("b")).unwrap();
        assert_eq!(changed(&seen).as_deref(), Some("b"));
        let seen = files.look();
        write("c", "");
        fs::remove_file(folder.path().join("a")).unwrap();
        assert_eq!(changed(&seen).as_deref(), Some("a, c"));
    }

    #[test]
    fn what_changed_while_it_was_read_is_seen_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), &["a"]);
        let seen = files.look();
        fs::write(folder.path().join("a"), "1").unwrap();
        assert!(files.change(&files.look_since(&seen)).is_some());
    }

    #[test]
    fn only_words_that_may_name_files_are_watched() {
        let command = ["python3", "-u", "a.py"].map(str::to_owned);
        assert_eq!(named_by(&command).collect::<Vec<_>>(), ["a.py"]);
        let command = ["./run", "x"].map(str::to_owned);
        assert_eq!(named_by(&command).collect::<Vec<_>>(), ["./run", "x"]);
    }

    #[test]
    fn a_line_names_few_files_however_many_changed() {
        let names = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let change = Change {
            names,
            now: Look::new(),
        };
        assert_eq!(change.to_string(), "a, b, c and 2 more");
    }

    #[test]
    fn more_files_than_the_bound_are_an_error() {
        let names: Vec<String> = (0..=MOST).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let error = files(Path::new("/p"), &names).check().unwrap_err();
        assert!(error.to_string().contains("1000 files at most"), "{error}");
        assert!(files(Path::new("/p"), &names[1..]).check().is_ok());
    }
}
