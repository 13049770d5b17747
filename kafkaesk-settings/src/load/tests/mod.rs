//! Laws of the loader. Each test writes its own files and passes its own environment.

mod declarations;
mod environment;
mod figment_traps;
mod files;
mod golden;
mod kafka;
mod layers;
mod redaction;
mod references;
mod sections;
mod values;

use std::{ffi::OsString, fs, path::PathBuf};

use tempfile::TempDir;

use super::{Loaded, Loader};

/// A folder with a configuration, and what is set around it.
struct Case {
    folder: TempDir,
    loader: Loader,
    variables: Vec<(String, OsString)>,
}

/// A folder with this `kafkaesk.toml`.
fn case(toml: &str) -> Case {
    let empty = empty();
    empty.write("kafkaesk.toml", toml);
    empty
}

/// A folder without a configuration.
fn empty() -> Case {
    Case {
        folder: tempfile::tempdir().unwrap(),
        loader: Loader::new(),
        variables: Vec::new(),
    }
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.loader = self.loader.flag(key, value, format!("--{key}"));
        self
    }

    fn profile(mut self, name: &str) -> Self {
        self.loader = self.loader.profile(Some(name));
        self
    }

    fn load(self) -> Loaded {
        self.result().unwrap()
    }

    /// The error's text.
    fn refused(self) -> String {
        self.result().map(drop).unwrap_err()
    }

    fn result(self) -> Result<Loaded, String> {
        self.loader
            .directory(self.folder.path())
            .variables(self.variables)
            .load()
            .map_err(|error| error.to_string())
    }
}

/// Value and source, as `config show` prints them.
fn shown(loaded: &Loaded, key: &str) -> (String, String) {
    let setting = loaded
        .effective
        .iter()
        .find(|setting| setting.key == key)
        .unwrap_or_else(|| panic!("{key} is not in {:#?}", loaded.effective));
    (setting.value.clone(), setting.source.clone())
}
