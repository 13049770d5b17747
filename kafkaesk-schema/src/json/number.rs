//! JSON number: the digits as they were written, and the value.

/// A JSON number as it was written, with its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a> {
    text: &'a str,
    value: Value,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Unsigned(u64),
    Negative(i64),
    /// Written with a fraction or an exponent, or an integer that no 64 bits hold. Infinite only until the parser refuses it.
    Float(f64),
}

impl<'a> Number<'a> {
    /// Takes a text that is a JSON number by grammar.
    pub(crate) fn new(text: &'a str, integer: bool) -> Self {
        let value = if !integer {
            Value::Float(text.parse().unwrap_or(f64::INFINITY))
        } else if let Ok(unsigned) = text.parse() {
            Value::Unsigned(unsigned)
        } else if let Ok(negative) = text.parse() {
            Value::Negative(negative)
        } else {
            Value::Float(text.parse().unwrap_or(f64::INFINITY))
        };
        Self { text, value }
    }

    /// The digits as they were written.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// Whether a double can hold it at all: `1e400` is a number by grammar, but one that readers round, refuse or call infinite.
    pub(crate) fn is_finite(&self) -> bool {
        self.f64().is_finite()
    }

    /// Written with neither fraction nor exponent.
    pub(crate) fn is_written_as_integer(&self) -> bool {
        !self.text.contains(['.', 'e', 'E'])
    }

    pub(crate) fn u64(&self) -> Option<u64> {
        match self.value {
            Value::Unsigned(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn i64(&self) -> Option<i64> {
        match self.value {
            Value::Unsigned(value) => i64::try_from(value).ok(),
            Value::Negative(value) => Some(value),
            Value::Float(_) => None,
        }
    }

    pub(crate) fn f64(&self) -> f64 {
        match self.value {
            Value::Unsigned(value) => value as f64,
            Value::Negative(value) => value as f64,
            Value::Float(value) => value,
        }
    }

    /// As serde_json would have read it.
    pub(crate) fn to_serde(self) -> serde_json::Number {
        match self.value {
            Value::Unsigned(value) => value.into(),
            Value::Negative(value) => value.into(),
            Value::Float(value) => {
                serde_json::Number::from_f64(value).unwrap_or_else(|| 0_u8.into())
            }
        }
    }
}
