//! `init [DIR]`: writes a small project that `dev` runs at once. Never overwrites anything.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{called, exit::Exit, output};

/// The project's files, with their paths in its folder. `{program}` stands for the name of this program.
const FILES: [(&str, &str); 5] = [
    ("kafkaesk.toml", include_str!("project/kafkaesk.toml")),
    (
        "schemas/Order.1.json",
        include_str!("project/schemas/Order.1.json"),
    ),
    (
        "handlers/billing.py",
        include_str!("project/handlers/billing.py"),
    ),
    (
        "handlers/audit.mjs",
        include_str!("project/handlers/audit.mjs"),
    ),
    ("README.md", include_str!("project/README.md")),
];

/// The programs that run the handlers, and the handler of each.
const INTERPRETERS: [(&str, &str); 2] = [
    ("python3", "handlers/billing.py"),
    ("node", "handlers/audit.mjs"),
];

/// Arguments of `init`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct InitArguments {
    /// The project's folder; it is created if it does not exist
    #[arg(value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
}

/// Writes the project, and prints its files and the command that runs it.
pub(crate) fn run(arguments: &InitArguments) -> anyhow::Result<Exit> {
    let directory = &arguments.directory;
    write(directory)?;
    for (path, _) in FILES {
        output::line(format!("created  {}", shown(directory, path)))?;
    }
    for (program, handler) in INTERPRETERS {
        if !is_installed(program) {
            output::note(format!(
                "note: {program} is not in the PATH: install it, or remove the subscription of {handler} from {}",
                shown(directory, "kafkaesk.toml")
            ));
        }
    }
    output::line("run it; no Kafka is needed, and it prints the command that publishes an order:")?;
    output::line(format!("  {}", dev(directory)))?;
    Ok(Exit::Done)
}

/// The command that runs the project, from the folder where `init` was called.
fn dev(directory: &Path) -> String {
    match directory == Path::new(".") {
        true => format!("{} dev", called::program()),
        false => format!(
            "{} dev {}",
            called::program(),
            called::quoted(&directory.to_string_lossy())
        ),
    }
}

/// A file's path as the user would write it.
fn shown(directory: &Path, path: &str) -> String {
    match directory == Path::new(".") {
        true => path.to_owned(),
        false => directory.join(path).display().to_string(),
    }
}

/// Writes all files. On an error, everything that this call created is removed again.
fn write(directory: &Path) -> anyhow::Result<()> {
    // Folders count as well: what is in them would become a part of the project.
    let names = FILES.map(|(path, _)| path.split('/').next().unwrap_or(path));
    for name in names {
        let path = directory.join(name);
        if path.symlink_metadata().is_ok() {
            bail!(
                "{} exists, and `init` overwrites nothing; nothing was written. Name another folder: `{} init DIR`",
                path.display(),
                called::name()
            );
        }
    }
    let mut created = Created::default();
    let name = called::name();
    for (path, text) in FILES {
        let path = directory.join(path);
        created
            .file(&path, &text.replace("{program}", &name))
            .with_context(|| format!("cannot write {}; nothing was left behind", path.display()))?;
    }
    created.keep();
    Ok(())
}

/// What was created so far; removed when dropped, unless it is kept.
#[derive(Default)]
struct Created {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Created {
    /// Writes a file that does not exist yet, and the folders above it.
    fn file(&mut self, path: &Path, text: &str) -> io::Result<()> {
        let absent: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        for folder in absent.into_iter().rev() {
            fs::create_dir(folder)?;
            self.folders.push(folder.to_owned());
        }
        let mut file = fs::File::create_new(path)?;
        self.files.push(path.to_owned());
        io::Write::write_all(&mut file, text.as_bytes())
    }

    fn keep(mut self) {
        self.files.clear();
        self.folders.clear();
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        // Only if empty: another program's files stay.
        for folder in self.folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Whether the PATH has a file of this name.
fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut created = Created::default();
        let deep = folder.path().join("a/b/c.txt");
        created.file(&deep, "text").unwrap();
        assert!(created.file(&deep, "text").is_err());
        drop(created);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_exists_is_named_and_nothing_is_written() {
        for name in ["kafkaesk.toml", "README.md", "handlers"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(name), "mine").unwrap();
            let error = write(folder.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} exists")), "{error}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            let left = fs::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!(left, "mine");
        }
    }
}
