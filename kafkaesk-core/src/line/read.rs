//! Line reader: strict, since a misspelt key would silently break the order.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Content, Line, LineError, MAX_HEADERS_BYTES, Timestamps, field};
use crate::{
    Headers, StreamId,
    headers::check_user_header,
    json::{Member, MemberError, Object, items, pointer_token},
    timestamp,
};

/// Every member that a line may have.
const KNOWN: [&str; 13] = [
    "stream",
    "schema",
    "data",
    "tombstone",
    "key",
    "headers",
    "id",
    "partition",
    "offset",
    "timestamp",
    "group",
    "attempt",
    "delivery",
];

impl<'a> Line<'a> {
    /// Reads one line, with or without its line break. Members that only a consumed record has (`partition`, `offset`,
    /// `group`, `attempt`, `delivery`, and `timestamp` unless kept) are allowed and ignored.
    ///
    /// ```
    /// use kafkaesk_core::line::{Content, Line, Timestamps};
    /// let line = br#"{"stream":"orders.placed","schema":"Order:1","key":"user-7","data":{"id": 1.0}}"#;
    /// let line = Line::read(line, Timestamps::Ignore)?;
    /// assert_eq!(line.stream.as_str(), "orders.placed");
    /// assert!(matches!(line.content, Content::Event { data: br#"{"id": 1.0}"#, .. }));
    /// # Ok::<(), kafkaesk_core::line::LineError>(())
    /// ```
    ///
    /// # Errors
    /// [`LineError`]: the first thing wrong in byte order, missing members last.
    pub fn read(line: &'a [u8], timestamps: Timestamps) -> Result<Self, LineError> {
        let mut object = Object::open(line)?;
        let (mut stream, mut schema, mut data, mut tombstone) = (None, None, None, false);
        let (mut key, mut id, mut kept) = (None, None, None);
        let mut headers = Headers::new();
        while let Some(member) = object.next()? {
            let at = member.value_at;
            let beside = |member| Err(LineError::Misplaced { member, at });
            match &*member.name {
                "schema" if tombstone => return beside("schema"),
                "data" if tombstone => return beside("data"),
                "tombstone" if schema.is_some() || data.is_some() => return beside("tombstone"),
                "tombstone" if member.value == "true" => tombstone = true,
                "tombstone" => return Err(MemberError::wrong_type(&member, "`true`").into()),
                "stream" => {
                    let id = StreamId::new(needed_text(&member)?)
                        .map_err(|reason| LineError::Stream { reason, at })?;
                    stream = Some(id);
                }
                "schema" => {
                    let id = needed_text(&member)?
                        .parse()
                        .map_err(|reason| LineError::Schema { reason, at })?;
                    schema = Some(id);
                }
                "data" => data = Some(member.value.as_bytes()),
                "key" => key = field::read(member.value, at, || "/key".to_owned())?,
                "id" => id = MemberError::optional_text(&member)?.map(Cow::into_owned),
                "headers" => headers = read_headers(&member)?,
                "timestamp" if timestamps == Timestamps::Keep => kept = read_timestamp(&member)?,
                "value" => return Err(not_an_event("value", &member)),
                "error" => return Err(not_an_event("error", &member)),
                name if KNOWN.contains(&name) => {}
                _ => return Err(MemberError::unknown(&member, &KNOWN).into()),
            }
        }
        let missing = |member| MemberError::Missing { member };
        let stream = stream.ok_or(missing("stream"))?;
        let content = if tombstone {
            // Without a key it would delete nothing.
            key.as_ref().ok_or(missing("key"))?;
            Content::Tombstone
        } else {
            Content::Event {
                schema: schema.ok_or(missing("schema"))?,
                data: data.ok_or(missing("data"))?,
            }
        };
        Ok(Self {
            stream,
            content,
            key,
            headers,
            id,
            timestamp: kept,
        })
    }
}

fn needed_text<'a>(member: &Member<'a>) -> Result<Cow<'a, str>, LineError> {
    let wrong = || MemberError::wrong_type(member, "a string");
    Ok(member.string()?.ok_or_else(wrong)?)
}

fn not_an_event(name: &'static str, member: &Member<'_>) -> LineError {
    LineError::NotAnEvent {
        member: name,
        at: member.name_at,
        is_null: name == "value" && member.value == "null",
    }
}

fn read_timestamp(member: &Member<'_>) -> Result<Option<i64>, LineError> {
    let Some(text) = MemberError::optional_text(member)? else {
        return Ok(None);
    };
    timestamp::parse(&text)
        .map(Some)
        .ok_or_else(|| LineError::Timestamp {
            text: text.into_owned(),
            at: member.value_at,
        })
}

/// An object: name to bytes, null, or an array of these.
fn read_headers(member: &Member<'_>) -> Result<Headers, LineError> {
    let mut headers = Headers::new();
    if member.value == "null" {
        return Ok(headers);
    }
    if !member.value.starts_with('{') {
        return Err(MemberError::wrong_type(member, "an object").into());
    }
    let by = member.value_at;
    let mut bytes = 0;
    let mut push = |name: &str, value: Option<Bytes>, at| {
        bytes += name.len() + value.as_ref().map_or(0, Bytes::len);
        if bytes > MAX_HEADERS_BYTES {
            return Err(LineError::HeadersTooLarge { at });
        }
        headers.push(name, value);
        Ok(())
    };
    let mut object = Object::open(member.value.as_bytes()).map_err(|e| e.shifted(by))?;
    while let Some(header) = object.next().map_err(|e| e.shifted(by))? {
        check_user_header(&header.name).map_err(|reason| LineError::Header {
            reason,
            at: by + header.name_at,
        })?;
        let pointer = || format!("/headers/{}", pointer_token(&header.name));
        let at = by + header.value_at;
        if !header.value.starts_with('[') {
            push(&header.name, field::read(header.value, at, pointer)?, at)?;
            continue;
        }
        for (i, (item_at, item)) in items(header.value)?.into_iter().enumerate() {
            let value = field::read(item, at + item_at, || format!("{}/{i}", pointer()))?;
            push(&header.name, value, at + item_at)?;
        }
    }
    Ok(headers)
}
