//! A walk through a document: runs the commands of its console blocks in a folder, and compares what they print with what
//! stands below them. Times, ports and the prefixes of a run do not count; everything else does.
//!
//! A block is written to a file if a line such as `` `billing.py`: `` stands before it. A block `console,not-run` is only
//! counted; the text around it says why it cannot run.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use xtask::{broker::free_port, command, paths};

use crate::{
    handbook::documents::{Block, Document},
    running::{LIMIT, Running},
};

/// The ports that documents name: of their handlers, of what a worker shows of itself, of `dev`'s broker.
const HANDLER: &str = "8090";
const OPERATE: &str = "9464";
const BROKER: &str = "9092";
/// Stands for lines that the document leaves out.
const CUT: &str = "…";
/// Commands that only look. As a reader would, the walk looks again until it sees what the document shows.
const LOOKS: [&str; 6] = [
    "curl -s http",
    "kafkaesk-cli dead-letters list",
    "kafkaesk-cli lag",
    "kafkaesk-cli scale explain",
    "kafkaesk-cli streams show",
    "kafkaesk-cli top --once",
];
/// Marks a block whose commands cannot run in a test.
const NOT_RUN: &str = "console,not-run";

/// The Kafka that the commands use, and the start of every name there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) servers: String,
    pub(crate) prefix: String,
}

/// How many commands ran, and how many blocks were left out.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    pub(crate) ran: usize,
    pub(crate) not_run: usize,
}

/// Walks through the README of this example, in a copy of its folder.
///
/// # Errors
/// There is no command, or one fails or prints other lines than the README shows.
pub(crate) fn example(place: &Place, name: &str) -> Result<()> {
    let readme = Document::read(&paths::root(), &format!("examples/{name}/README.md"))?;
    let walked = walk(place, &readme, &Folder::copy(name)?, BTreeMap::new())?;
    match walked.ran {
        0 => bail!("{} has no console block with commands", readme.path),
        _ => Ok(()),
    }
}

/// Walks through a page of the handbook: in a copy of the example that a line `<!-- in examples/NAME -->` names, else in an
/// empty folder. A page that starts `kafkaesk-cli dev` has that broker and no other.
///
/// # Errors
/// A command fails or prints other lines than the page shows.
pub(crate) fn page(place: &Place, page: &Document) -> Result<Walked> {
    let example = page.text.lines().find_map(|line| {
        let rest = line.strip_prefix("<!-- in examples/")?;
        rest.strip_suffix(" -->")
    });
    let mut folder = match example {
        Some(name) => Folder::copy(name)?,
        None => Folder::empty(&page.path)?,
    };
    let listen = folder.port_for(OPERATE)?;
    let mut variables = BTreeMap::from([(
        "KAFKAESK_OPERATE_LISTEN".to_owned(),
        format!("127.0.0.1:{listen}"),
    )]);
    let starts_dev = |step: &Step| match step {
        Step::Run { command, .. } => command.starts_with("kafkaesk-cli dev"),
        Step::Write { .. } => false,
    };
    if steps(page)?.0.iter().any(starts_dev) {
        let broker = folder.port_for(BROKER)?;
        for (name, value) in [
            ("KAFKAESK_KAFKA_SERVERS", format!("127.0.0.1:{broker}")),
            ("KAFKAESK_TOPIC_PREFIX", "shop.".to_owned()),
            ("KAFKAESK_GROUP_PREFIX", String::new()),
        ] {
            variables.insert(name.to_owned(), value);
        }
    }
    walk(place, page, &folder, variables)
}

fn walk(
    place: &Place,
    document: &Document,
    folder: &Folder,
    variables: BTreeMap<String, String>,
) -> Result<Walked> {
    let (steps, not_run) = steps(document)?;
    let mut walked = Walked { ran: 0, not_run };
    let mut there = Terminal {
        place,
        folder,
        here: folder.path.clone(),
        variables,
        running: Vec::new(),
    };
    for step in steps {
        let what = match &step {
            Step::Write { name, .. } => name.clone(),
            Step::Run { command, .. } => format!("$ {command}"),
        };
        there
            .take(&step)
            .with_context(|| format!("{}: {what}", document.path))?;
        if let Step::Run { .. } = step {
            walked.ran += 1;
        }
    }
    // A program of somebody else is killed when dropped.
    let running = there.running.iter_mut();
    running
        .filter(|(command, _)| command.starts_with("kafkaesk-cli"))
        .try_for_each(|(_, child)| child.end())?;
    Ok(walked)
}

/// What a reader does.
#[derive(Debug)]
enum Step {
    /// Writes a file that the document shows.
    Write { name: String, text: String },
    /// Runs a command, and sees what stands below it.
    Run { command: String, shown: Vec<String> },
}

/// The steps of a document, and how many blocks of commands are not run.
fn steps(document: &Document) -> Result<(Vec<Step>, usize)> {
    let mut steps = Vec::new();
    let mut not_run = 0;
    for block in &document.blocks {
        match &*block.info {
            "console" => commands(block, &mut steps),
            NOT_RUN => not_run += 1,
            other if other.starts_with("console") => bail!(
                "{}:{}: a block is ```console or ```{NOT_RUN}, not ```{other}",
                document.path,
                block.line
            ),
            _ => {
                if let Some(name) = file_of(document, block) {
                    steps.push(Step::Write {
                        name: name.to_owned(),
                        text: block.text.clone(),
                    });
                }
            }
        }
    }
    Ok((steps, not_run))
}

fn commands(block: &Block, steps: &mut Vec<Step>) {
    let first = steps.len();
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), steps[first..].last_mut()) {
            (Some(command), _) => steps.push(Step::Run {
                command: command.to_owned(),
                shown: Vec::new(),
            }),
            (None, Some(Step::Run { command, .. })) if command.ends_with('\\') => {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some(Step::Run { shown, .. })) => shown.push(line.to_owned()),
            (None, _) => {}
        }
    }
}

/// The file that a block is the content of: its name stands alone in the line before.
fn file_of<'a>(document: &'a Document, block: &Block) -> Option<&'a str> {
    let before: Vec<&str> = document.text.lines().take(block.line - 1).collect();
    let line = before.into_iter().rfind(|line| !line.trim().is_empty())?;
    let name = line.strip_prefix('`')?.strip_suffix("`:")?;
    let is_inside = !name.starts_with('/') && !name.contains("..") && !name.contains([' ', '`']);
    is_inside.then_some(name)
}

/// One terminal: what runs in the background prints in it as well.
struct Terminal<'a> {
    place: &'a Place,
    folder: &'a Folder,
    /// The working directory.
    here: PathBuf,
    /// What was exported, and what the walk sets.
    variables: BTreeMap<String, String>,
    running: Vec<(String, Running)>,
}

impl Terminal<'_> {
    fn take(&mut self, step: &Step) -> Result<()> {
        let (command, shown) = match step {
            Step::Write { name, text } => {
                let file = self.here.join(name);
                fs::create_dir_all(file.parent().unwrap_or(&self.here))?;
                return Ok(fs::write(file, self.folder.with_ports(text))?);
            }
            Step::Run { command, shown } => (self.folder.with_ports(command), shown),
        };
        if let Some(name) = command.strip_prefix("cd ") {
            self.here = self.here.join(name).canonicalize()?;
            return Ok(());
        }
        if let Some((name, _)) = command
            .strip_prefix("export ")
            .and_then(|it| it.split_once('='))
        {
            let script = format!("{command}\nprintf %s \"${name}\"");
            let value = command::output(&mut self.shell(&script))?;
            self.variables.insert(name.to_owned(), value);
            return Ok(());
        }
        if let Some(background) = command.strip_suffix(" &") {
            let child = Running::start(&mut self.shell(&format!("exec {background}")))?;
            self.running.push((background.to_owned(), child));
            return self.expect(shown, "");
        }
        let is_look = LOOKS.iter().any(|look| command.starts_with(look));
        let end = Instant::now() + LIMIT;
        loop {
            match self.run(&command, shown) {
                Err(_) if is_look && Instant::now() < end => {
                    thread::sleep(Duration::from_millis(500));
                }
                Err(error) => return Err(error),
                Ok(printed) => return self.expect(shown, &printed),
            }
        }
    }

    /// Runs a command to its end, and returns what it printed, which has nothing that the document does not show.
    fn run(&mut self, command: &str, shown: &[String]) -> Result<String> {
        let ended = self.shell(command).output()?;
        let mut printed = String::from_utf8_lossy(&ended.stderr).into_owned();
        printed.push_str(&String::from_utf8_lossy(&ended.stdout));
        // A reader may see an error, and then the document shows it.
        let is_shown = shown.iter().any(|line| line.starts_with("error: "));
        if ended.status.success() == is_shown {
            bail!("{}: {printed}", ended.status);
        }
        let is_cut = shown.iter().any(|line| line == CUT);
        let plain: Vec<String> = shown.iter().map(|line| self.plain(line)).collect();
        for line in printed.lines().map(|line| self.plain(line)) {
            if !is_cut && !plain.contains(&line) {
                bail!("it prints a line that the document does not show:\n{line}");
            }
        }
        Ok(printed)
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
        let line = line.replace(&self.place.prefix, "");
        let line = self.folder.with_written_ports(&line);
        let words: Vec<&str> = line.split_whitespace().map(word).collect();
        words.join(" ")
    }

    fn shell(&self, script: &str) -> Command {
        let programs = paths::target().join("debug");
        let path = std::env::var("PATH").unwrap_or_default();
        let prefix = &self.place.prefix;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", script])
            .current_dir(&self.here)
            // Below `cargo run`, the program names that command instead of itself.
            .env_remove("CARGO")
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("PORT", self.folder.port.to_string())
            .env("KAFKAESK_KAFKA_SERVERS", &self.place.servers)
            .env("KAFKAESK_GROUP_PREFIX", prefix)
            // Behind the prefix of this run stands the document's own.
            .env("KAFKAESK_TOPIC_PREFIX", format!("{prefix}shop."))
            .envs(&self.variables);
        shell
    }
}

/// A word, or what stands for it where it differs from run to run: a time, seconds, a count of the log.
fn word(word: &str) -> &str {
    let word = word.trim_end_matches(':');
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

/// A folder with ports of its own. Removed when dropped.
struct Folder {
    path: PathBuf,
    /// Of a handler.
    port: u16,
    /// Each port that documents name, and the one that takes its place.
    ports: Vec<(&'static str, u16)>,
}

impl Folder {
    fn empty(name: &str) -> Result<Self> {
        let folder = Self::absent(name)?;
        fs::create_dir_all(&folder.path)?;
        Ok(folder)
    }

    fn copy(name: &str) -> Result<Self> {
        let folder = Self::absent(name)?;
        let from = paths::root().join("examples").join(name);
        command::run(Command::new("cp").arg("-r").arg(from).arg(&folder.path))?;
        let file = folder.path.join("kafkaesk.toml");
        let text = fs::read_to_string(&file)?;
        fs::write(file, text.replace(HANDLER, &folder.port.to_string()))?;
        Ok(folder)
    }

    fn absent(name: &str) -> Result<Self> {
        let port = free_port()?;
        let stem = Path::new(name).file_stem().unwrap_or_default();
        let name = format!("walk-{}-{port}", stem.to_string_lossy());
        Ok(Self {
            path: paths::target().join(name),
            port,
            ports: vec![(HANDLER, port)],
        })
    }

    /// A free port in the place of the one that documents name.
    fn port_for(&mut self, written: &'static str) -> Result<u16> {
        let port = free_port()?;
        self.ports.push((written, port));
        Ok(port)
    }

    fn with_ports(&self, text: &str) -> String {
        self.ports
            .iter()
            .fold(text.to_owned(), |text, (written, port)| {
                text.replace(&format!(":{written}"), &format!(":{port}"))
            })
    }

    fn with_written_ports(&self, text: &str) -> String {
        self.ports
            .iter()
            .fold(text.to_owned(), |text, (written, port)| {
                text.replace(&format!(":{port}"), &format!(":{written}"))
            })
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
        let text = "text\n```sh\n$ not this\n```\n```console\n$ a &\n$ b \\\n  c\none\n\ntwo\n```\n\
                    `d/e.py`:\n\n```python\npass\n```\n```console,not-run\n$ nor this\n```\n";
        let (steps, not_run) = steps(&Document::parse("a.md", text.to_owned())).expect("steps");
        assert_eq!(not_run, 1);
        assert_eq!(
            format!("{steps:?}"),
            r#"[Run { command: "a &", shown: [] }, Run { command: "b \\\n  c", shown: ["one", "", "two"] }, Write { name: "d/e.py", text: "pass\n" }]"#
        );
    }

    #[test]
    fn a_block_of_commands_with_another_word_is_a_fault() {
        let document = Document::parse("a.md", "```console,later\n$ a\n```\n".to_owned());
        assert!(steps(&document).is_err());
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
