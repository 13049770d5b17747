//! A README's walk: runs the commands of its console blocks in a copy of its folder, and compares what they print. Times and
//! ports do not count; everything else does.

use std::{fs, path::PathBuf, process::Command, thread, time::Duration, time::Instant};

use anyhow::{Context, Result, bail};
use xtask::{broker::free_port, command, paths};

use super::Examples;
use crate::running::{LIMIT, Running};

/// The port that the folder's files name.
const PORT: &str = "8090";
/// Stands for lines that the README leaves out.
const CUT: &str = "…";

/// Walks through the README of this example.
///
/// # Errors
/// A command fails, or prints other lines than the README shows.
pub(super) fn walk(examples: &Examples, name: &str) -> Result<()> {
    let folder = Folder::copy(name)?;
    let mut there = Terminal {
        examples,
        folder,
        running: Vec::new(),
    };
    let readme = fs::read_to_string(there.folder.path.join("README.md"))?;
    let steps = steps(&readme);
    if steps.is_empty() {
        bail!("examples/{name}/README.md has no console block with commands");
    }
    for step in steps {
        there
            .take(&step)
            .with_context(|| format!("examples/{name}/README.md: $ {}", step.command))?;
    }
    // A program of somebody else is killed when dropped.
    let running = there.running.iter_mut();
    running
        .filter(|(command, _)| command.starts_with("kafkaesk-cli"))
        .try_for_each(|(_, child)| child.end())
}

/// A command, and what the README shows below it.
struct Step {
    command: String,
    shown: Vec<String>,
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut within = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            within = line == "```console";
            continue;
        }
        if !within {
            continue;
        }
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step {
                command: command.to_owned(),
                shown: Vec::new(),
            }),
            (None, Some(step)) => step.shown.push(line.to_owned()),
            (None, None) => {}
        }
    }
    steps
}

/// One terminal: what runs in the background prints in it as well.
struct Terminal<'a> {
    examples: &'a Examples,
    folder: Folder,
    running: Vec<(String, Running)>,
}

impl Terminal<'_> {
    fn take(&mut self, step: &Step) -> Result<()> {
        if let Some(background) = step.command.strip_suffix(" &") {
            let child = Running::start(&mut self.shell(&format!("exec {background}")))?;
            self.running.push((background.to_owned(), child));
            return self.expect(&step.shown, "");
        }
        let ended = self.shell(&step.command).output()?;
        let mut printed = String::from_utf8_lossy(&ended.stderr).into_owned();
        printed.push_str(&String::from_utf8_lossy(&ended.stdout));
        if !ended.status.success() {
            bail!("{}: {printed}", ended.status);
        }
        let is_cut = step.shown.iter().any(|line| line == CUT);
        let shown: Vec<String> = step.shown.iter().map(|line| self.plain(line)).collect();
        for line in printed.lines().map(|line| self.plain(line)) {
            if !is_cut && !shown.contains(&line) {
                bail!("it prints a line that the README does not show:\n{line}");
            }
        }
        self.expect(&step.shown, &printed)
    }

    /// Every line was printed by the command, or is printed by what runs.
    fn expect(&mut self, shown: &[String], printed: &str) -> Result<()> {
        let end = Instant::now() + LIMIT;
        for line in shown.iter().filter(|line| *line != CUT) {
            let wanted = self.plain(line);
            while !self.is_printed(&wanted, printed) {
                if Instant::now() > end {
                    let of_running: Vec<&str> = self
                        .running
                        .iter()
                        .map(|(_, it)| it.seen.as_str())
                        .collect();
                    bail!(
                        "nothing printed\n{line}\nbut there was\n{printed}{}",
                        of_running.join("")
                    );
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    fn is_printed(&mut self, wanted: &str, printed: &str) -> bool {
        for (_, child) in &mut self.running {
            child.read_on();
        }
        let of_running = self.running.iter().flat_map(|(_, it)| it.seen.lines());
        let mut lines = printed.lines().chain(of_running);
        lines.any(|line| self.plain(line) == wanted)
    }

    /// A line without what differs from run to run.
    fn plain(&self, line: &str) -> String {
        let line = line
            .replace(&self.examples.prefix, "")
            .replace(&format!(":{}/", self.folder.port), &format!(":{PORT}/"));
        let words: Vec<&str> = line.split_whitespace().map(word).collect();
        words.join(" ")
    }

    fn shell(&self, script: &str) -> Command {
        let programs = paths::target().join("debug");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = self.examples.on_this_kafka(Command::new("sh"));
        shell
            .args(["-c", script])
            .current_dir(&self.folder.path)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("PORT", self.folder.port.to_string())
            // Behind the prefix of this run stands the README's own.
            .env(
                "KAFKAESK_TOPIC_PREFIX",
                format!("{}shop.", self.examples.prefix),
            );
        shell
    }
}

/// A word, or what stands for it where it differs from run to run: a time, seconds, a count of the log.
fn word(word: &str) -> &str {
    let is_time = word.len() >= 20 && word.contains('T') && word.ends_with('Z');
    if is_time && word.starts_with("20") {
        return "TIME";
    }
    if word.contains('.') && word.parse::<f64>().is_ok() {
        return "SECONDS";
    }
    match word.starts_with("count=") {
        true => "count=N",
        false => word,
    }
}

/// A copy of an example's folder with a port of its own. Removed when dropped.
struct Folder {
    path: PathBuf,
    port: u16,
}

impl Folder {
    fn copy(name: &str) -> Result<Self> {
        let port = free_port()?;
        let path = paths::target().join(format!("example-{name}-{port}"));
        let folder = Self { path, port };
        let from = paths::root().join("examples").join(name);
        command::run(Command::new("cp").arg("-r").arg(from).arg(&folder.path))?;
        let file = folder.path.join("kafkaesk.toml");
        let text = fs::read_to_string(&file)?;
        fs::write(file, text.replace(PORT, &port.to_string()))?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_is_its_commands_with_what_stands_below_them() {
        let readme =
            "text\n```sh\n$ not this\n```\n```console\n$ a &\n$ b 'c'\none\n\ntwo\n```\nend\n";
        let steps = steps(readme);
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].command, "a &");
        assert!(steps[0].shown.is_empty());
        assert_eq!(steps[1].shown, ["one", "", "two"]);
    }

    #[test]
    fn only_times_and_counts_of_the_log_do_not_count() {
        assert_eq!(word("2026-11-28T22:24:14.139Z"), "TIME");
        assert_eq!(word("0.6"), "SECONDS");
        assert_eq!(word("count=2"), "count=N");
        for same in ["3@0", "3", "attempts=3", "orders.placed[4]@0", "15s"] {
            assert_eq!(word(same), same);
        }
    }
}
