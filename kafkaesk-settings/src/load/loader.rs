//! The loader: reads everything that a configuration says.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Effective, Origin, SchemaDeclaration, Section, SettingsError, StreamDeclaration,
    context::Context,
    declarations, effective, environment,
    error::hint,
    find,
    keys::{KEYS, check_known},
    layers::{self, Layer},
    resolve::Resolver,
    toml_file::TomlFile,
    value::{Data, Table, Value},
};
use crate::Settings;

/// Reads settings from every place that they may stand in.
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
    /// Key, value, how messages call the flag.
    flags: Vec<(String, String, String)>,
}

/// What a configuration says.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// Typed and checked.
    pub settings: Settings,
    /// `[[streams]]`.
    pub streams: Vec<StreamDeclaration>,
    /// `schemas`, or `[[schemas]]`.
    pub schemas: Vec<SchemaDeclaration>,
    /// `[[subscriptions]]`, for the worker to read and finish.
    pub subscriptions: Vec<Section>,
    /// What was ignored or should be reconsidered, each with its place.
    pub warnings: Vec<String>,
    /// Every setting that counts, with its source; secrets redacted.
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

    /// This file and no other (`--config`). Beats `KAFKAESK_CONFIG`.
    pub fn config(mut self, path: Option<impl Into<PathBuf>>) -> Self {
        self.config = path.map(Into::into);
        self
    }

    /// Where the search upward begins, and what paths in variables and flags are relative to. Default: the working
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

    /// A profile to apply if it is there and nobody chose another, as `dev` does.
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

    /// Follows no reference in `security.*`, `sasl.*` and `ssl.*`: `[redacted]` stands in its place. For whoever leaves
    /// these properties out, as `dev` does, and has none of the files that they name.
    pub fn unread_security(mut self) -> Self {
        self.unread_security = true;
        self
    }

    /// A setting given on the command line. `flag` is what messages call it, such as `--kafka-servers`.
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
    /// The first [`SettingsError`], in the order: file, profiles, environment, flags, then the values that count.
    pub fn load(self) -> Result<Loaded, SettingsError> {
        let context = Arc::new(self.context());
        let mut warnings = Vec::new();
        let mut layers = Vec::new();
        let file = self.read_file(&context)?;
        let path = file.as_ref().map(|file| file.path.to_path_buf());
        let profile = self.file_layers(&context, file, &mut layers)?;
        layers.push(environment::read(&context, &mut warnings)?);
        layers.push(self.flag_layer(&context)?);

        let winners = layers::merge(&layers);
        let resolver = Resolver {
            context: &context,
            winners: &winners,
        };
        let mut settings = resolver.settings(&mut warnings)?;
        let list = |key| resolver.field(key);
        let streams = list("streams").map(declarations::streams).transpose()?;
        let schemas = list("schemas").map(declarations::schemas).transpose()?;
        let subscriptions = list("subscriptions")
            .map(declarations::subscriptions)
            .transpose()?;
        let streams = streams.unwrap_or_default();
        let declared = streams.iter().map(|declared| declared.spec.stream.clone());
        settings.declared_streams = declared.collect();
        if !streams.is_empty() && resolver.field("auto-create-streams").is_none() {
            settings.auto_create_streams = false;
        }
        Ok(Loaded {
            effective: effective::list(&resolver, &settings),
            settings,
            streams,
            schemas: schemas.unwrap_or_default(),
            subscriptions: subscriptions.unwrap_or_default(),
            warnings,
            file: path,
            profile,
        })
    }

    /// The names of the profiles in the file, chosen or not; none without a file.
    ///
    /// # Errors
    /// The file cannot be read, or is not TOML.
    pub fn profile_names(&self) -> Result<Vec<String>, SettingsError> {
        let Some(mut file) = self.read_file(&self.context())? else {
            return Ok(Vec::new());
        };
        Ok(match file.root.remove("profile") {
            Some(value) => profiles(value)?.into_keys().collect(),
            None => Vec::new(),
        })
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

    fn read_file(&self, context: &Context) -> Result<Option<TomlFile>, SettingsError> {
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
        find::read(&path, &context.directory, &named_by).map(Some)
    }

    /// The file's own layer and that of the chosen profile; the keys of every profile are checked.
    fn file_layers(
        &self,
        context: &Arc<Context>,
        file: Option<TomlFile>,
        layers: &mut Vec<Layer>,
    ) -> Result<Option<String>, SettingsError> {
        let chosen = self.chosen_profile(context)?;
        let shown = file.as_ref().map(|file| file.shown.to_string());
        let mut root = file.map(|file| file.root).unwrap_or_default();
        check_known(&root, "", true)?;
        let profiles = match root.remove("profile") {
            Some(value) => profiles(value)?,
            None => Table::new(),
        };
        layers.push(Layer::of_table(context, root)?);
        let names: Vec<String> = profiles.keys().cloned().collect();
        let mut found = None;
        for (name, value) in profiles {
            let table = profile(&name, value)?;
            let layer = Layer::of_table(context, table)?;
            let wanted = match &chosen {
                Some((chosen, _)) => *chosen == name,
                None => self.optional_profile.as_ref() == Some(&name),
            };
            if wanted {
                found = Some(name);
                layers.push(layer);
            }
        }
        match (found, chosen) {
            (None, Some((name, origin))) => Err(SettingsError::NoProfile {
                hint: hint(&name, names.iter().map(String::as_str)),
                name,
                origin,
                file: shown
                    .unwrap_or_else(|| format!("any {}, for there is none", find::FILE_NAME)),
            }),
            (found, _) => Ok(found),
        }
    }

    fn chosen_profile(&self, context: &Context) -> Result<Option<(String, Origin)>, SettingsError> {
        if let Some(name) = &self.profile {
            return Ok(Some((name.clone(), Origin::Flag("--profile".into()))));
        }
        let name = context.variable(environment::PROFILE)?;
        let origin = || Origin::Environment(environment::PROFILE.into());
        Ok(name
            .filter(|name| !name.is_empty())
            .map(|name| (name.to_owned(), origin())))
    }

    fn flag_layer(&self, context: &Arc<Context>) -> Result<Layer, SettingsError> {
        let mut layer = Layer::default();
        for (key, value, flag) in &self.flags {
            let origin = Origin::Flag(flag.as_str().into());
            if !KEYS.contains(&key.as_str()) {
                return Err(SettingsError::UnknownKey {
                    key: key.clone(),
                    origin,
                    hint: hint(key, KEYS.iter().copied()),
                });
            }
            layer.set(
                context,
                key,
                Value::new(Data::Untyped(value.clone()), origin),
            )?;
        }
        Ok(layer)
    }
}

impl Settings {
    /// The settings as every kafkaesk program reads them: `kafkaesk.toml` (searched upward from the working directory,
    /// or named by `KAFKAESK_CONFIG`), the profile in `KAFKAESK_PROFILE`, and the `KAFKAESK_*` environment. Warnings go
    /// to tracing.
    ///
    /// # Errors
    /// [`SettingsError`] names the key, its place and what would be right.
    pub fn load() -> Result<Self, SettingsError> {
        let loaded = Loader::new().load()?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(loaded.settings)
    }
}

/// A variable whose name is not UTF-8 is not ours.
fn process_environment() -> BTreeMap<String, OsString> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .collect()
}

fn profiles(value: Value) -> Result<Table, SettingsError> {
    match value.data {
        Data::Table(table) => Ok(table),
        _ => Err(not_a_table("profile", &value)),
    }
}

fn profile(name: &str, value: Value) -> Result<Table, SettingsError> {
    let key = format!("profile.{name}");
    let Data::Table(table) = value.data else {
        return Err(not_a_table(&key, &value));
    };
    check_known(&table, &format!("{key}."), false)?;
    Ok(table)
}

fn not_a_table(key: &str, value: &Value) -> SettingsError {
    SettingsError::Value {
        key: key.to_owned(),
        origin: value.origin.clone(),
        problem: format!(
            "{} is not a table, such as `[profile.production]`",
            value.describe()
        ),
    }
}
