//! Line writer: the same members in the same order, so that equal records make equal lines.

use std::collections::HashMap;

use bytes::Bytes;

use super::field;
use crate::{Envelope, EnvelopeError, Headers, Record, Unreadable, headers, timestamp};

/// What a handler's line has on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// 1, 2, …
    pub attempt: u32,
    /// Unique for each attempt; the answer names it. `None` for a line that needs no answer.
    pub delivery: Option<&'a str>,
}

/// Up to this many names, a linear search is as fast as a map.
const FEW: usize = 16;

/// Appends a record's line to `out`, without a line break. A null value is a tombstone. Another record without an
/// event, or one that was not read whole, gets `error` and, if the value was read, `value`.
///
/// Carriage returns and line feeds between the tokens of the data become spaces; every other byte of it stays.
/// `timestamp` is left out if there is none, or if RFC 3339 cannot write it (before 1970, after 9999).
pub fn write(out: &mut Vec<u8>, record: &Record, delivery: Option<Delivery<'_>>) {
    let envelope = match &record.unreadable {
        Some(unreadable) => Err(NoEvent::Unreadable(unreadable)),
        None => Envelope::of(record.value.as_deref()).map_err(|error| match error {
            EnvelopeError::Null => NoEvent::Tombstone,
            error => NoEvent::Other(error),
        }),
    };
    out.extend_from_slice(b"{\"stream\":");
    field::string(out, record.stream());
    if let Ok(envelope) = &envelope {
        member(out, "schema");
        field::string(out, &envelope.schema);
    }
    if let Some(key) = &record.key {
        member(out, "key");
        field::write(out, Some(key));
    }
    write_headers(out, &record.headers);
    match &envelope {
        Ok(envelope) => {
            member(out, "data");
            // In valid JSON a raw line break can only stand between tokens.
            out.extend(envelope.data.iter().map(|b| match b {
                b'\r' | b'\n' => b' ',
                other => *other,
            }));
        }
        Err(NoEvent::Tombstone) => out.extend_from_slice(b",\"tombstone\":true"),
        Err(NoEvent::Other(error)) => no_event(out, record, &error.to_string()),
        Err(NoEvent::Unreadable(why)) => no_event(out, record, &why.to_string()),
    }
    number(out, "partition", record.partition());
    number(out, "offset", record.offset);
    if let Some(time) = record.timestamp.and_then(timestamp::format) {
        member(out, "timestamp");
        field::string(out, &time);
    }
    if let Some(delivery) = delivery {
        member(out, "group");
        field::string(out, delivery.group);
        number(out, "attempt", delivery.attempt);
        if let Some(delivery) = delivery.delivery {
            member(out, "delivery");
            field::string(out, delivery);
        }
    }
    out.push(b'}');
}

/// Why a line shows no event.
enum NoEvent<'a> {
    Tombstone,
    Other(EnvelopeError),
    Unreadable(&'a Unreadable),
}

fn no_event(out: &mut Vec<u8>, record: &Record, error: &str) {
    if let Some(value) = &record.value {
        member(out, "value");
        field::base64(out, value);
    }
    member(out, "error");
    field::string(out, error);
}

fn member(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(out: &mut Vec<u8>, name: &str, number: impl ToString) {
    member(out, name);
    out.extend_from_slice(number.to_string().as_bytes());
}

/// `headers`, grouped by name in the order of first appearance, and `id`, which is a header on the wire.
fn write_headers(out: &mut Vec<u8>, all: &Headers) {
    let id = sole_id(all);
    let groups = grouped(
        all.iter()
            .filter(|(name, _)| id.is_none() || *name != headers::ID),
    );
    if !groups.is_empty() {
        member(out, "headers");
        for (i, (name, values)) in groups.iter().enumerate() {
            out.push(if i == 0 { b'{' } else { b',' });
            field::string(out, name);
            out.push(b':');
            if let [value] = values[..] {
                field::write(out, value.map(|v| &v[..]));
                continue;
            }
            for (i, value) in values.iter().enumerate() {
                out.push(if i == 0 { b'[' } else { b',' });
                field::write(out, value.map(|v| &v[..]));
            }
            out.push(b']');
        }
        out.push(b'}');
    }
    if let Some(id) = id {
        member(out, "id");
        field::string(out, id);
    }
}

/// The values of each name, in the order in which the names first appear. A record may have a hundred thousand names.
fn grouped<'h>(
    all: impl Iterator<Item = (&'h str, Option<&'h Bytes>)>,
) -> Vec<(&'h str, Vec<Option<&'h Bytes>>)> {
    let mut groups: Vec<(&str, Vec<Option<&Bytes>>)> = Vec::new();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    for (name, value) in all {
        let number = match groups.len() {
            ..=FEW => groups.iter().position(|(known, _)| *known == name),
            _ => numbers.get(name).copied(),
        };
        match number {
            Some(number) => groups[number].1.push(value),
            None => {
                groups.push((name, vec![value]));
                if groups.len() == FEW + 1 {
                    let known = groups.iter().enumerate();
                    numbers.extend(known.map(|(number, (name, _))| (*name, number)));
                } else if groups.len() > FEW {
                    numbers.insert(name, groups.len() - 1);
                }
            }
        }
    }
    groups
}

/// The event's identity, if there is exactly one and it is text. Otherwise it stays among the headers.
fn sole_id(all: &Headers) -> Option<&str> {
    let count = all.iter().filter(|(name, _)| *name == headers::ID).count();
    (count == 1).then(|| all.id()).flatten()
}
