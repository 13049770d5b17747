//! Writes a message as HTTP headers (docs/decisions.md, http-request). A producer's header becomes only
//! `kafkaesk-header-…`, `traceparent` or `tracestate`, so that a producer cannot forge other headers.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafkaesk_core::{Headers, Record, headers, percent, timestamp};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// How many bytes all headers of one request may have together: what common servers take by default. A message
/// beyond it is rejected.
pub(crate) const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Before the name of a record's header.
const RECORD_HEADER: &str = "kafkaesk-header-";

/// The configuration's own headers, checked.
///
/// # Errors
/// Names the header that HTTP does not allow.
pub(crate) fn own_headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in given {
        let key: HeaderName = name
            .parse()
            .map_err(|_| format!("{name:?} is not a valid name of a header"))?;
        if headers::check_user_header(key.as_str()).is_err() {
            return Err(format!(
                "{name:?} is reserved: names that begin with `kafkaesk-` are the message's"
            ));
        }
        let mut value: HeaderValue = value
            .parse()
            .map_err(|_| format!("{name:?} has no valid value: it may hold no line end"))?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

/// The headers of one message. `trace`: what goes on as `traceparent` and `tracestate`, the record's own or that of a
/// span.
///
/// # Errors
/// Why this message can never be posted: its headers exceed [`MAX_HEADER_BYTES`].
pub(crate) fn headers(
    record: &Record,
    trace: &Headers,
    schema: &str,
    group: &str,
    attempt: u32,
) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    let mut bytes = 0;
    let mut add = |name: &str, value: &str| -> Result<(), String> {
        bytes += name.len() + value.len() + 4;
        if bytes > MAX_HEADER_BYTES {
            return Err(format!(
                "the key and headers are larger than {MAX_HEADER_BYTES} bytes as HTTP headers"
            ));
        }
        match (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => {
                map.append(name, value);
                Ok(())
            }
            _ => Err(format!("header {name:?} cannot be sent as an HTTP header")),
        }
    };
    add("kafkaesk-stream", record.stream())?;
    add("kafkaesk-schema", schema)?;
    add("kafkaesk-partition", &record.partition().to_string())?;
    add("kafkaesk-offset", &record.offset.to_string())?;
    add("kafkaesk-group", &percent::encode(group.as_bytes()))?;
    add("kafkaesk-attempt", &attempt.to_string())?;
    if let Some(key) = &record.key {
        add("kafkaesk-key", &percent::encode(key))?;
    }
    if let Some(time) = record.timestamp.and_then(timestamp::format) {
        add("kafkaesk-timestamp", &time)?;
    }
    let trace = printable(trace);
    // A span that goes on with the record's trace stands for it; the handler sees any other trace of the record as a header.
    let goes_on = trace_id(trace).is_some_and(|id| Some(id) == trace_id(&record.headers));
    for (name, value) in trace.iter() {
        add(
            name,
            &String::from_utf8_lossy(value.map_or(&[], |v| &v[..])),
        )?;
    }
    for (name, value) in record.headers.iter() {
        let Some(value) = value else { continue };
        match name {
            headers::ID => add(headers::ID, &percent::encode(value))?,
            headers::TRACEPARENT | headers::TRACESTATE
                if trace.iter().any(|(n, v)| n == name && v == Some(value))
                    || goes_on
                        && (name == headers::TRACESTATE
                            || record.headers.get(name) == Some(value)) => {}
            _ => add(
                &format!("{RECORD_HEADER}{}", percent::encode(name.as_bytes())),
                &percent::encode(value),
            )?,
        }
    }
    Ok(map)
}

/// The trace, as it is. Empty where HTTP cannot carry one of its values; what the record has of it is then an ordinary
/// header.
fn printable(trace: &Headers) -> &Headers {
    static NONE: Headers = Headers::new();
    let is_printable = |value: Option<&Bytes>| {
        value.is_some_and(|value| value.iter().all(|b| matches!(b, 0x20..=0x7e)))
    };
    let can_go = trace.iter().all(|(_, value)| is_printable(value));
    if can_go { trace } else { &NONE }
}

/// The trace id of a `traceparent`: `00-<32 digits>-…`.
fn trace_id(headers: &Headers) -> Option<&str> {
    let (version, rest) = headers.get_str(headers::TRACEPARENT)?.split_once('-')?;
    let (id, _) = rest.split_once('-')?;
    (version.len() == 2 && id.len() == 32).then_some(id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kafkaesk_core::{Offset, Source, TopicPrefix};

    use super::*;

    fn record(headers: &[(&str, Option<&[u8]>)], key: &[u8]) -> Record {
        let stream = kafkaesk_core::StreamId::new("orders.placed").unwrap();
        let topic = TopicPrefix::new("shop.").unwrap().topic(&stream).unwrap();
        let mut list = Headers::new();
        for (name, value) in headers {
            list.push(*name, value.map(Bytes::copy_from_slice));
        }
        Record {
            source: Arc::new(Source {
                topic,
                stream,
                partition: 3,
            }),
            offset: Offset(7),
            timestamp: Some(1_795_514_400_123),
            key: Some(Bytes::copy_from_slice(key)),
            headers: list,
            value: None,
            unreadable: None,
        }
    }

    #[test]
    fn a_producer_cannot_forge_a_header() {
        let record = record(
            &[
                ("authorization", Some(b"Bearer x")),
                ("Kafkaesk-Group", Some(b"other")),
                ("a: b\r\nx", Some(b"1\r\ny: 2")),
                ("traceparent", Some(b"00-ab-cd-01")),
                ("kafkaesk-id", Some(b"e 1")),
            ],
            b"user 7/\xff",
        );
        let map = headers(&record, &record.headers.trace(), "Order:1", "billing", 2).unwrap();
        let get = |name: &str| map.get(name).map(|v| v.to_str().unwrap());
        assert_eq!(get("authorization"), None);
        assert_eq!(get("kafkaesk-header-authorization"), Some("Bearer%20x"));
        assert_eq!(get("kafkaesk-group"), Some("billing"));
        assert_eq!(get("kafkaesk-header-kafkaesk-group"), Some("other"));
        assert_eq!(
            get("kafkaesk-header-a%3a%20b%0d%0ax"),
            Some("1%0D%0Ay%3A%202")
        );
        assert_eq!(get("traceparent"), Some("00-ab-cd-01"));
        assert_eq!(get("kafkaesk-id"), Some("e%201"));
        assert_eq!(get("kafkaesk-key"), Some("user%207%2F%FF"));
        assert_eq!(get("kafkaesk-stream"), Some("orders.placed"));
        assert_eq!(get("kafkaesk-partition"), Some("3"));
        assert_eq!(get("kafkaesk-offset"), Some("7"));
        assert_eq!(get("kafkaesk-attempt"), Some("2"));
        assert_eq!(get("kafkaesk-schema"), Some("Order:1"));
    }

    #[test]
    fn a_request_carries_one_traceparent_and_its_tracestates_or_neither() {
        let of = |headers_: &[(&str, Option<&[u8]>)], name: &str| {
            let record = record(headers_, b"k");
            let map = headers(&record, &record.headers.trace(), "Order:1", "g", 1).unwrap();
            let all = map.get_all(name).into_iter();
            all.map(|v| v.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let (parent, state) = ("traceparent", "tracestate");
        let whole: &[(&str, Option<&[u8]>)] = &[
            (state, Some(b"a=1")),
            (parent, Some(b"00-old")),
            (parent, Some(b"00-new")),
            (state, Some(b"b=2")),
        ];
        assert_eq!(of(whole, parent), ["00-new"]);
        assert_eq!(of(whole, state), ["a=1", "b=2"]);
        assert_eq!(of(whole, "kafkaesk-header-traceparent"), ["00-old"]);
        let alone: &[(&str, Option<&[u8]>)] = &[(state, Some(b"a=1"))];
        assert!(of(alone, state).is_empty());
        assert_eq!(of(alone, "kafkaesk-header-tracestate"), ["a%3D1"]);
        let unprintable: &[(&str, Option<&[u8]>)] =
            &[(parent, Some(b"00\x07")), (state, Some(b"a=1"))];
        assert!(of(unprintable, parent).is_empty() && of(unprintable, state).is_empty());
        assert_eq!(of(unprintable, "kafkaesk-header-traceparent"), ["00%07"]);
    }

    #[test]
    fn a_span_stands_for_the_trace_that_it_goes_on_with_and_beside_any_other() {
        let (of, other) = (
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "0af7651916cd43dd8448eb211c80319c",
        );
        let parent = |trace: &str, span: &str| format!("00-{trace}-{span}-01");
        let record = |parent: &str| {
            let list: [(&str, Option<&[u8]>); 2] = [
                ("tracestate", Some(b"a=1")),
                ("traceparent", Some(parent.as_bytes())),
            ];
            self::record(&list, b"k")
        };
        let mut span = Headers::new();
        let own = parent(of, "00f067aa0ba902b7");
        span.push(headers::TRACEPARENT, Some(own.clone().into()));
        let sent = |record: &Record| headers(record, &span, "Order:1", "g", 1).unwrap();
        let of_record = ["kafkaesk-header-traceparent", "kafkaesk-header-tracestate"];

        let map = sent(&record(&parent(of, "b7ad6b7169203331")));
        assert_eq!(map.get("traceparent").unwrap(), own.as_str());
        assert!(of_record.iter().all(|name| map.get(*name).is_none()));
        assert!(map.get("tracestate").is_none());

        for another in [parent(other, "b7ad6b7169203331"), "garbage".to_owned()] {
            let map = sent(&record(&another));
            assert_eq!(map.get("traceparent").unwrap(), own.as_str());
            assert_eq!(map.get(of_record[0]).unwrap(), another.as_str());
            assert_eq!(map.get(of_record[1]).unwrap(), "a%3D1");
        }
    }

    #[test]
    fn headers_beyond_the_bound_say_so() {
        let large = record(&[("big", Some(&[b'x'; MAX_HEADER_BYTES]))], b"k");
        let error = headers(&large, &Headers::new(), "Order:1", "g", 1).unwrap_err();
        assert!(error.contains("16384 bytes"), "{error}");
    }

    #[test]
    fn the_configurations_headers_cannot_take_the_messages_names() {
        let own = |name: &str| own_headers(&BTreeMap::from([(name.to_owned(), "x".to_owned())]));
        let error = own("Kafkaesk-Key").unwrap_err();
        assert!(error.contains("reserved"), "{error}");
        assert!(own("a b").is_err());
    }
}
