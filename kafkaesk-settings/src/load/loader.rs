//! The loader: reads and merges file, profile, environment and flags into checked settings and declarations.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use figment::{Metadata, value::Dict};

use super::{
    Effective, Origin, SchemaDeclaration, Section, SettingsError, StreamDeclaration,
    context::Context,
    declarations, effective, environment,
    error::hint,
    find::{self, ConfigFile},
    keys::KEYS,
    layers::{Layer, Merged},
    node::Node,
    operate,
    origin::FLAG,
    resolve,
};
use crate::{OperateSettings, Settings};

/// The table of the profiles in a file.
const PROFILE: &str = "profile";

/// Reads settings from file, profile, environment and flags.
///
/// ```
/// use kafkaesk_settings::Loader;
/// let loaded = Loader::new()
///     .directory("/")
///     .variables([("KAFKAESK_TOPIC_PREFIX".to_owned(), "shop.".to_owned())])
///     .flag("kafka-servers", "kafka-1:9092,kafka-2:9092", "--kafka-servers")
///     .load()?;
/// assert_eq!(loaded.settings.topic_prefix.as_str(), "shop.");
/// assert_eq!(loaded.settings.kafka_servers.len(), 2);
/// # Ok::<(), kafkaesk_settings::SettingsError>(())
/// ```
#[derive(Debug, Default)]
pub struct Loader {
    config: Option<PathBuf>,
    directory: Option<PathBuf>,
    profile: Option<String>,
    optional_profile: Option<String>,
    variables: Option<BTreeMap<String, OsString>>,
    unread_security: bool,
    /// Key, value, name in messages.
    flags: Vec<(String, String, String)>,
}

/// The content of a configuration.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// Typed and checked.
    pub settings: Settings,
    /// What the program shows of itself.
    pub operate: OperateSettings,
    /// `[[streams]]`.
    pub streams: Vec<StreamDeclaration>,
    /// `schemas`, or `[[schemas]]`.
    pub schemas: Vec<SchemaDeclaration>,
    /// `[[subscriptions]]`, for the command line to read.
    pub subscriptions: Vec<Section>,
    /// Warnings about ignored or questionable values, each with its place.
    pub warnings: Vec<String>,
    /// Every effective setting with its source; secrets are redacted.
    pub effective: Vec<Effective>,
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    /// The profile that was applied, if one was.
    pub profile: Option<String>,
}

impl Loader {
    /// Files from the working directory upward, and the process's environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads only this file (`--config`). Beats `KAFKAESK_CONFIG`.
    pub fn config(mut self, path: Option<impl Into<PathBuf>>) -> Self {
        self.config = path.map(Into::into);
        self
    }

    /// The folder at which the search upward and relative paths in variables and flags start. Default: the working
    /// directory.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// This profile (`--profile`), which must be there. Beats `KAFKAESK_PROFILE`.
    pub fn profile(mut self, name: Option<impl Into<String>>) -> Self {
        self.profile = name.map(Into::into);
        self
    }

    /// A profile that applies if the file has it and no other is chosen, as in `dev`.
    pub fn profile_if_present(mut self, name: impl Into<String>) -> Self {
        self.optional_profile = Some(name.into());
        self
    }

    /// These variables in place of the process's environment.
    pub fn variables<V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (String, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        self.variables = Some(
            variables
                .map(|(name, value)| (name, value.into()))
                .collect(),
        );
        self
    }

    /// Follows no reference in `security.*`, `sasl.*` and `ssl.*`; their value becomes `[redacted]`. For a program such
    /// as `dev`, which does not use these properties and must not need the files that they name.
    pub fn unread_security(mut self) -> Self {
        self.unread_security = true;
        self
    }

    /// A setting given on the command line. `flag` is its name in messages, such as `--kafka-servers`. Of two flags for
    /// the same setting the later one wins.
    pub fn flag(
        mut self,
        key: impl Into<String>,
        value: impl Into<String>,
        flag: impl Into<String>,
    ) -> Self {
        self.flags.push((key.into(), value.into(), flag.into()));
        self
    }

    /// Reads, merges, types and checks everything.
    ///
    /// # Errors
    /// The first [`SettingsError`], in the order: file, profiles, environment, flags, then the effective values.
    pub fn load(self) -> Result<Loaded, SettingsError> {
        let context = Arc::new(self.context());
        let mut warnings = Vec::new();
        let file = self.read_file(&context)?;
        let path = file.as_ref().map(|file| file.path.clone());
        let (mut layers, profile) = self.file_layers(&context, file)?;
        let variables = environment::read(&context, &mut warnings)?;
        layers.push(Layer::new(&variables, KEYS)?);
        for (key, value, flag) in self.flags {
            let place = Origin::flag(&flag).to_string();
            let layer = Metadata::named(FLAG).interpolater(move |_, _| place.clone());
            let table = Dict::from([(key, value.into())]);
            layers.push(Layer::new(&Node::root(&context, layer, table), KEYS)?);
        }
        let merged = Merged::new(&variables, layers);
        let mut settings = resolve::settings(&merged, &mut warnings)?;
        let operate = operate::settings(&merged)?;
        let list = |key| merged.setting(key);
        let streams = list("streams").map(declarations::streams).transpose()?;
        let schemas = list("schemas").map(declarations::schemas).transpose()?;
        let subscriptions = list("subscriptions")
            .map(declarations::subscriptions)
            .transpose()?;
        let streams = streams.unwrap_or_default();
        let declared = streams.iter().map(|declared| declared.spec.stream.clone());
        settings.declared_streams = declared.collect();
        if !streams.is_empty() && merged.setting("auto-create-streams").is_none() {
            settings.auto_create_streams = false;
        }
        Ok(Loaded {
            effective: effective::list(&merged, &settings, &operate),
            settings,
            operate,
            streams,
            schemas: schemas.unwrap_or_default(),
            subscriptions: subscriptions.unwrap_or_default(),
            warnings,
            file: path,
            profile,
        })
    }

    /// The names of all profiles in the file; empty without a file.
    ///
    /// # Errors
    /// The file cannot be read, or is not TOML.
    pub fn profile_names(&self) -> Result<Vec<String>, SettingsError> {
        let Some(file) = self.read_file(&Arc::new(self.context()))? else {
            return Ok(Vec::new());
        };
        let profiles = profiles(&file.root)?.into_iter();
        Ok(profiles.map(|(name, _)| name).collect())
    }

    fn context(&self) -> Context {
        let directory = match &self.directory {
            Some(directory) => std::path::absolute(directory),
            None => std::env::current_dir(),
        };
        Context {
            variables: self.variables.clone().unwrap_or_else(process_environment),
            directory: directory.unwrap_or_default(),
            unread_security: self.unread_security,
        }
    }

    fn read_file(&self, context: &Arc<Context>) -> Result<Option<ConfigFile>, SettingsError> {
        let named = |path: &Path| context.directory.join(path);
        let (path, named_by) = if let Some(path) = &self.config {
            (named(path), "flag --config".to_owned())
        } else if let Some(path) = context
            .variable(environment::CONFIG)?
            .filter(|path| !path.is_empty())
        {
            (
                named(Path::new(path)),
                format!("environment {}", environment::CONFIG),
            )
        } else if let Some(path) = find::upward(&context.directory) {
            (path, "the search for the configuration".to_owned())
        } else {
            return Ok(None);
        };
        find::read(path, context, &named_by).map(Some)
    }

    /// The layers of the file and of the chosen profile, and the name of that profile. Every profile is checked.
    fn file_layers(
        &self,
        context: &Arc<Context>,
        file: Option<ConfigFile>,
    ) -> Result<(Vec<Layer>, Option<String>), SettingsError> {
        let chosen = self.chosen_profile(context)?;
        let mut layers = Vec::new();
        let mut names = Vec::new();
        let mut found = None;
        if let Some(file) = &file {
            layers.push(Layer::new(&file.root, &[KEYS, &[PROFILE]].concat())?);
            for (name, table) in profiles(&file.root)? {
                let layer = Layer::new(&table, KEYS)?;
                let wanted = match &chosen {
                    Some((chosen, _)) => *chosen == name,
                    None => self.optional_profile.as_ref() == Some(&name),
                };
                if wanted {
                    found = Some(name.clone());
                    layers.push(layer);
                }
                names.push(name);
            }
        }
        match (found, chosen) {
            (None, Some((name, origin))) => Err(SettingsError::NoProfile {
                hint: hint(&name, names.iter().map(String::as_str)),
                name,
                origin,
                file: file.map_or_else(
                    || format!("any {}, for there is none", find::FILE_NAME),
                    |file| file.shown,
                ),
            }),
            (found, _) => Ok((layers, found)),
        }
    }

    fn chosen_profile(&self, context: &Context) -> Result<Option<(String, Origin)>, SettingsError> {
        if let Some(name) = &self.profile {
            return Ok(Some((name.clone(), Origin::flag("--profile"))));
        }
        let name = context.variable(environment::PROFILE)?;
        let origin = || Origin::environment(environment::PROFILE);
        Ok(name
            .filter(|name| !name.is_empty())
            .map(|name| (name.to_owned(), origin())))
    }
}

impl Settings {
    /// The settings as every kafkaesk program reads them: `kafkaesk.toml` (searched upward from the working directory,
    /// or named by `KAFKAESK_CONFIG`), the profile in `KAFKAESK_PROFILE`, and the `KAFKAESK_*` environment. Warnings go
    /// to tracing.
    ///
    /// # Errors
    /// [`SettingsError`] names the key, its place and the remedy.
    pub fn load() -> Result<Self, SettingsError> {
        let loaded = Loader::new().load()?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(loaded.settings)
    }
}

/// Variables whose names are not UTF-8 are left out: they are not ours.
fn process_environment() -> BTreeMap<String, OsString> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .collect()
}

/// The file's profiles by name, each a table.
fn profiles(root: &Node) -> Result<Vec<(String, Node)>, SettingsError> {
    let table = |node: Node| match node.value.as_dict() {
        Some(_) => Ok(node),
        None => Err(node.expected("a table, such as `[profile.production]`")),
    };
    let Some(profiles) = root.member(PROFILE) else {
        return Ok(Vec::new());
    };
    let profiles = table(profiles)?.members().into_iter();
    profiles
        .map(|(name, profile)| Ok((name, table(profile)?)))
        .collect()
}
