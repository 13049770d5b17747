//! The configuration: reads flags, environment and `kafkaesk.toml` into typed and checked declarations.
//! Opens no connection.

mod concurrency;
mod handler;
#[cfg(test)]
mod reference;
pub(crate) mod schemas;
mod subscription;

use std::{collections::BTreeSet, path::PathBuf};

use kafkaesk_client::{
    Settings,
    settings::{Effective, Loader, OperateSettings, SchemaDeclaration, StreamDeclaration},
};
use tracing::warn;

pub(crate) use handler::HandlerSettings;
pub(crate) use schemas::SchemaSource;
pub(crate) use subscription::SubscriptionSettings;

use crate::Options;

/// Everything that the configuration says.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// How to reach Kafka and how to behave there.
    pub(crate) settings: Settings,
    /// What the program shows of itself.
    pub(crate) operate: OperateSettings,
    /// `schemas`.
    pub(crate) schemas: Vec<SchemaDeclaration>,
    /// `[[streams]]`.
    pub(crate) streams: Vec<StreamDeclaration>,
    /// `[[subscriptions]]`.
    pub(crate) subscriptions: Vec<SubscriptionSettings>,
    /// Each setting with its source; secrets redacted.
    pub(crate) effective: Vec<Effective>,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
    /// The profile that was applied.
    pub(crate) profile: Option<String>,
}

impl Configuration {
    /// Reads it. Warnings go to the log.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub(crate) fn load(options: &Options) -> anyhow::Result<Self> {
        Self::from_loader(loader(options))
    }

    /// Reads it for `dev`: the profile `dev` applies if it is there.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn load_dev(options: &Options) -> anyhow::Result<Self> {
        let loader = loader(options).profile_if_present("dev");
        // Security settings of the brokers are left out, so their secrets need not exist.
        Self::from_loader(loader.unread_security())
    }

    /// The profiles that the file has; none if it cannot be read.
    pub(crate) fn profiles(options: &Options) -> Vec<String> {
        let loader = Loader::new().config(options.config.clone());
        loader.profile_names().unwrap_or_default()
    }

    fn from_loader(loader: Loader) -> anyhow::Result<Self> {
        let loaded = loader.load()?;
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let mut subscriptions = loaded
            .subscriptions
            .iter()
            .map(|section| SubscriptionSettings::read(section, &loaded.settings))
            .collect::<Result<Vec<_>, _>>()?;
        let withheld = variables_with_secrets(&loaded.effective);
        for subscription in &mut subscriptions {
            if let HandlerSettings::Exec(exec) = &mut subscription.handler {
                exec.withheld.clone_from(&withheld);
            }
        }
        Ok(Self {
            subscriptions,
            settings: loaded.settings,
            operate: loaded.operate,
            schemas: loaded.schemas,
            streams: loaded.streams,
            effective: loaded.effective,
            file: loaded.file,
            profile: loaded.profile,
        })
    }
}

/// The environment's variables that `{ env = … }` takes secrets from: librdkafka's properties, the token of commands,
/// and what handlers send or hand on.
fn variables_with_secrets(effective: &[Effective]) -> BTreeSet<String> {
    effective
        .iter()
        .filter(|setting| {
            let key = format!(".{}", setting.key);
            [
                ".operate-token",
                ".kafka-settings.",
                ".handler.http",
                ".handler.headers.",
                ".handler.env.",
            ]
            .iter()
            .any(|part| key.contains(part))
        })
        .filter_map(|setting| setting.variable.clone())
        .collect()
}

fn loader(options: &Options) -> Loader {
    let loader = Loader::new()
        .config(options.config.clone())
        .profile(options.profile.clone());
    options
        .settings()
        .into_iter()
        .fold(loader, |loader, (key, value)| {
            loader.flag(key, value, format!("--{key}"))
        })
}
