//! envelopes.json

use kafkaesk_core::{Envelope, EnvelopePrefix, SchemaId};

use kafkaesk_vectors::{bytes, every, outcome, same, text};

#[test]
fn every_value_is_read_or_refused_at_its_place() {
    every("envelopes.json", |case| {
        let value = bytes(&case["value"]);
        let read = Envelope::of(value.as_deref()).map_err(|e| (e.class(), e.at()));
        let Some(envelope) = outcome(case, read)? else {
            return Ok(());
        };
        let data = text(case, "data").as_bytes();
        same(&*envelope.schema, text(case, "schema"))?;
        same(envelope.data, data)?;
        if case["write"] == true {
            let id: SchemaId = text(case, "schema").parse().expect("a schema id");
            same(Some(Envelope::write(&id, data)), value)?;
        }
        Ok(())
    });
}

/// Decodes as the fast path's users do: the whole slice, or not at all.
fn decodes(data: &[u8]) -> bool {
    serde_json::from_slice::<&serde_json::value::RawValue>(data).is_ok()
}

#[test]
fn the_fast_path_never_says_otherwise_than_the_slow_one() {
    every("envelopes.json", |case| {
        let Some(value) = bytes(&case["value"]) else {
            return Ok(());
        };
        let schema = case["schema"].as_str().unwrap_or("A:1");
        let prefix = EnvelopePrefix::new(&schema.parse().expect("a schema id"));
        match prefix.strip(&value).filter(|data| decodes(data)) {
            Some(data) => same(Some(data), case["data"].as_str().map(str::as_bytes)),
            None if case["write"] == true => Err("not taken by the fast path".into()),
            None => Ok(()),
        }
    });
}
