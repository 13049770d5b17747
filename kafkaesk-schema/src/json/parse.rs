//! Input: bytes of one JSON value. Output: a [`Node`], or the first mistake with its byte offset.
//!
//! Stricter than RFC 8259: refuses a byte order mark, duplicate keys, lone surrogates and numbers that no double holds,
//! since readers treat these differently. Nesting is bounded, and with it the stack.

use std::borrow::Cow;

use kafkaesk_core::json::{Bracket, JsonError, Lexer, Quoted, Token};

use super::{Member, Node, Number, Object};

/// In a text of more bytes, objects reserve no room for members: an object of 7 bytes would take a hundred times as
/// much.
const LARGE: usize = 1 << 20;

/// The first mistake in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) message: String,
    /// Byte offset.
    pub(crate) at: usize,
}

/// Parses exactly one value of at most `levels` nested arrays and objects.
pub(crate) fn parse(bytes: &[u8], levels: usize) -> Result<Node<'_>, Malformed> {
    parse_measured(bytes, levels).map(|(node, _)| node)
}

/// As [`parse`], with the number of levels that the value has.
pub(crate) fn parse_measured(bytes: &[u8], levels: usize) -> Result<(Node<'_>, usize), Malformed> {
    read(bytes, levels).map_err(|mistake| mistake.in_words(bytes, levels))
}

fn read(bytes: &[u8], levels: usize) -> Result<(Node<'_>, usize), Mistake> {
    let mut parser = Parser {
        lexer: Lexer::new(bytes, levels)?,
        room: if bytes.len() > LARGE { 1 } else { 8 },
    };
    parser.lexer.space();
    let node = parser.value()?;
    parser.lexer.end()?;
    Ok((node, parser.lexer.deepest()))
}

/// A mistake without its message, which needs the text.
enum Mistake {
    Json(JsonError),
    HalfAPair { at: usize },
    TooLarge { at: usize },
    Duplicate { key: String, at: usize },
}

impl From<JsonError> for Mistake {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl Mistake {
    #[cold]
    fn in_words(self, bytes: &[u8], levels: usize) -> Malformed {
        let (message, at) = match self {
            Self::HalfAPair { at } => ("half a surrogate pair in a string".to_owned(), at),
            Self::TooLarge { at } => ("a number that no double holds".to_owned(), at),
            Self::Duplicate { key, at } => {
                (format!("the key {key:?} stands twice in one object"), at)
            }
            Self::Json(error) => (in_words(&error, bytes, levels), error.at()),
        };
        Malformed { message, at }
    }
}

fn in_words(error: &JsonError, bytes: &[u8], levels: usize) -> String {
    match error {
        JsonError::Bom => "a byte order mark before the JSON; write UTF-8 without one".to_owned(),
        JsonError::Utf8 { .. } => "a byte that is not UTF-8".to_owned(),
        JsonError::TooDeep { .. } => format!("nested deeper than {levels} levels"),
        JsonError::Trailing { .. } => "text after the end of the JSON value".to_owned(),
        JsonError::Syntax { at, expected } => {
            let rest = bytes.get(*at..).unwrap_or_default();
            match String::from_utf8_lossy(rest).chars().next() {
                Some(found) => format!("{found:?} where {expected} was expected"),
                None => format!("the text ends where {expected} was expected"),
            }
        }
        other => other.to_string(),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The number of members that an object reserves room for.
    room: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Result<Node<'a>, Mistake> {
        let at = self.lexer.at();
        Ok(match self.lexer.value()? {
            Token::Null => Node::Null,
            Token::Bool(value) => Node::Bool(value),
            Token::String(string) => Node::String(self.text(string)?),
            Token::Number { integer } => {
                let number = Number::new(self.lexer.since(at), integer);
                if !number.is_finite() {
                    return Err(Mistake::TooLarge { at });
                }
                Node::Number(number)
            }
            Token::Open(Bracket::Array) => self.array()?,
            Token::Open(Bracket::Object) => self.object()?,
        })
    }

    fn text(&self, string: Quoted) -> Result<Cow<'a, str>, Mistake> {
        let text = self.lexer.text(string);
        text.map_err(|at| Mistake::HalfAPair { at })
    }

    fn array(&mut self) -> Result<Node<'a>, Mistake> {
        let mut items = Vec::new();
        let mut more = self.lexer.first(Bracket::Array);
        while more {
            items.push(self.value()?);
            more = self.lexer.more(Bracket::Array)?;
        }
        Ok(Node::Array(items))
    }

    fn object(&mut self) -> Result<Node<'a>, Mistake> {
        if !self.lexer.first(Bracket::Object) {
            return Ok(Node::Object(Object::default()));
        }
        let first = self.lexer.clone();
        let mut members = Vec::with_capacity(self.room);
        let mut more = true;
        while more {
            let key = self.lexer.name()?;
            let key = self.text(key)?;
            self.lexer.colon()?;
            let value = self.value()?;
            members.push(Member { key, value });
            more = self.lexer.more(Bracket::Object)?;
        }
        match Object::new(members) {
            Ok(object) => Ok(Node::Object(object)),
            Err((member, key)) => Err(duplicate(first, member, key)),
        }
    }
}

/// Finds the offset of a member by reading its object again; only this error needs it.
#[cold]
fn duplicate(mut lexer: Lexer<'_>, member: usize, key: String) -> Mistake {
    for _ in 0..member {
        let skipped = lexer.name().and_then(|_| lexer.colon());
        let skipped = skipped.and_then(|()| lexer.skip());
        if let Err(error) = skipped.and_then(|()| lexer.more(Bracket::Object)) {
            return error.into();
        }
    }
    Mistake::Duplicate {
        key,
        at: lexer.at(),
    }
}
