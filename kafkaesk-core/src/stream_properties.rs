//! Stream properties: whether a stream takes keys, and how its partitions grow, as declared and as bound. Pure.

use std::fmt;

/// Whether the events of a stream may have keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// With or without a key.
    #[default]
    Any,
    /// Without a key: a publish with one is refused, so partitions can be added without moving a key.
    None,
}

/// What happens when a stream needs more partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartitionGrowth {
    /// The growth is proposed, with its command; a person decides.
    #[default]
    Propose,
    /// A stream without keys may be grown by a program; any other is proposed.
    Auto,
    /// Nothing is grown and nothing proposed.
    Off,
}

/// A text that is not a value of a property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not one of {known}")]
pub struct PropertyError {
    /// What was given, cut to 300 bytes.
    pub text: String,
    /// The values that there are.
    pub known: &'static str,
}

impl PropertyError {
    fn new(text: &str, known: &'static str) -> Self {
        let text = crate::brief(text).into_owned();
        Self { text, known }
    }
}

impl Keys {
    /// Reads `any` or `none`.
    ///
    /// # Errors
    /// [`PropertyError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        match text {
            "any" => Ok(Self::Any),
            "none" => Ok(Self::None),
            _ => Err(PropertyError::new(text, "\"any\" and \"none\"")),
        }
    }

    /// The text of the setting and of the binding.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::None => "none",
        }
    }
}

impl PartitionGrowth {
    /// Reads `propose`, `auto` or `off`.
    ///
    /// # Errors
    /// [`PropertyError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        match text {
            "propose" => Ok(Self::Propose),
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => Err(PropertyError::new(
                text,
                "\"propose\", \"auto\" and \"off\"",
            )),
        }
    }

    /// The text of the setting and of the binding.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Propose => "propose",
            Self::Auto => "auto",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for PartitionGrowth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The properties that a stream's binding gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamProperties {
    /// Whether its events may have keys.
    pub keys: Keys,
    /// How its partitions grow.
    pub partition_growth: PartitionGrowth,
}

/// The properties that a declaration asks for; what it leaves out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeclaredProperties {
    /// Whether its events may have keys.
    pub keys: Option<Keys>,
    /// How its partitions grow.
    pub partition_growth: Option<PartitionGrowth>,
}

impl DeclaredProperties {
    /// Asks for nothing.
    pub const NONE: Self = Self {
        keys: None,
        partition_growth: None,
    };

    /// The properties of a stream that had these before.
    #[must_use]
    pub fn over(self, before: StreamProperties) -> StreamProperties {
        StreamProperties {
            keys: self.keys.unwrap_or(before.keys),
            partition_growth: self.partition_growth.unwrap_or(before.partition_growth),
        }
    }

    /// What it changes of a stream that had these before: the property, its value now, the value declared.
    pub fn changes(
        self,
        before: StreamProperties,
    ) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let after = self.over(before);
        let (growth, wanted) = (before.partition_growth, after.partition_growth);
        [
            ("keys", before.keys.as_str(), after.keys.as_str()),
            ("partition-growth", growth.as_str(), wanted.as_str()),
        ]
        .into_iter()
        .filter(|(_, before, after)| before != after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_is_written_and_no_other_text_is() {
        for keys in [Keys::Any, Keys::None] {
            assert_eq!(Keys::parse(keys.as_str()), Ok(keys));
        }
        for growth in [
            PartitionGrowth::Propose,
            PartitionGrowth::Auto,
            PartitionGrowth::Off,
        ] {
            assert_eq!(PartitionGrowth::parse(growth.as_str()), Ok(growth));
        }
        assert_eq!(
            Keys::parse("None").unwrap_err().to_string(),
            "\"None\" is not one of \"any\" and \"none\""
        );
        assert!(PartitionGrowth::parse("").is_err());
    }

    #[test]
    fn what_a_declaration_leaves_out_stays_as_it_is() {
        let before = StreamProperties {
            keys: Keys::None,
            partition_growth: PartitionGrowth::Off,
        };
        assert_eq!(DeclaredProperties::NONE.over(before), before);
        assert_eq!(DeclaredProperties::NONE.changes(before).count(), 0);
        let declared = DeclaredProperties {
            keys: Some(Keys::None),
            partition_growth: Some(PartitionGrowth::Auto),
        };
        let changes: Vec<_> = declared.changes(before).collect();
        assert_eq!(changes, [("partition-growth", "off", "auto")]);
        assert_eq!(declared.over(before).keys, Keys::None);
    }
}
