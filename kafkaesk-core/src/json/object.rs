//! Walks the members of one outermost object in their order, refusing a name that stands twice.

use std::{borrow::Cow, collections::HashSet};

use super::{JsonError, kind, scan::Scanner};

/// One member of the outermost object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The name, unescaped.
    pub name: Cow<'a, str>,
    /// Where its opening quote stands.
    pub name_at: usize,
    /// The value's text, without the white space around it.
    pub value: &'a str,
    /// Where the value begins.
    pub value_at: usize,
}

impl<'a> Member<'a> {
    /// The value as text; `None` if it is no string.
    ///
    /// # Errors
    /// [`JsonError::Syntax`] for an escaped surrogate without its other half, which is no character.
    pub fn string(&self) -> Result<Option<Cow<'a, str>>, JsonError> {
        if !self.value.starts_with('"') {
            return Ok(None);
        }
        unescape(self.value, self.value_at).map(Some)
    }

    /// What kind of value it is, for error texts: "a string", "null", …
    pub fn kind(&self) -> &'static str {
        kind(self.value.as_bytes().first().copied())
    }
}

/// Reads one JSON object and nothing behind it.
#[derive(Debug)]
pub struct Object<'a> {
    scanner: Scanner<'a>,
    names: HashSet<Cow<'a, str>>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Enters the object.
    ///
    /// # Errors
    /// [`JsonError`] when the bytes are empty, have a byte order mark, are not UTF-8 or no object.
    pub fn open(bytes: &'a [u8]) -> Result<Self, JsonError> {
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(JsonError::Bom);
        }
        let text = std::str::from_utf8(bytes).map_err(|e| JsonError::Utf8 {
            at: e.valid_up_to(),
        })?;
        let mut scanner = Scanner::new(text);
        scanner.space();
        match scanner.peek() {
            None => return Err(JsonError::Empty),
            Some(b'{') => scanner.enter(true)?,
            first => {
                return Err(JsonError::NotAnObject {
                    at: scanner.at(),
                    found: kind(first),
                });
            }
        }
        Ok(Self {
            scanner,
            names: HashSet::new(),
            first: true,
        })
    }

    /// The next member; `None` when the object is closed and nothing follows it.
    ///
    /// # Errors
    /// [`JsonError`]: the first thing wrong in byte order. What was read before it is then worth nothing.
    #[allow(clippy::should_implement_trait)] // An error must end the walk, which an iterator does not say.
    pub fn next(&mut self) -> Result<Option<Member<'a>>, JsonError> {
        let scanner = &mut self.scanner;
        scanner.space();
        match (scanner.peek(), self.first) {
            (Some(b'}'), _) => {
                scanner.step();
                scanner.space();
                return match scanner.peek() {
                    None => Ok(None),
                    Some(_) => Err(JsonError::Trailing { at: scanner.at() }),
                };
            }
            (_, true) => self.first = false,
            (Some(b','), false) => {
                scanner.step();
                scanner.space();
            }
            (_, false) => return Err(scanner.expected("`,` or `}`")),
        }
        let name_at = scanner.at();
        if scanner.peek() != Some(b'"') {
            return Err(scanner.expected("a member name"));
        }
        scanner.string()?;
        let name = unescape(scanner.since(name_at), name_at)?;
        // Typical objects have a handful of names, but nothing says that a hostile one must.
        if !self.names.insert(name.clone()) {
            return Err(JsonError::Duplicate {
                name: name.into_owned(),
                at: name_at,
            });
        }
        scanner.space();
        if scanner.peek() != Some(b':') {
            return Err(scanner.expected("`:`"));
        }
        scanner.step();
        scanner.space();
        let value_at = scanner.at();
        scanner.value()?;
        Ok(Some(Member {
            name,
            name_at,
            value: scanner.since(value_at),
            value_at,
        }))
    }
}

/// The items of an array that was scanned before, each with its offset in it.
pub(crate) fn items(array: &str) -> Result<Vec<(usize, &str)>, JsonError> {
    let mut scanner = Scanner::new(array);
    scanner.enter(false)?;
    let mut items = Vec::new();
    loop {
        scanner.space();
        match scanner.peek() {
            Some(b']') => return Ok(items),
            Some(b',') => scanner.step(),
            _ => {
                let at = scanner.at();
                scanner.value()?;
                items.push((at, scanner.since(at)));
            }
        }
    }
}

/// The text of a string token, quotes included; borrowed when it has no escapes.
fn unescape(token: &str, at: usize) -> Result<Cow<'_, str>, JsonError> {
    let inner = &token[1..token.len() - 1];
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(token)
        .map(Cow::Owned)
        .map_err(|_| JsonError::Syntax {
            at,
            expected: "a string without unpaired surrogates",
        })
}
