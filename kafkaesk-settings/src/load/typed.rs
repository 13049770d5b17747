//! Types of settings with bounds, for serde: whole numbers, spans of time, texts by name.

use std::{collections::BTreeMap, fmt, marker::PhantomData, time::Duration};

use kafkaesk_core::span::{format_span, parse_span};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<T, const LEAST: i64, const MOST: i64>(pub T);

impl<'de, T: TryFrom<i64>, const LEAST: i64, const MOST: i64> Deserialize<'de>
    for Whole<T, LEAST, MOST>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_i64(Within::<T, LEAST, MOST>(PhantomData))
            .map(Self)
    }
}

struct Within<T, const LEAST: i64, const MOST: i64>(PhantomData<T>);

impl<T: TryFrom<i64>, const LEAST: i64, const MOST: i64> Visitor<'_> for Within<T, LEAST, MOST> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {LEAST} to {MOST}")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let within = (LEAST..=MOST).contains(&number);
        let number_of = T::try_from(number).ok().filter(|_| within);
        number_of.ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }
}

/// A span of time from `LEAST` to `MOST` milliseconds, written as seconds or as text such as `"90s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<const LEAST: u64, const MOST: u64>(pub Duration);

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Span<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self(Duration::ZERO))
    }
}

impl<const LEAST: u64, const MOST: u64> Visitor<'_> for Span<LEAST, MOST> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a span of time from {} to {}, as seconds or with a unit, such as \"90s\"",
            format_span(Duration::from_millis(LEAST)),
            format_span(Duration::from_millis(MOST))
        )
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Self, E> {
        self.visit_str(&seconds.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self, E> {
        let within = Duration::from_millis(LEAST)..=Duration::from_millis(MOST);
        let span = parse_span(text.trim()).ok();
        let span = span.filter(|span| within.contains(span));
        span.map(Self)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Texts by name, such as headers. A number or truth value counts as its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = BTreeMap::<String, Scalar>::deserialize(deserializer)?;
        Ok(Self(
            texts.into_iter().map(|(k, text)| (k, text.0)).collect(),
        ))
    }
}

/// Any single value as text.
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true or false")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }
}
