//! The scanner itself: moves over one JSON value at a time, keeping the open brackets in one integer.

use super::{JsonError, MAX_DEPTH};

/// A place in a text that is known to be UTF-8.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// One bit for each open bracket, the innermost lowest: 1 an object, 0 an array. [`MAX_DEPTH`] fits.
    open: u128,
    depth: usize,
    limit: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            open: 0,
            depth: 0,
            limit: MAX_DEPTH,
        }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn step(&mut self) {
        self.at += 1;
    }

    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    pub(crate) fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax {
            at: self.at,
            expected,
        }
    }

    /// Enters the bracket that stands here.
    pub(crate) fn enter(&mut self, object: bool) -> Result<(), JsonError> {
        if self.depth == self.limit {
            return Err(JsonError::TooDeep { at: self.at });
        }
        self.depth += 1;
        self.open = self.open << 1 | u128::from(object);
        self.at += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.open >>= 1;
        self.at += 1;
    }

    /// Moves over one value and the white space before it.
    pub(crate) fn value(&mut self) -> Result<(), JsonError> {
        let outside = self.depth;
        loop {
            self.space();
            match self.peek() {
                Some(b'{') => {
                    self.enter(true)?;
                    self.space();
                    if self.peek() != Some(b'}') {
                        self.name("a member name or `}`")?;
                        continue;
                    }
                    self.leave();
                }
                Some(b'[') => {
                    self.enter(false)?;
                    self.space();
                    if self.peek() != Some(b']') {
                        continue;
                    }
                    self.leave();
                }
                Some(b'"') => self.string()?,
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => return Err(self.expected("a value")),
            }
            loop {
                if self.depth == outside {
                    return Ok(());
                }
                self.space();
                match (self.peek(), self.open & 1 == 1) {
                    (Some(b'}'), true) | (Some(b']'), false) => self.leave(),
                    (Some(b','), true) => {
                        self.at += 1;
                        self.space();
                        self.name("a member name")?;
                        break;
                    }
                    (Some(b','), false) => {
                        self.at += 1;
                        break;
                    }
                    (_, true) => return Err(self.expected("`,` or `}`")),
                    (_, false) => return Err(self.expected("`,` or `]`")),
                }
            }
        }
    }

    /// Moves over a member's name and its colon.
    pub(crate) fn name(&mut self, expected: &'static str) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected(expected));
        }
        self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    /// Moves over the string that begins here.
    pub(crate) fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                            self.at += 1;
                        }
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
                }
                Some(0x20..) => self.at += 1,
                Some(_) => return Err(self.expected("an escape in place of a control character")),
                None => return Err(self.expected("`\"`")),
            }
        }
    }

    fn literal(&mut self, word: &'static str) -> Result<(), JsonError> {
        for byte in word.bytes() {
            if self.peek() != Some(byte) {
                return Err(self.expected(word));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

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

/// Whether JSON bytes nest at most `limit` levels. For bytes that are no JSON the answer is only safe, not exact:
/// a decoder that takes them never meets more than `limit` levels after a `true`.
pub fn depth_within(json: &[u8], limit: usize) -> bool {
    // Chunks of 255, so that the count of one fits a byte and the loop compiles to vector instructions.
    // `[` and `{` differ in one bit from each other, and from nothing else.
    let opening: usize = json
        .chunks(255)
        .map(|chunk| usize::from(chunk.iter().map(|b| u8::from(b | 0x20 == b'{')).sum::<u8>()))
        .sum();
    opening <= limit || exact_depth_within(json, limit)
}

fn exact_depth_within(json: &[u8], limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            bytes.next();
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    true
}
