//! Concurrency: reads `concurrency` of a subscription: a number, `"auto"`, or bounds.

use std::fmt;

use kafkaesk_client::settings::Whole;
use kafkaesk_worker::Concurrency;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};

const MOST: i64 = Concurrency::MOST as i64;

/// As it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handlers(pub(super) Concurrency);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    min: Option<Whole<u32, 1, MOST>>,
    max: Option<Whole<u32, 1, MOST>>,
}

impl<'de> Deserialize<'de> for Handlers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written).map(Self)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Concurrency;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a whole number from 1 to {MOST}, \"auto\", or bounds such as {{ min = 1, max = 64 }}"
        )
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Concurrency, E> {
        let handlers = u32::try_from(number).ok();
        handlers
            .filter(|handlers| (1..=Concurrency::MOST).contains(handlers))
            .map(Concurrency::Fixed)
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Concurrency, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Concurrency, E> {
        match text {
            "auto" => Ok(Concurrency::AUTO),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Concurrency, A::Error> {
        let bounds = Bounds::deserialize(MapAccessDeserializer::new(map))?;
        let min = bounds.min.map_or(1, |Whole(min)| min);
        let most = Concurrency::AUTO_MOST.max(min);
        let max = bounds.max.map_or(most, |Whole(max)| max);
        if min > max {
            return Err(A::Error::custom(format!(
                "min is {min} and max is {max}; the smaller one must be min"
            )));
        }
        Ok(Concurrency::Between { min, max })
    }
}
