//! Shim until core's line is there.
#![allow(missing_docs, dead_code)]
use kafkaesk_core::{Headers, Record};
pub(crate) struct Attempt<'a> {
    pub(crate) group: &'a str,
    pub(crate) attempt: u32,
    pub(crate) delivery: Option<&'a str>,
}
pub(crate) fn format_timestamp(ms: i64) -> String {
    ms.to_string()
}
pub(crate) fn write(record: &Record, attempt: Option<&Attempt<'_>>) -> Vec<u8> {
    let mut out = serde_json::Map::new();
    out.insert("stream".into(), record.stream().into());
    if let Some(key) = &record.key {
        out.insert("key".into(), String::from_utf8_lossy(key).into());
    }
    out.insert("partition".into(), record.partition().into());
    out.insert("offset".into(), record.offset.0.into());
    let mut data = Vec::new();
    if let Ok(e) = kafkaesk_core::Envelope::read(record.value()) {
        out.insert("schema".into(), e.schema.as_ref().into());
        data = e.data.to_vec();
    }
    if let Some(a) = attempt {
        out.insert("group".into(), a.group.into());
        out.insert("attempt".into(), a.attempt.into());
        if let Some(d) = a.delivery {
            out.insert("delivery".into(), d.into());
        }
    }
    let mut text = serde_json::to_vec(&out).unwrap_or_default();
    text.pop();
    text.extend_from_slice(b",\"data\":");
    text.extend(data);
    text.push(b'}');
    text
}
pub(crate) struct Parsed {
    pub(crate) stream: String,
    pub(crate) schema: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Headers,
    pub(crate) id: Option<String>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) data: Vec<u8>,
}
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    #[derive(serde::Deserialize)]
    struct L {
        stream: String,
        schema: String,
        key: Option<String>,
        data: Box<serde_json::value::RawValue>,
    }
    let l: L = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    Ok(Parsed {
        stream: l.stream,
        schema: l.schema,
        key: l.key.map(String::into_bytes),
        headers: Headers::new(),
        id: None,
        timestamp: None,
        data: l.data.get().as_bytes().to_vec(),
    })
}
