//! The command for the second terminal. It has all options, so that it reaches only the dev broker, from any folder.

use kafkaesk_client::catalog::StreamSpec;
use kafkaesk_core::Pattern;

use super::sample;
use crate::{
    called::{program, quoted},
    configuration::{Configuration, SchemaSource},
};

/// A publish that the dev broker takes; `None` where no schema is known.
pub(super) fn command(
    configuration: &Configuration,
    patterns: &[String],
    sources: &[SchemaSource],
    streams: &[StreamSpec],
    address: &str,
    hides_security: bool,
) -> Option<String> {
    let (source, stream) = target(patterns, sources, streams)?;
    let data = sample::sample(&source.document).unwrap_or_else(|| "…".into());
    let mut words = vec![
        program(),
        "publish".into(),
        stream,
        "--kafka-servers".into(),
        address.into(),
    ];
    let prefix = configuration.settings.topic_prefix.as_str();
    // A configuration in the second terminal's folder must not replace the empty prefix with its own.
    if !prefix.is_empty() || configuration.file.is_some() && found_from_here() {
        words.extend(["--topic-prefix".into(), quoted(prefix)]);
    }
    if hides_security {
        words.extend([
            "--kafka-settings".into(),
            quoted(r#"{"security.protocol":"plaintext"}"#),
        ]);
    }
    words.extend([
        "--schema".into(),
        source.id.to_string(),
        "--data".into(),
        quoted(&data),
    ]);
    Some(words.join(" "))
}

/// A schema and a stream that carries it.
fn target<'a>(
    patterns: &[String],
    sources: &'a [SchemaSource],
    streams: &[StreamSpec],
) -> Option<(&'a SchemaSource, String)> {
    for stream in streams {
        let source = sources
            .iter()
            .rev()
            .find(|source| stream.schema.as_ref() == Some(source.id.name()));
        if let Some(source) = source {
            return Some((source, stream.stream.to_string()));
        }
    }
    let source = sources.first()?;
    let stream = patterns
        .iter()
        .find_map(|pattern| stream_for(pattern))
        .unwrap_or_else(|| "example".into());
    Some((source, stream))
}

/// A stream id that matches a pattern: `orders.*` gives `orders.example`.
fn stream_for(pattern: &str) -> Option<String> {
    let stream = pattern.replace('*', "example").replace('?', "x");
    let matches = Pattern::new(pattern).ok()?.matches(&stream);
    (matches && kafkaesk_core::StreamId::new(&stream).is_ok()).then_some(stream)
}

fn found_from_here() -> bool {
    std::env::current_dir().is_ok_and(|here| {
        here.ancestors()
            .any(|folder| folder.join("kafkaesk.toml").is_file())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_made_from_a_pattern() {
        assert_eq!(stream_for("orders.*").as_deref(), Some("orders.example"));
        assert_eq!(stream_for("a?c").as_deref(), Some("axc"));
        assert_eq!(stream_for("[ab]c"), None);
    }
}
