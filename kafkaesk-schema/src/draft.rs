//! Draft. Input: `$schema`. Output: one of the five known drafts, or an error with a hint. Never guesses.

use jsonschema::Draft;
use serde_json::Value;

use crate::{DocumentError, json::push_segment};

/// A draft as people know it, and the `$schema` that names it.
pub(crate) struct Named {
    pub(crate) draft: Draft,
    pub(crate) name: &'static str,
    pub(crate) uri: &'static str,
}

/// The drafts, the most likely one for a document without `$schema` first.
pub(crate) const DRAFTS: [Named; 5] = [
    Named {
        draft: Draft::Draft202012,
        name: "2020-12",
        uri: "https://json-schema.org/draft/2020-12/schema",
    },
    Named {
        draft: Draft::Draft7,
        name: "7",
        uri: "http://json-schema.org/draft-07/schema#",
    },
    Named {
        draft: Draft::Draft4,
        name: "4",
        uri: "http://json-schema.org/draft-04/schema#",
    },
    Named {
        draft: Draft::Draft201909,
        name: "2019-09",
        uri: "https://json-schema.org/draft/2019-09/schema",
    },
    Named {
        draft: Draft::Draft6,
        name: "6",
        uri: "http://json-schema.org/draft-06/schema#",
    },
];

/// The draft of a whole document: by `$schema`, 2020-12 without one.
pub(crate) fn of(document: &Value) -> Result<Draft, DocumentError> {
    match document.get("$schema") {
        Some(dialect) => of_uri(dialect, ""),
        None => Ok(Draft::Draft202012),
    }
}

/// The draft that the `$schema` of the schema at `pointer` names.
pub(crate) fn of_uri(dialect: &Value, pointer: &str) -> Result<Draft, DocumentError> {
    let without_fragment = |uri: &'_ str| uri.strip_suffix('#').unwrap_or(uri).to_owned();
    let written = dialect.as_str().map(without_fragment);
    let known = DRAFTS
        .iter()
        .find(|known| written.as_deref() == Some(&without_fragment(known.uri)));
    known.map(|known| known.draft).ok_or_else(|| {
        let mut at = pointer.to_owned();
        push_segment(&mut at, "$schema");
        let hint = match dialect.as_str().and_then(meant) {
            Some(meant) => format!("write {:?}", meant.uri),
            None => format!(
                "use draft 4, 6, 7, 2019-09 or 2020-12, such as {:?}",
                DRAFTS[0].uri
            ),
        };
        let mut dialect = dialect.to_string();
        crate::bounded(&mut dialect, 120);
        DocumentError::UnknownDialect {
            pointer: at,
            dialect,
            hint,
        }
    })
}

/// The draft that a misspelt `$schema` means: `https` for `http`, another case, a slash too many, `draft7`.
fn meant(dialect: &str) -> Option<&'static Named> {
    let letters = |text: &str| -> String {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    let written = letters(dialect);
    if !written.contains("schema") {
        return None;
    }
    DRAFTS.iter().find(|known| {
        let number = letters(known.name);
        let is = |word: String| {
            written.match_indices(&word).any(|(at, _)| {
                !written[at + word.len()..].starts_with(|c: char| c.is_ascii_digit())
            })
        };
        is(format!("draft{number}"))
            || is(format!("draft0{number}"))
            || number.len() > 1 && is(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_schema_is_answered_with_the_right_spelling() {
        for (written, name) in [
            ("https://json-schema.org/draft-07/schema#", Some("7")),
            ("https://json-schema.org/draft-07/schema", Some("7")),
            ("http://json-schema.org/draft-07/schema/", Some("7")),
            ("http://json-schema.org/draft-07/schema#/", Some("7")),
            ("http://json-schema.org/draft-7/schema#", Some("7")),
            ("http://json-schema.org/draft/07/schema", Some("7")),
            ("http://JSON-Schema.org/Draft-07/Schema#", Some("7")),
            ("json-schema.org/draft-07/schema", Some("7")),
            ("http://www.json-schema.org/draft-07/schema#", Some("7")),
            ("https://json-schema.org/draft-04/schema#", Some("4")),
            ("http://json-schema.org/draft-06/hyper-schema#", Some("6")),
            (
                "http://json-schema.org/draft/2019-09/schema",
                Some("2019-09"),
            ),
            (
                "http://json-schema.org/draft/2020-12/schema#",
                Some("2020-12"),
            ),
            (
                "https://json-schema.org/draft-2020-12/schema",
                Some("2020-12"),
            ),
            ("http://json-schema.org/draft-03/schema#", None),
            ("http://json-schema.org/draft-08/schema#", None),
            ("http://json-schema.org/schema#", None),
            ("https://example.com/mine", None),
        ] {
            assert_eq!(meant(written).map(|it| it.name), name, "{written}");
        }
    }
}
