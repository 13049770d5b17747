//! patterns.json

use kafkaesk_core::{Pattern, pattern::fnmatch};

use kafkaesk_vectors::{every, same, text};

#[test]
fn every_pattern_matches_what_python_matches() {
    every("patterns.json", |case| {
        let pattern = text(case, "pattern");
        let compiled = Pattern::new(pattern);
        if case.get("other").is_some() {
            // A pattern that is refused matches no stream, so it shares none.
            let overlap = match (compiled, Pattern::new(text(case, "other"))) {
                (Ok(a), Ok(b)) => {
                    same(a.overlaps(&b), b.overlaps(&a))?;
                    a.overlaps(&b)
                }
                _ => false,
            };
            return same(Some(overlap), case["overlap"].as_bool());
        }
        let name = text(case, "text");
        same(Some(fnmatch(pattern, name)), case["matches"].as_bool())?;
        // Pattern takes only what can match a stream id; elsewhere fnmatch alone has a meaning.
        match compiled {
            Ok(pattern) => same(Some(pattern.matches(name)), case["stream"].as_bool()),
            Err(_) => same(
                kafkaesk_core::StreamId::new(name).is_ok() && fnmatch(pattern, name),
                false,
            ),
        }
    });
}
