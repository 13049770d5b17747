//! The JSON lexer: the grammar of RFC 8259, one token at a time, each with its byte offset.
//!
//! Builds no values, copies no text, never recurses. Its callers decide what a token becomes: [`Object`](super::Object)
//! finds members, and `kafkaesk-schema` builds a tree.

use std::borrow::Cow;

use super::{
    JsonError, MAX_DEPTH,
    string::{plain, unescape},
};

/// The kind of a value. The lexer has read the whole value; of an array or object only the opening bracket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; its digits are [`Lexer::since`] its start.
    Number {
        /// Written with neither fraction nor exponent.
        integer: bool,
    },
    /// A string; its text is [`Lexer::text`].
    String(Quoted),
    /// An array or object; [`Lexer::first`] and [`Lexer::more`] go through its items.
    Open(Bracket),
}

/// Array or object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bracket {
    /// `[`
    Array,
    /// `{`
    Object,
}

/// A string's place in the text, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    start: usize,
    end: usize,
    escaped: bool,
}

/// A position in a text of UTF-8.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    deepest: usize,
    limit: usize,
}

impl<'a> Lexer<'a> {
    /// Starts at the first byte. At most `limit` levels of arrays and objects may be open, and never more than
    /// [`MAX_DEPTH`].
    ///
    /// # Errors
    /// [`JsonError::Bom`], [`JsonError::Utf8`].
    pub fn new(bytes: &'a [u8], limit: usize) -> Result<Self, JsonError> {
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(JsonError::Bom);
        }
        let text = std::str::from_utf8(bytes).map_err(|e| JsonError::Utf8 {
            at: e.valid_up_to(),
        })?;
        let limit = limit.min(MAX_DEPTH);
        Ok(Self::over(text, limit))
    }

    pub(super) fn over(text: &'a str, limit: usize) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            deepest: 0,
            limit,
        }
    }

    /// The byte offset of the next token.
    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    /// The most levels that were open at once.
    pub fn deepest(&self) -> usize {
        self.deepest
    }

    /// The text from `start` to here.
    #[inline]
    pub fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// The text of a string, unescaped; borrowed when it has no escapes.
    ///
    /// # Errors
    /// The byte offset of an escape that is half a surrogate pair.
    #[inline]
    pub fn text(&self, string: Quoted) -> Result<Cow<'a, str>, usize> {
        let inner = &self.text[string.start..string.end];
        if !string.escaped {
            return Ok(Cow::Borrowed(inner));
        }
        unescape(inner)
            .map(Cow::Owned)
            .map_err(|at| string.start + at)
    }

    /// The next byte.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Moves over white space.
    #[inline]
    pub fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Reads the value that begins here, or the opening bracket of one.
    ///
    /// # Errors
    /// [`JsonError::Syntax`], [`JsonError::TooDeep`].
    #[inline]
    pub fn value(&mut self) -> Result<Token, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(Token::String),
            Some(b'{') => self.open(Bracket::Object),
            Some(b'[') => self.open(Bracket::Array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Token::Bool(true)),
            Some(b'f') => self.literal("false", Token::Bool(false)),
            Some(b'n') => self.literal("null", Token::Null),
            _ => Err(self.expected("a value")),
        }
    }

    /// Moves over the value that begins here.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn skip(&mut self) -> Result<(), JsonError> {
        // One bit for each bracket that is open inside, the innermost lowest. MAX_DEPTH of them fit.
        let (mut open, outside) = (0_u128, self.depth);
        let innermost = |open: u128| match open & 1 {
            0 => Bracket::Array,
            _ => Bracket::Object,
        };
        loop {
            let mut more = match self.value()? {
                Token::Open(bracket) => {
                    open = open << 1 | u128::from(bracket == Bracket::Object);
                    self.first(bracket)
                }
                _ if self.depth == outside => return Ok(()),
                _ => self.more(innermost(open))?,
            };
            while !more {
                open >>= 1;
                if self.depth == outside {
                    return Ok(());
                }
                more = self.more(innermost(open))?;
            }
            if innermost(open) == Bracket::Object {
                self.name()?;
                self.colon()?;
            }
        }
    }

    /// Moves to the first item of an array or object that was just opened, or over its end. Returns whether it has one.
    #[inline]
    pub fn first(&mut self, bracket: Bracket) -> bool {
        self.space();
        let empty = self.peek() == Some(bracket.end());
        if empty {
            self.close();
        }
        !empty
    }

    /// Moves from the end of an item to the next one, or over the end of the array or object. Returns whether there is
    /// a next one.
    ///
    /// # Errors
    /// [`JsonError::Syntax`].
    #[inline]
    pub fn more(&mut self, bracket: Bracket) -> Result<bool, JsonError> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.space();
                Ok(true)
            }
            Some(end) if end == bracket.end() => {
                self.close();
                Ok(false)
            }
            _ => Err(self.expected(match bracket {
                Bracket::Array => "`,` or `]`",
                Bracket::Object => "`,` or `}`",
            })),
        }
    }

    /// Reads a member's name.
    ///
    /// # Errors
    /// [`JsonError::Syntax`].
    #[inline]
    pub fn name(&mut self) -> Result<Quoted, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a member name in quotes"));
        }
        self.string()
    }

    /// Moves from the end of a member's name to its value.
    ///
    /// # Errors
    /// [`JsonError::Syntax`].
    #[inline]
    pub fn colon(&mut self) -> Result<(), JsonError> {
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Checks that nothing but white space follows.
    ///
    /// # Errors
    /// [`JsonError::Trailing`].
    pub fn end(&mut self) -> Result<(), JsonError> {
        self.space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(JsonError::Trailing { at: self.at }),
        }
    }

    #[cold]
    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax {
            at: self.at,
            expected,
        }
    }

    #[inline]
    fn open(&mut self, bracket: Bracket) -> Result<Token, JsonError> {
        if self.depth == self.limit {
            return Err(JsonError::TooDeep { at: self.at });
        }
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        self.at += 1;
        Ok(Token::Open(bracket))
    }

    #[inline]
    fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    // Always inlined: a call for each string made validation slower than its benchmark allows.
    #[inline(always)]
    fn string(&mut self) -> Result<Quoted, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(Quoted {
                        start,
                        end,
                        escaped,
                    });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.expected("an escape in place of a control character")),
                None => return Err(self.expected("`\"`")),
            }
        }
    }

    #[inline(never)]
    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|b| b.is_ascii_hexdigit()) {
                        return Err(self.expected("a hexadecimal digit"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.expected("an escape character")),
        }
        Ok(())
    }

    #[inline]
    fn literal(&mut self, word: &'static str, token: Token) -> Result<Token, JsonError> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(token);
        }
        let matching = rest.iter().zip(word.bytes()).take_while(|(a, b)| *a == b);
        self.at += matching.count();
        Err(self.expected(word))
    }

    #[inline]
    fn number(&mut self) -> Result<Token, JsonError> {
        let mut integer = true;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Token::Number { integer })
    }

    #[inline]
    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return Err(self.expected("a digit"));
        }
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }
}

impl Bracket {
    #[inline]
    fn end(self) -> u8 {
        match self {
            Self::Array => b']',
            Self::Object => b'}',
        }
    }
}
