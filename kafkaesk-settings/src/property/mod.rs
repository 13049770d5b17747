//! Input: the name of a librdkafka property. Output: its role, allowed values, alias and sensitivity, or an error that
//! names the option to use instead. Never calls librdkafka.

mod hints;
mod refused;
mod table;
mod value;

#[cfg(test)]
mod tests;

use thiserror::Error;

pub use table::{Property, Role, ValueKind, properties};
pub use value::ValueProblem;

use super::nearest::nearest;

/// Why a property cannot be set in `kafka-settings`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PropertyError {
    /// librdkafka has no such property.
    #[error("unknown librdkafka property `{name}`{}", hint.as_deref().map(|h| format!("; {h}")).unwrap_or_default())]
    Unknown {
        /// As written.
        name: String,
        /// What to do instead, if anything is near.
        hint: Option<String>,
    },
    /// It would break delivery, or kafkaesk sets it itself.
    #[error("property `{name}` cannot be set: {reason}; {remedy}")]
    Refused {
        /// As written.
        name: String,
        /// What it would do.
        reason: &'static str,
        /// The option to use instead.
        remedy: &'static str,
    },
    /// Its value is not among those that librdkafka takes.
    #[error("property `{name}`: {problem}")]
    Value {
        /// As written.
        name: String,
        /// The value (unless it is sensitive) and what is allowed.
        problem: ValueProblem,
    },
    /// A producer's property in the consumers' table, or vice versa.
    #[error(
        "property `{name}` is for {is}s only, it has no effect on a {wanted}; move it to `kafka-settings.{is}`"
    )]
    Role {
        /// As written.
        name: String,
        /// Whose it is.
        is: Role,
        /// Where it was set.
        wanted: Role,
    },
}

/// Looks a property up by name or alias, and refuses those that would break delivery.
///
/// # Errors
/// [`PropertyError::Unknown`] with the nearest known name (aiokafka's and Java's names are known too),
/// [`PropertyError::Refused`] with the option to use instead.
///
/// ```
/// let property = kafkaesk_settings::check_property("fetch.min.bytes")?;
/// assert_eq!(property.range, "1 .. 100000000");
/// let error = kafkaesk_settings::check_property("auto_offset_reset").unwrap_err();
/// assert!(error.to_string().contains("`start`"));
/// # Ok::<(), kafkaesk_settings::PropertyError>(())
/// ```
pub fn check_property(name: &str) -> Result<&'static Property, PropertyError> {
    if let Some((reason, remedy)) = refused::refusal(name) {
        return Err(PropertyError::Refused {
            name: name.to_owned(),
            reason,
            remedy,
        });
    }
    table::find(name).ok_or_else(|| PropertyError::Unknown {
        name: name.to_owned(),
        hint: hint(name),
    })
}

/// The warning for an allowed value that breaks a promise of the contract, if it does.
pub fn property_warning(property: &Property, value: &str) -> Option<&'static str> {
    refused::warning(property.canonical, value)
}

/// The name that a property and its aliases share: `sasl.mechanism` and `sasl.mechanisms` are the same property. A name
/// that librdkafka does not know stays unchanged.
pub fn canonical_property(name: &str) -> &str {
    table::find(name).map_or(name, |property| property.canonical)
}

fn hint(name: &str) -> Option<String> {
    if let Some(hint) = hints::other_clients(name) {
        return Some(hint.to_owned());
    }
    let dotted = name.replace(['_', '-'], ".");
    if dotted != name {
        if let Some((_, remedy)) = refused::refusal(&dotted) {
            return Some(remedy.to_owned());
        }
        if let Some(property) = table::find(&dotted) {
            return Some(format!("librdkafka's name is `{}`", property.name));
        }
    }
    let known = properties().iter().map(|property| property.name);
    nearest(&dotted, known).map(|near| format!("did you mean `{near}`?"))
}
