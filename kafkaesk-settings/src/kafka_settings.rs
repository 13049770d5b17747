//! Input: librdkafka properties as users set them. Output: the properties of one client, by role, with aliases under one
//! name. [`OidcSettings`](super::OidcSettings) takes over OIDC.

use std::{collections::BTreeMap, fmt};

use super::{
    PropertyError, Role, canonical_property, check_property,
    property::properties,
    property_warning,
    redact::{REDACTED, without_secrets, without_user_info},
};

/// librdkafka properties, by role. Values are text, as librdkafka takes them.
///
/// `Debug` shows sensitive values as `[redacted]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KafkaSettings {
    /// For every client that knows the property.
    pub common: BTreeMap<String, String>,
    /// For consumers only; beats `common`.
    pub consumer: BTreeMap<String, String>,
    /// For producers only; beats `common`.
    pub producer: BTreeMap<String, String>,
}

impl KafkaSettings {
    /// The properties of a consumer, under librdkafka's canonical names, aliases resolved: `defaults`, then
    /// `common`, then `consumer`, then `forced`; the later wins. Properties of producers are left out.
    ///
    /// With a TLS protocol and no certificate setting, `ssl.ca.location` is `probe`. Properties that [`OidcSettings`]
    /// takes over are left out.
    ///
    /// [`OidcSettings`]: super::OidcSettings
    pub fn for_consumer(
        &self,
        defaults: &[(&str, &str)],
        forced: &[(&str, &str)],
    ) -> BTreeMap<String, String> {
        self.for_role(Role::Consumer, defaults, forced)
    }

    /// The properties of a producer; see [`Self::for_consumer`].
    pub fn for_producer(
        &self,
        defaults: &[(&str, &str)],
        forced: &[(&str, &str)],
    ) -> BTreeMap<String, String> {
        self.for_role(Role::Producer, defaults, forced)
    }

    /// These settings overlaid with another table, such as a subscription's `kafka-settings`. A property for every
    /// client in that table beats the same property for one role here.
    pub fn refined_by(&self, other: &KafkaSettings) -> KafkaSettings {
        let mut refined = self.clone();
        for (name, value) in &other.common {
            for table in [
                &mut refined.common,
                &mut refined.consumer,
                &mut refined.producer,
            ] {
                forget(table, name);
            }
            refined.common.insert(name.clone(), value.clone());
        }
        for (own, others) in [
            (&mut refined.consumer, &other.consumer),
            (&mut refined.producer, &other.producer),
        ] {
            for (name, value) in others {
                forget(own, name);
                own.insert(name.clone(), value.clone());
            }
        }
        refined
    }

    /// Checks names, values and roles of settings that were built in code, as the loader does for files.
    ///
    /// # Errors
    /// The first [`PropertyError`], in the order of the names.
    pub fn check(&self) -> Result<(), PropertyError> {
        for (table, wanted) in [
            (&self.common, Role::Both),
            (&self.consumer, Role::Consumer),
            (&self.producer, Role::Producer),
        ] {
            for (name, value) in table {
                check_for(wanted, name, value)?;
            }
        }
        Ok(())
    }

    /// Name and warning of each property that is allowed but should be reconsidered: those that change the contract,
    /// deprecated ones, and credentials that no security protocol would send.
    pub fn warnings(&self) -> Vec<(String, String)> {
        let mut warnings = Vec::new();
        let all = self
            .common
            .iter()
            .chain(&self.consumer)
            .chain(&self.producer);
        for (name, value) in all {
            let Ok(property) = check_property(name) else {
                continue;
            };
            if let Some(warning) = property_warning(property, value) {
                warnings.push((name.clone(), warning.to_owned()));
            }
            if property.deprecated {
                warnings.push((name.clone(), "it is deprecated by librdkafka".to_owned()));
            }
            if property.canonical == "sasl.mechanisms" && !self.uses_sasl() {
                let warning =
                    "it has no effect without `security.protocol` sasl_ssl or sasl_plaintext";
                warnings.push((name.clone(), warning.to_owned()));
            }
        }
        warnings
    }

    pub(super) fn uses_sasl(&self) -> bool {
        [Role::Consumer, Role::Producer].iter().any(|role| {
            self.get(*role, "security.protocol")
                .is_some_and(|protocol| protocol.to_ascii_lowercase().starts_with("sasl"))
        })
    }

    /// One property's value for a client of that role, under any of its aliases.
    pub fn get(&self, role: Role, name: &str) -> Option<&str> {
        let canonical = canonical_property(name);
        let own = match role {
            Role::Consumer => Some(&self.consumer),
            Role::Producer => Some(&self.producer),
            Role::Both => None,
        };
        own.into_iter().chain([&self.common]).find_map(|table| {
            table
                .iter()
                .find(|(set, _)| canonical_property(set) == canonical)
                .map(|(_, value)| value.as_str())
        })
    }

    fn for_role(
        &self,
        role: Role,
        defaults: &[(&str, &str)],
        forced: &[(&str, &str)],
    ) -> BTreeMap<String, String> {
        let own = match role {
            Role::Consumer => &self.consumer,
            _ => &self.producer,
        };
        let mut properties: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |name: &str, value: &str| {
            properties.insert(canonical_property(name).to_owned(), value.to_owned());
        };
        for (name, value) in defaults {
            set(name, value);
        }
        for (name, value) in self.common.iter().chain(own) {
            if applies(name, role) {
                set(name, value);
            }
        }
        for (name, value) in forced {
            set(name, value);
        }
        super::oidc::take_out(&mut properties);
        find_certificates(&mut properties);
        properties
    }
}

pub(super) fn check_for(wanted: Role, name: &str, value: &str) -> Result<(), PropertyError> {
    let property = check_property(name)?;
    if !property.role.applies_to(wanted) {
        return Err(PropertyError::Role {
            name: name.to_owned(),
            is: property.role,
            wanted,
        });
    }
    property.check_value(value)
}

/// A member's `group.instance.id`: the user's value, then the group and the number of the instance, since Kafka removes
/// the first of two members with the same id.
///
/// ```
/// use kafkaesk_settings::group_instance_id;
/// assert_eq!(group_instance_id("pod-1", "billing", 0), "pod-1-billing-0");
/// ```
pub fn group_instance_id(base: &str, group: &str, instance: usize) -> String {
    format!("{base}-{group}-{instance}")
}

/// A property that is not in the table goes to every client, and librdkafka reports it.
fn applies(name: &str, role: Role) -> bool {
    properties()
        .iter()
        .find(|property| property.name == name)
        .is_none_or(|property| property.role.applies_to(role))
}

fn forget(table: &mut BTreeMap<String, String>, name: &str) {
    let canonical = canonical_property(name);
    table.retain(|set, _| canonical_property(set) != canonical);
}

/// The vendored OpenSSL's own certificate folder does not exist; `probe` looks where the systems keep theirs.
fn find_certificates(properties: &mut BTreeMap<String, String>) {
    let tls = properties
        .get("security.protocol")
        .is_some_and(|protocol| protocol.to_ascii_lowercase().ends_with("ssl"));
    let given = ["ssl.ca.location", "ssl.ca.pem", "ssl.ca.certificate.stores"]
        .iter()
        .any(|name| properties.contains_key(*name));
    if tls && !given {
        properties.insert("ssl.ca.location".into(), "probe".into());
    }
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |table: &BTreeMap<String, String>| -> BTreeMap<String, String> {
            table
                .iter()
                .map(|(name, value)| (name.clone(), shown_property(name, value)))
                .collect()
        };
        f.debug_struct("KafkaSettings")
            .field("common", &shown(&self.common))
            .field("consumer", &shown(&self.consumer))
            .field("producer", &shown(&self.producer))
            .finish()
    }
}

/// A property's value for display: redacts sensitive values, user info in URLs, and the query of a URL property.
pub fn shown_property(name: &str, value: &str) -> String {
    let sensitive = properties()
        .iter()
        .any(|property| property.name == name && property.sensitive);
    if sensitive {
        REDACTED.to_owned()
    } else if name.ends_with(".url") {
        without_secrets(value)
    } else {
        without_user_info(value)
    }
}
