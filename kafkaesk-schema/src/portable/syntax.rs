//! Look-around syntax: parses a regular expression with look-around, and writes it again.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// A part of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// One character of a set: a character, an escape, a class.
    One(String),
    /// `^`, `$`, `\b`, `\B`.
    Place(String),
    /// A group; which kind of group does not matter without back-references.
    Group(Vec<Sequence>),
    /// Look-around.
    Look {
        ahead: bool,
        negative: bool,
        inside: Vec<Sequence>,
    },
    Repeat {
        inside: Box<Part>,
        min: u32,
        max: Option<u32>,
    },
}

/// Parts one after the other.
pub(super) type Sequence = Vec<Part>;

/// An expression: alternatives.
pub(super) fn parse(expression: &str) -> Result<Vec<Sequence>, String> {
    let mut parser = Parser {
        rest: expression,
        depth: 0,
    };
    let alternatives = parser.alternatives()?;
    match parser.rest.is_empty() {
        true => Ok(alternatives),
        false => Err("a parenthesis closes nothing".to_owned()),
    }
}

struct Parser<'e> {
    rest: &'e str,
    depth: usize,
}

/// The deepest nesting of groups.
const MAX_DEPTH: usize = 100;

impl<'e> Parser<'e> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take(&mut self, bytes: usize) -> &'e str {
        let (token, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        token
    }

    fn alternatives(&mut self) -> Result<Vec<Sequence>, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("its groups stand too deep in each other".to_owned());
        }
        let mut all = Vec::new();
        loop {
            all.push(self.sequence()?);
            if !self.eat("|") {
                self.depth -= 1;
                return Ok(all);
            }
        }
    }

    fn sequence(&mut self) -> Result<Sequence, String> {
        let mut parts = Vec::new();
        while let Some(c) = self.rest.chars().next() {
            let part = match c {
                '|' | ')' => break,
                '(' => self.group()?,
                '^' | '$' => Part::Place(self.take(1).to_owned()),
                '[' => Part::One(self.class()?),
                '\\' => self.escape()?,
                '*' | '+' | '?' | '{' | '}' | ']' => {
                    return Err(format!("{c:?} stands where nothing is to be repeated"));
                }
                other => Part::One(self.take(other.len_utf8()).to_owned()),
            };
            let repeatable = !matches!(part, Part::Place(_) | Part::Look { .. });
            parts.push(match self.times()? {
                None => part,
                Some((min, max)) if repeatable => Part::Repeat {
                    inside: Box::new(part),
                    min,
                    max,
                },
                Some(_) => return Err("a place is repeated".to_owned()),
            });
        }
        Ok(parts)
    }

    fn group(&mut self) -> Result<Part, String> {
        self.take(1);
        let look = [
            ("?=", true, false),
            ("?!", true, true),
            ("?<=", false, false),
            ("?<!", false, true),
        ]
        .into_iter()
        .find(|(token, ..)| self.eat(token));
        if look.is_none() && !self.eat("?:") && self.eat("?") {
            // A name: `?<name>`.
            let end = self.rest.starts_with('<').then(|| self.rest.find('>'));
            let end = end.flatten().ok_or("a group of an unknown kind")?;
            self.take(end + 1);
        }
        let inside = self.alternatives()?;
        if !self.eat(")") {
            return Err("a group is not closed".to_owned());
        }
        Ok(match look {
            Some((_, ahead, negative)) => Part::Look {
                ahead,
                negative,
                inside,
            },
            None => Part::Group(inside),
        })
    }

    fn class(&mut self) -> Result<String, String> {
        let mut escaped = false;
        for (at, c) in self.rest.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                ']' => return Ok(self.take(at + 1).to_owned()),
                _ => {}
            }
        }
        Err("a class is not closed".to_owned())
    }

    fn escape(&mut self) -> Result<Part, String> {
        let mut after = self.rest.chars().skip(1);
        let kind = after.next().ok_or("it ends in a backslash")?;
        let braced = |rest: &str| rest.find('}').map(|end| end + 1);
        let bytes = match kind {
            'b' | 'B' => return Ok(Part::Place(self.take(2).to_owned())),
            '1'..='9' | 'k' => return Err("it has a back-reference".to_owned()),
            'p' | 'P' => braced(self.rest).ok_or("a property is not closed")?,
            'u' if after.next() == Some('{') => {
                braced(self.rest).ok_or("an escape is not closed")?
            }
            'u' => 6,
            'x' => 4,
            'c' => 3,
            other => 1 + other.len_utf8(),
        };
        if !self.rest.is_char_boundary(bytes) || self.rest.len() < bytes {
            return Err("an escape is not complete".to_owned());
        }
        Ok(Part::One(self.take(bytes).to_owned()))
    }

    fn times(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        let times = if self.eat("*") {
            (0, None)
        } else if self.eat("+") {
            (1, None)
        } else if self.eat("?") {
            (0, Some(1))
        } else if self.rest.starts_with('{') {
            let end = self.rest.find('}').ok_or("a brace is not closed")?;
            let token = self.take(end + 1);
            let inside = &token[1..end];
            let (min, max) = inside.split_once(',').unwrap_or((inside, inside));
            let number = |text: &str| {
                text.parse::<u32>()
                    .map_err(|_| format!("{token} is not a count"))
            };
            let max = match max {
                "" => None,
                max => Some(number(max)?),
            };
            (number(min)?, max)
        } else {
            return Ok(None);
        };
        // Greedy and lazy repetitions find the same texts.
        self.eat("?");
        Ok(Some(times))
    }
}

/// Whether look-around stands anywhere in it.
pub(super) fn has_look(part: &Part) -> bool {
    match part {
        Part::One(_) | Part::Place(_) => false,
        Part::Look { .. } => true,
        Part::Group(inside) => inside.iter().flatten().any(has_look),
        Part::Repeat { inside, .. } => has_look(inside),
    }
}

/// As text.
pub(super) fn text(sequence: &[Part]) -> String {
    let mut out = String::new();
    write_all(&mut out, sequence);
    out
}

fn write_all(out: &mut String, sequence: &[Part]) {
    for part in sequence {
        write(out, part);
    }
}

fn write(out: &mut String, part: &Part) {
    match part {
        Part::One(text) | Part::Place(text) => out.push_str(text),
        Part::Group(inside) => write_group(out, "(?:", inside),
        Part::Look {
            ahead,
            negative,
            inside,
        } => {
            let open = match (ahead, negative) {
                (true, false) => "(?=",
                (true, true) => "(?!",
                (false, false) => "(?<=",
                (false, true) => "(?<!",
            };
            write_group(out, open, inside);
        }
        Part::Repeat { inside, min, max } => {
            write(out, inside);
            match (min, max) {
                (0, None) => out.push('*'),
                (1, None) => out.push('+'),
                (0, Some(1)) => out.push('?'),
                (min, None) => out.push_str(&format!("{{{min},}}")),
                (min, Some(max)) if min == max => out.push_str(&format!("{{{min}}}")),
                (min, Some(max)) => out.push_str(&format!("{{{min},{max}}}")),
            }
        }
    }
}

fn write_group(out: &mut String, open: &str, inside: &[Sequence]) {
    out.push_str(open);
    for (at, sequence) in inside.iter().enumerate() {
        if at > 0 {
            out.push('|');
        }
        write_all(out, sequence);
    }
    out.push(')');
}

/// The characters of a part that is one character.
pub(super) fn set(one: &str) -> Option<ClassUnicode> {
    let translated = jsonschema_regex::to_rust_regex(one).ok()?;
    let hir = regex_syntax::Parser::new().parse(&translated).ok()?;
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class.clone()),
        HirKind::Class(Class::Bytes(class)) => class.to_unicode_class(),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            let mut characters = text.chars();
            let c = characters.next()?;
            let range = ClassUnicodeRange::new(c, c);
            characters
                .next()
                .is_none()
                .then(|| ClassUnicode::new([range]))
        }
        _ => None,
    }
}

/// A set as a class; `None` for one without characters.
pub(super) fn class(set: &ClassUnicode) -> Option<Part> {
    if set.ranges().is_empty() {
        return None;
    }
    let mut out = String::from("[");
    for range in set.ranges() {
        write_character(&mut out, range.start());
        if range.start() != range.end() {
            out.push('-');
            write_character(&mut out, range.end());
        }
    }
    out.push(']');
    Some(Part::One(out))
}

fn write_character(out: &mut String, c: char) {
    match c {
        '\\' | ']' | '[' | '^' | '-' => {
            out.push('\\');
            out.push(c);
        }
        ' '..='~' => out.push(c),
        c if u32::from(c) <= 0xFFFF => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
    }
}
