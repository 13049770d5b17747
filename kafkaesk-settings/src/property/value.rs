//! Input: a property and a text. Output: whether librdkafka accepts the text. Never quotes a sensitive value.

use std::fmt;

use super::{Property, PropertyError, ValueKind};

/// What is wrong with a value, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueProblem {
    /// The value, quoted; `None` when it must not be shown.
    pub value: Option<String>,
    /// What is allowed.
    pub expected: String,
}

impl fmt::Display for ValueProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{value:?} is not {}", self.expected),
            None => write!(f, "the value is not {}", self.expected),
        }
    }
}

impl Property {
    /// Whether librdkafka would take this text.
    ///
    /// # Errors
    /// [`PropertyError::Value`] names the value (unless the property is sensitive) and what is allowed.
    pub fn check_value(&self, value: &str) -> Result<(), PropertyError> {
        if self.accepts(value) {
            return Ok(());
        }
        Err(PropertyError::Value {
            name: self.name.to_owned(),
            problem: ValueProblem {
                value: (!self.sensitive).then(|| value.to_owned()),
                expected: self.expected(),
            },
        })
    }

    fn accepts(&self, value: &str) -> bool {
        match self.kind {
            ValueKind::Text => !value.contains('\0'),
            // librdkafka accepts `all` for acks=-1, but its documented range does not contain it.
            ValueKind::Integer if self.canonical == "request.required.acks" && value == "all" => {
                true
            }
            ValueKind::Integer => value
                .parse::<i64>()
                .is_ok_and(|number| self.in_range(number as f64)),
            ValueKind::Float => value
                .parse::<f64>()
                .is_ok_and(|number| self.in_range(number)),
            ValueKind::Boolean => matches!(value, "true" | "false" | "t" | "f" | "1" | "0"),
            ValueKind::Choice => self.has_word(value),
            ValueKind::Flags => {
                self.range.is_empty() || value.split(',').all(|word| self.has_word(word.trim()))
            }
            ValueKind::Callback => false,
        }
    }

    fn expected(&self) -> String {
        match self.kind {
            ValueKind::Text => "text without NUL".to_owned(),
            ValueKind::Integer => format!("a whole number in {}", self.range),
            ValueKind::Float => format!("a number in {}", self.range),
            ValueKind::Boolean => "true or false".to_owned(),
            ValueKind::Choice => format!("one of {}", self.range),
            ValueKind::Flags => format!("a comma-separated list of {}", self.range),
            ValueKind::Callback => "settable as text".to_owned(),
        }
    }

    fn has_word(&self, value: &str) -> bool {
        self.range
            .split(',')
            .any(|word| word.trim().eq_ignore_ascii_case(value))
    }

    fn in_range(&self, number: f64) -> bool {
        let Some((low, high)) = self.range.split_once(" .. ") else {
            return true;
        };
        let low: f64 = low.trim().parse().unwrap_or(f64::NEG_INFINITY);
        let high: f64 = high.trim().parse().unwrap_or(f64::INFINITY);
        (low..=high).contains(&number)
    }
}
