//! Member errors: what can be wrong with a line or an answer, whose member names are all known.

use thiserror::Error;

use super::{JsonError, Member};

/// A longer name has no suggestion.
const MAX_COMPARED: usize = 64;

/// Why an object's members break the contract.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MemberError {
    /// No JSON object at all.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A member that is not known.
    #[error("member {name:?} at byte {at} is not known{}", hint(.nearest))]
    Unknown {
        /// The name.
        name: String,
        /// Its opening quote.
        at: usize,
        /// The nearest known name, if one is near.
        nearest: Option<&'static str>,
    },
    /// A required member is missing.
    #[error("member `{member}` is missing")]
    Missing {
        /// Which.
        member: &'static str,
    },
    /// A value of the wrong kind.
    #[error("{pointer} at byte {at} is {found}; {expected} was expected")]
    WrongType {
        /// JSON pointer of the value.
        pointer: String,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
        /// Where it begins.
        at: usize,
    },
}

impl MemberError {
    /// The contract's word for this refusal (contract/README.md).
    pub fn class(&self) -> &'static str {
        match self {
            Self::Json(e) => e.class(),
            Self::Unknown { .. } => "unknown-member",
            Self::Missing { .. } => "missing-member",
            Self::WrongType { .. } => "wrong-type",
        }
    }

    /// The byte offset of the mistake; `None` for a missing member.
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::Json(e) => Some(e.at()),
            Self::Missing { .. } => None,
            Self::Unknown { at, .. } | Self::WrongType { at, .. } => Some(*at),
        }
    }

    /// A member outside the known names.
    pub(crate) fn unknown(member: &Member<'_>, known: &[&'static str]) -> Self {
        // No known name is that long, and computing the distance costs the product of both lengths.
        let comparable = member.name.len() <= MAX_COMPARED;
        let given = if comparable {
            member.name.to_ascii_lowercase()
        } else {
            String::new()
        };
        Self::Unknown {
            nearest: known
                .iter()
                .filter(|_| comparable)
                .map(|name| (strsim::osa_distance(&given, name), *name))
                .min()
                .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
                .map(|(_, name)| name),
            name: crate::brief(&member.name).into_owned(),
            at: member.name_at,
        }
    }

    /// A top-level member of the wrong kind.
    pub(crate) fn wrong_type(member: &Member<'_>, expected: &'static str) -> Self {
        Self::WrongType {
            pointer: format!("/{}", pointer_token(&member.name)),
            found: member.kind(),
            expected,
            at: member.value_at,
        }
    }

    /// A top-level member that must be a string; `None` for null.
    pub(crate) fn optional_text<'a>(
        member: &Member<'a>,
    ) -> Result<Option<std::borrow::Cow<'a, str>>, Self> {
        match member.string()? {
            None if member.value == "null" => Ok(None),
            None => Err(Self::wrong_type(member, "a string")),
            text => Ok(text),
        }
    }
}

/// A name as a token of a JSON pointer (RFC 6901).
pub(crate) fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}
