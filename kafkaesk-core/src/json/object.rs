//! Object walk: yields the members of one JSON object in order, and refuses a repeated name.

use std::{borrow::Cow, collections::HashSet};

use super::{Bracket, JsonError, Lexer, MAX_DEPTH, Token, kind, string};

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
    /// The value as text; `None` if it is not a string.
    ///
    /// # Errors
    /// [`JsonError::Syntax`] for an escaped surrogate without its other half.
    pub fn string(&self) -> Result<Option<Cow<'a, str>>, JsonError> {
        let Some(inner) = self.value.strip_prefix('"') else {
            return Ok(None);
        };
        let inner = &inner[..inner.len() - 1];
        if !inner.contains('\\') {
            return Ok(Some(Cow::Borrowed(inner)));
        }
        match string::unescape(inner) {
            Ok(text) => Ok(Some(Cow::Owned(text))),
            Err(_) => Err(half_a_pair(self.value_at)),
        }
    }

    /// What kind of value it is, for error texts: "a string", "null", …
    pub fn kind(&self) -> &'static str {
        kind(self.value.as_bytes().first().copied())
    }
}

/// Reads one JSON object, after which nothing may follow.
#[derive(Debug)]
pub struct Object<'a> {
    lexer: Lexer<'a>,
    names: HashSet<Cow<'a, str>>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Enters the object.
    ///
    /// # Errors
    /// [`JsonError`] when the bytes are empty, begin with a byte order mark, are not UTF-8 or not an object.
    pub fn open(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let mut lexer = Lexer::new(bytes, MAX_DEPTH)?;
        lexer.space();
        match lexer.peek() {
            None => return Err(JsonError::Empty),
            Some(b'{') => lexer.value()?,
            first => {
                return Err(JsonError::NotAnObject {
                    at: lexer.at(),
                    found: kind(first),
                });
            }
        };
        Ok(Self {
            lexer,
            names: HashSet::new(),
            first: true,
        })
    }

    /// The next member; `None` when the object is closed and nothing follows it.
    ///
    /// # Errors
    /// [`JsonError`]: the first mistake in byte order. The members that were read before it do not count either.
    #[allow(clippy::should_implement_trait)] // An error must end the walk, which an iterator does not say.
    pub fn next(&mut self) -> Result<Option<Member<'a>>, JsonError> {
        let lexer = &mut self.lexer;
        let more = if std::mem::take(&mut self.first) {
            lexer.first(Bracket::Object)
        } else {
            lexer.more(Bracket::Object)?
        };
        if !more {
            return lexer.end().map(|()| None);
        }
        let name_at = lexer.at();
        let name = lexer.name()?;
        let name = lexer.text(name).map_err(|_| half_a_pair(name_at))?;
        // Typical objects have few names, but a hostile one may have very many.
        if !self.names.insert(name.clone()) {
            return Err(JsonError::Duplicate {
                name: name.into_owned(),
                at: name_at,
            });
        }
        lexer.colon()?;
        let value_at = lexer.at();
        lexer.skip()?;
        Ok(Some(Member {
            name,
            name_at,
            value: lexer.since(value_at),
            value_at,
        }))
    }
}

/// The items of an array that was scanned before, each with its offset in it.
pub(crate) fn items(array: &str) -> Result<Vec<(usize, &str)>, JsonError> {
    let mut lexer = Lexer::over(array, MAX_DEPTH);
    let mut items = Vec::new();
    let mut more = matches!(lexer.value()?, Token::Open(_)) && lexer.first(Bracket::Array);
    while more {
        let at = lexer.at();
        lexer.skip()?;
        items.push((at, lexer.since(at)));
        more = lexer.more(Bracket::Array)?;
    }
    Ok(items)
}

/// The contract reports half a surrogate pair at the string's opening quote.
fn half_a_pair(at: usize) -> JsonError {
    JsonError::Syntax {
        at,
        expected: "a string without unpaired surrogates",
    }
}
