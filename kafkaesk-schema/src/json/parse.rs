//! The parser: bytes of one JSON value in, a [`Node`] or the first mistake with its byte offset out.
//!
//! Exactly RFC 8259, and refuses what two readers could understand differently: a byte order mark,
//! duplicate keys, lone surrogates, numbers that no double holds. Nesting is bounded, so the stack is.

use super::{Member, Node, Number, Object};

/// In a text of more bytes no object gets room ahead of its members: one in seven bytes would take a hundred for each.
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

/// As [`parse`], and how many levels the value really has.
pub(crate) fn parse_measured(bytes: &[u8], levels: usize) -> Result<(Node<'_>, usize), Malformed> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(Malformed {
            message: "a byte order mark stands before the JSON; write UTF-8 without one".to_owned(),
            at: 0,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Malformed {
        message: "a byte that is no UTF-8".to_owned(),
        at: error.valid_up_to(),
    })?;
    let mut parser = Parser {
        text,
        bytes: text.as_bytes(),
        at: 0,
        levels,
        left: levels,
        least: levels,
    };
    parser.space();
    let node = parser.value()?;
    parser.space();
    if parser.at < parser.bytes.len() {
        return Err(parser.refuse("text behind the end of the JSON value"));
    }
    Ok((node, levels - parser.least))
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    /// Where it reads next.
    pub(super) at: usize,
    levels: usize,
    /// Levels that may still be opened.
    left: usize,
    /// The least that `left` ever was.
    least: usize,
}

impl<'a> Parser<'a> {
    #[cold]
    pub(super) fn refuse(&self, message: impl Into<String>) -> Malformed {
        self.refuse_at(self.at, message)
    }

    #[cold]
    pub(super) fn refuse_at(&self, at: usize, message: impl Into<String>) -> Malformed {
        Malformed {
            message: message.into(),
            at,
        }
    }

    #[cold]
    pub(super) fn unexpected(&self, wanted: &str) -> Malformed {
        match self
            .text
            .get(self.at..)
            .and_then(|rest| rest.chars().next())
        {
            Some(character) => self.refuse(format!("{character:?} where {wanted} should stand")),
            None => self.refuse(format!("the text ends where {wanted} should stand")),
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Node<'a>, Malformed> {
        match self.peek() {
            Some(b'"') => Ok(Node::String(self.string()?)),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(b'n') => self.word("null", Node::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn word(&mut self, word: &str, node: Node<'a>) -> Result<Node<'a>, Malformed> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(node)
    }

    fn open(&mut self) -> Result<(), Malformed> {
        if self.left == 0 {
            return Err(self.refuse(format!("nested deeper than {} levels", self.levels)));
        }
        self.left -= 1;
        self.least = self.least.min(self.left);
        self.at += 1;
        self.space();
        Ok(())
    }

    fn close(&mut self) {
        self.left += 1;
        self.at += 1;
    }

    fn array(&mut self) -> Result<Node<'a>, Malformed> {
        self.open()?;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.close();
            return Ok(Node::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(b']') => {
                    self.close();
                    return Ok(Node::Array(items));
                }
                _ => return Err(self.unexpected("`,` or `]`")),
            }
        }
    }

    fn object(&mut self) -> Result<Node<'a>, Malformed> {
        let start = self.at;
        self.open()?;
        if self.peek() == Some(b'}') {
            self.close();
            return Ok(Node::Object(Object::default()));
        }
        let ahead = if self.bytes.len() > LARGE { 1 } else { 8 };
        let mut members = Vec::with_capacity(ahead);
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in quotes"));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("`:`"));
            }
            self.at += 1;
            self.space();
            let value = self.value()?;
            members.push(Member { key, value });
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(b'}') => {
                    self.close();
                    break;
                }
                _ => return Err(self.unexpected("`,` or `}`")),
            }
        }
        match Object::new(members) {
            Ok(object) => Ok(Node::Object(object)),
            Err(member) => Err(self.duplicate(start, member)),
        }
    }

    /// Reads the object at `start` again up to its member: its offset is only needed here.
    #[cold]
    fn duplicate(&mut self, start: usize, member: usize) -> Malformed {
        (self.at, self.left) = (start + 1, self.left - 1);
        self.space();
        for _ in 0..member {
            let skipped = self.string().and_then(|_| {
                self.space();
                self.at += 1;
                self.space();
                self.value()
            });
            if let Err(malformed) = skipped {
                return malformed;
            }
            self.space();
            self.at += 1;
            self.space();
        }
        let at = self.at;
        match self.string() {
            Ok(key) => self.refuse_at(at, format!("the key {key:?} stands twice in one object")),
            Err(malformed) => malformed,
        }
    }

    fn number(&mut self) -> Result<Node<'a>, Malformed> {
        let start = self.at;
        let mut integer = true;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.unexpected("a digit")),
        }
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let number = Number::new(&self.text[start..self.at], integer);
        if !number.is_finite() {
            return Err(self.refuse_at(start, "a number that no double holds"));
        }
        Ok(Node::Number(number))
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }
}
