//! The targets: each takes foreign bytes, and panics when a law does not hold. Whatever the bytes are, a parser ends
//! within bounded time and memory, which libFuzzer checks, and what it accepts it accepts again.

use std::sync::Arc;

use bytes::Bytes;
use kafkaesk_client::settings::Loader;
use kafkaesk_core::{
    Answer, Envelope, Headers, Offset, Pattern, Record, SchemaName, Source, StreamId, TopicPrefix,
    line::{self, Content, Line, Timestamps},
};
use kafkaesk_schema::{
    Bindings, Document, LogRecord, SchemaLog, Validator, bundle::bundle, portable::portable,
};

/// Name and function of each.
pub(crate) const ALL: [(&str, fn(&[u8])); 11] = [
    ("envelope", envelope),
    ("line", read_line),
    ("answer", answer),
    ("record", record),
    ("log", log),
    ("document", document),
    ("validate", validate),
    ("expression", expression),
    ("bundle", bundles),
    ("pattern", pattern),
    ("configuration", configuration),
];

/// A record's value.
fn envelope(input: &[u8]) {
    let Ok(read) = Envelope::read(input) else {
        return;
    };
    let id = read.schema_id().expect("a read envelope has a schema id");
    let written = Envelope::write(&id, read.data);
    let again = Envelope::read(&written).expect("what is written is read");
    assert_eq!(again.schema, read.schema);
    assert_eq!(again.data, read.data);
}

/// A line of `publish --ndjson`.
fn read_line(input: &[u8]) {
    let kept = Line::read(input, Timestamps::Keep);
    if kept.is_ok() {
        Line::read(input, Timestamps::Ignore).expect("a kept time is the stricter way");
    }
}

/// What a handler answers.
fn answer(input: &[u8]) {
    let _ = Answer::read(input);
    let _ = Answer::read_line(input);
}

/// A consumed record, written as a line: valid JSON in one line, and the same event when it is read back.
fn record(input: &[u8]) {
    let mut parts = input.split(|byte| *byte == 0);
    let value = parts.next().map(Bytes::copy_from_slice);
    let key = parts.next().map(Bytes::copy_from_slice);
    let mut headers = Headers::new();
    while let Some(name) = parts.next() {
        let value = parts.next().map(Bytes::copy_from_slice);
        headers.push(String::from_utf8_lossy(name).into_owned(), value);
    }
    let stream = StreamId::new("a.stream").expect("a stream id");
    let record = Record {
        source: Arc::new(Source {
            topic: TopicPrefix::default().topic(&stream).expect("a topic"),
            stream,
            partition: 3,
        }),
        offset: Offset(7),
        timestamp: Some(input.len() as i64),
        key: key.clone(),
        headers,
        value: value.clone(),
        unreadable: None,
    };
    let mut written = Vec::new();
    line::write(&mut written, &record, None);
    assert!(!written.contains(&b'\n') && !written.contains(&b'\r'));
    // Its parser has a bound on nesting of its own, which is the same.
    let _: &serde_json::value::RawValue = serde_json::from_slice(&written).expect("a line is JSON");
    if let (Ok(line), Some(Ok(envelope))) = (
        Line::read(&written, Timestamps::Keep),
        value.as_deref().map(Envelope::read),
    ) {
        assert_eq!(line.key, key);
        let Content::Event { schema, data } = line.content else {
            panic!("an event became a tombstone");
        };
        assert_eq!(schema.to_string(), envelope.schema);
        assert_eq!(data.len(), envelope.data.len());
    }
}

/// Records of the logs: key and value by turns.
fn log(input: &[u8]) {
    let name = SchemaName::new("Fuzzed").expect("a schema name");
    let (mut schemas, mut bindings) = (SchemaLog::new(name), Bindings::default());
    let mut parts = input.split(|byte| *byte == 0);
    let mut records = 0;
    while let Some(key) = parts.next() {
        let record = LogRecord {
            offset: records as i64,
            key: Some(Bytes::copy_from_slice(key)),
            value: parts.next().map(Bytes::copy_from_slice),
        };
        schemas.apply(&record);
        bindings.apply(&record);
        records += 1;
    }
    let withdrawn = schemas
        .versions
        .values()
        .filter(|version| version.withdrawn);
    assert_eq!(
        schemas.versions.len()
            + withdrawn.count()
            + schemas.ignored.len()
            + schemas.more_ignored as usize,
        records,
        "each record counts or is ignored"
    );
    let epochs: u64 = bindings.streams.values().map(|binding| binding.epoch).sum();
    assert_eq!(
        epochs as usize + bindings.ignored.len() + bindings.more_ignored as usize,
        records,
        "each record counts or is ignored"
    );
}

/// A schema document, and by it regular expressions and references.
fn document(input: &[u8]) {
    let Ok(document) = Document::parse(Bytes::copy_from_slice(input)) else {
        return;
    };
    let canonical = Document::parse(document.canonical()).expect("a canonical form is a document");
    assert!(canonical.same_as(&document));
    assert_eq!(canonical.identity(), document.identity());
    let _ = Validator::new(&document);
}

/// A schema document and data, apart by a zero.
fn validate(input: &[u8]) {
    let Some(at) = input.iter().position(|byte| *byte == 0) else {
        return;
    };
    let (schema, data) = (&input[..at], &input[at + 1..]);
    let Ok(document) = Document::parse(Bytes::copy_from_slice(schema)) else {
        return;
    };
    let Ok(validator) = Validator::new(&document) else {
        return;
    };
    let first = validator.validate(data).is_ok();
    assert_eq!(first, validator.validate(data).is_ok(), "one verdict");
}

/// A regular expression, as a pattern and as a name, with its look-around rewritten where it has some.
fn expression(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let schema =
        serde_json::json!({"pattern": text, "patternProperties": {text: {"type": "string"}}});
    let document = Document::parse(schema.to_string()).expect("a schema document");
    let data = [r#""aé1-""#, r#"{"a":1,"x-y":""}"#, "null"];
    let verdicts = |document: &Document| {
        let validator = Validator::new(document).ok()?;
        let judge = |data: &str| validator.validate(data.as_bytes()).is_ok();
        Some(data.map(judge))
    };
    let Ok((rewritten, changes)) = portable(&document) else {
        return;
    };
    let (before, after) = (verdicts(&document), verdicts(&rewritten));
    if changes.is_empty() {
        assert_eq!(before, after);
    } else {
        assert!(before.is_none(), "look-around is not taken");
    }
    let again = portable(&rewritten).expect("a portable document");
    assert!(again.1.is_empty(), "it is rewritten once");
}

/// A schema in several files: the input, and parts of it.
fn bundles(input: &[u8]) {
    let part = input.len() / 2;
    let made = bundle("a/0.json", |path| match path.len() % 4 {
        0 => Ok(input.to_vec()),
        1 => Ok(input[..part].to_vec()),
        2 => Ok(input[part..].to_vec()),
        _ => Ok(br##"{"$ref": "0.json", "$defs": {"a": {"$ref": "#"}}}"##.to_vec()),
    });
    let Ok(made) = made else {
        return;
    };
    let again = bundle("a/0.json", |_| Ok(made.document.bytes().to_vec()));
    let again = again.map(|again| again.document.identity());
    assert_eq!(again, Ok(made.document.identity()), "bundled twice");
}

/// Two patterns and a stream id, a line each.
fn pattern(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut lines = text.splitn(3, '\n');
    let (one, other, stream) = (lines.next(), lines.next(), lines.next());
    let (Some(Ok(one)), Some(Ok(other))) = (one.map(Pattern::new), other.map(Pattern::new)) else {
        return;
    };
    let overlap = one.overlaps(&other);
    assert_eq!(overlap, other.overlaps(&one), "overlap has no order");
    if let Some(stream) = stream
        && stream.len() <= 249
        && one.matches(stream)
        && other.matches(stream)
        && StreamId::new(stream).is_ok()
    {
        assert!(overlap, "both match {stream:?}");
    }
}

/// A configuration file.
fn configuration(input: &[u8]) {
    // A reference to a file would read what the fuzzer finds.
    if input.windows(4).any(|window| window == b"file") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kafkaesk.toml");
    std::fs::write(&path, input).expect("a file");
    let none: [(String, String); 0] = [];
    let loaded = Loader::new()
        .config(Some(path))
        .directory(folder.path())
        .variables(none)
        .load();
    if let Err(error) = loaded {
        assert!(!error.to_string().is_empty());
    }
}
