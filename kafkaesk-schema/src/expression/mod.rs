//! Regular expressions. Input: the expressions of a document. Output: an engine for each, or the reason for a refusal.
//!
//! The libraries accept some expressions that ECMA-262 does not (`(?i)`, `\z`, `\p{Greek}`, a class with `]`), and lack
//! others. This module refuses all that other languages read differently or not at all. Memory and time are bounded for
//! every expression.

mod counted;
mod properties;

use std::{collections::HashMap, sync::Arc};

use jsonschema::{Keyword, PatternOptions, ValidationError, paths::Location};
use jsonschema_regex::{is_valid_ecma_regex, to_rust_regex};
use parking_lot::Mutex;
use regex_syntax::{
    ast::{self, parse::Parser},
    hir::{Hir, HirKind},
};
use serde_json::Value;

use crate::{
    budget,
    json::{Node, brief},
    represent::Borrowed,
    violation::VALUE_LIMIT,
};
use counted::{Counted, MAX_STEPS, Refused};

/// Bound on one regular expression that a library compiles, in bytes.
const COMPILED_SIZE: usize = 4 << 20;
/// Bound on the states that a library remembers while it matches, in bytes.
const STATES_SIZE: usize = 1 << 20;
/// The most steps of an expression that a library matches: each may cost a few nanoseconds for each byte.
const LIBRARY_STEPS: u64 = 1024;
/// The most steps that repetition may add to an expression that a library matches.
const REPEATED_STEPS: u64 = 256;
/// How many steps of a large expression in a library count as one step of the budget.
const LIBRARY_STEPS_PER_STEP: u64 = 4;
/// Our own engine matches an expression with more class escapes (`\d`, `\s`, …): jsonschema's translation of them takes
/// quadratic time.
const CLASS_ESCAPES: u64 = 32;
/// A name in `patternProperties`, which jsonschema translates, may have this many.
const CLASS_ESCAPES_OF_NAMES: u64 = 64;
/// The cost of translating a class escape, for each other escape of the expression, as bytes.
const BYTES_OF_AN_ESCAPE: u64 = 64;
/// Bound on what all regular expressions of a document take, in bytes, as estimated by [`Size`].
const DOCUMENT_SIZE: u64 = 32 << 20;

/// The engine for the names in `patternProperties`, and where every expression is small: linear time, bounded memory.
pub(crate) fn engine() -> PatternOptions<impl Sized> {
    PatternOptions::regex()
        .size_limit(COMPILED_SIZE)
        .dfa_size_limit(STATES_SIZE)
}

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// It is the value of `pattern`.
    Pattern,
    /// It is a name in `patternProperties`, which only the library matches.
    Name,
}

/// The regular expressions of a document.
#[derive(Debug, Default)]
pub(crate) struct Expressions {
    taken: HashMap<String, Size>,
    /// The expressions that the library does not accept within the bounds.
    counted: HashMap<String, Counted>,
    /// What they take together, in bytes.
    size: u64,
    /// The steps for a byte of a member's name, without those for small expressions.
    pub(crate) steps_per_name_byte: u64,
}

impl Expressions {
    /// Takes an expression, or says why not.
    pub(crate) fn take(&mut self, expression: &str, at: At) -> Result<(), String> {
        let size = match self.taken.get(expression) {
            Some(size) => *size,
            None => self.read(expression)?,
        };
        if at == At::Name && size.escapes > CLASS_ESCAPES_OF_NAMES {
            return Err(format!(
                "as a name in patternProperties it has more than {CLASS_ESCAPES_OF_NAMES} escapes such as \\d; write classes, as in [0-9]"
            ));
        }
        if at == At::Name && size.is_large() {
            if !fits(expression) {
                return Err(format!(
                    "as a name in patternProperties it takes more than {COMPILED_SIZE} bytes when it is compiled; count less far, or bound the names by propertyNames with maxLength"
                ));
            }
            let steps = size.steps / LIBRARY_STEPS_PER_STEP;
            self.steps_per_name_byte = self.steps_per_name_byte.max(steps);
        }
        Ok(())
    }

    fn read(&mut self, expression: &str) -> Result<Size, String> {
        if let Some(reason) = read_otherwise(expression) {
            return Err(reason);
        }
        let (translated, escapes) = translated(expression);
        let hir = parse(expression, &translated)?;
        let mut size = Size::of(&hir);
        size.escapes = escapes;
        self.size += escapes * escapes.min(CLASS_ESCAPES_OF_NAMES) * BYTES_OF_AN_ESCAPE;
        if size.is_large() {
            let counted = Counted::new(&hir).map_err(|refused| match refused {
                Refused::TooLarge => format!(
                    "it takes more than {MAX_STEPS} steps when the repetitions of its groups are written out; count less far, or bound the length by maxLength"
                ),
                Refused::Unknown => "it is not ECMA-262".to_owned(),
            })?;
            self.size += counted.size();
            self.counted.insert(expression.to_owned(), counted);
        } else {
            self.size += size.bytes;
        }
        if self.size > DOCUMENT_SIZE {
            return Err(format!(
                "with this one the regular expressions of the document take more than {DOCUMENT_SIZE} bytes when they are compiled; use fewer, or smaller classes"
            ));
        }
        self.taken.insert(expression.to_owned(), size);
        Ok(size)
    }

    /// Whether `pattern` needs engines of ours; where not, jsonschema's own is the fastest.
    pub(crate) fn are_small(&self) -> bool {
        self.counted.is_empty()
    }

    /// The factory of the keyword `pattern`. Equal expressions share one engine.
    pub(crate) fn into_keyword(self) -> impl for<'a> Fn(&'a Map, &'a Value, Location) -> Made<'a> {
        let all = Mutex::new((self, HashMap::<String, Pattern>::new()));
        move |_, value, _| {
            let expression = value.as_str().unwrap_or_default();
            let mut all = all.lock();
            let (expressions, made) = &mut *all;
            let made = made.entry(expression.to_owned());
            let pattern = made.or_insert_with(|| expressions.pattern(expression));
            Ok(Box::new(pattern.clone()))
        }
    }

    fn pattern(&mut self, expression: &str) -> Pattern {
        let matcher = match self.counted.remove(expression) {
            Some(counted) => Matcher::Counted(counted),
            None => Matcher::Library(library(expression)),
        };
        Pattern(Arc::new(Engine {
            expression: expression.to_owned(),
            matcher,
        }))
    }
}

type Map = serde_json::Map<String, Value>;
type Made<'a> = Result<Box<dyn for<'i> Keyword<'i, Borrowed>>, ValidationError<'a>>;

/// The keyword `pattern` with an engine of ours.
#[derive(Clone, Debug)]
struct Pattern(Arc<Engine>);

#[derive(Debug)]
struct Engine {
    expression: String,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    /// `None` for a refused expression, which no compiled document contains.
    Library(Option<regex::Regex>),
    Counted(Counted),
}

impl Engine {
    fn is_match(&self, text: &str) -> bool {
        match &self.matcher {
            Matcher::Library(regex) => regex.as_ref().is_some_and(|it| it.is_match(text)),
            Matcher::Counted(counted) => counted.is_match(text),
        }
    }
}

impl<'i> Keyword<'i, Borrowed> for Pattern {
    fn validate(&self, instance: &'i Node<'i>) -> Result<(), ValidationError<'i>> {
        if Keyword::<Borrowed>::is_valid(self, instance) {
            return Ok(());
        }
        let value = brief(instance, VALUE_LIMIT);
        let expression = Value::from(&*self.0.expression);
        Err(ValidationError::custom(format!(
            "{value} does not match {expression}"
        )))
    }

    fn is_valid(&self, instance: &'i Node<'i>) -> bool {
        match instance {
            Node::String(text) => {
                budget::read(text.len());
                self.0.is_match(text)
            }
            _ => true,
        }
    }
}

/// What an expression takes when every repetition is written out.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// Steps, each for one character or for no character.
    steps: u64,
    /// Those of them that only repetition adds.
    repeated: u64,
    /// Bytes, roughly, in a library.
    bytes: u64,
    /// Class escapes.
    escapes: u64,
}

impl Size {
    fn of(hir: &Hir) -> Self {
        let one = |ranges: usize| Self {
            steps: 1,
            bytes: 64 + 32 * ranges as u64,
            ..Self::default()
        };
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => one(0),
            HirKind::Literal(literal) => Self {
                steps: literal.0.len() as u64,
                bytes: 64 * literal.0.len() as u64,
                ..Self::default()
            },
            HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => one(class.ranges().len()),
            HirKind::Class(regex_syntax::hir::Class::Bytes(class)) => one(class.ranges().len()),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Concat(parts) | HirKind::Alternation(parts) => {
                parts.iter().map(Self::of).fold(one(0), Self::and)
            }
            HirKind::Repetition(repetition) => {
                let times = repetition.max.unwrap_or(repetition.min).max(1).into();
                let once = Self::of(&repetition.sub).and(one(0));
                Self {
                    steps: once.steps.saturating_mul(times),
                    repeated: once
                        .repeated
                        .saturating_mul(times)
                        .saturating_add(once.steps.saturating_mul(times - 1)),
                    bytes: once.bytes.saturating_mul(times),
                    escapes: 0,
                }
            }
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            steps: self.steps.saturating_add(other.steps),
            repeated: self.repeated.saturating_add(other.repeated),
            bytes: self.bytes.saturating_add(other.bytes),
            escapes: 0,
        }
    }

    fn is_large(self) -> bool {
        self.steps > LIBRARY_STEPS
            || self.escapes > CLASS_ESCAPES
            || self.repeated > REPEATED_STEPS
            || self.bytes > COMPILED_SIZE as u64 / 4
    }
}

/// An expression, its class escapes written as classes, and how many there were. A negated one within a class stays.
fn translated(expression: &str) -> (String, u64) {
    const SPACE: &str = "\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}";
    let (mut out, mut escapes, mut in_class) = (String::with_capacity(expression.len()), 0, false);
    let mut characters = expression.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            match c {
                '[' => in_class = true,
                ']' => in_class = false,
                _ => {}
            }
            out.push(c);
            continue;
        }
        let Some(kind) = characters.next() else {
            out.push(c);
            break;
        };
        let class = match kind {
            'd' | 'D' => "0-9",
            'w' | 'W' => "A-Za-z0-9_",
            's' | 'S' => SPACE,
            'c' => {
                escapes += 1;
                let letter = characters.next().unwrap_or_default();
                out.push_str(&format!("\\x{{{:x}}}", u32::from(letter) % 32));
                continue;
            }
            other => {
                out.extend([c, other]);
                continue;
            }
        };
        escapes += 1;
        match (in_class, kind.is_uppercase()) {
            (true, false) => out.push_str(class),
            (true, true) => out.extend([c, kind]),
            (false, negated) => {
                out.push_str(if negated { "[^" } else { "[" });
                out.push_str(class);
                out.push(']');
            }
        }
    }
    (out, escapes)
}

fn parse(expression: &str, translated: &str) -> Result<Hir, String> {
    let reason = |kind: &ast::ErrorKind| match kind {
        ast::ErrorKind::UnsupportedLookAround => look_around(expression),
        kind => kind.to_string(),
    };
    let refused = || match Parser::new().parse(expression) {
        Err(error) => reason(error.kind()),
        Ok(_) => "it is not ECMA-262".to_owned(),
    };
    if !is_valid_ecma_regex(expression) {
        return Err(refused());
    }
    let translated = to_rust_regex(translated).map_err(|()| refused())?;
    regex_syntax::Parser::new()
        .parse(&translated)
        .map_err(|error| match error {
            regex_syntax::Error::Parse(error) => reason(error.kind()),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            other => other.to_string(),
        })
}

/// Why look-around is refused, and which generator is known to write it.
fn look_around(expression: &str) -> String {
    let instead = match expression {
        decimal if decimal.starts_with(r"^(?!^[-+.]*$)[+-]?0*") => {
            "; pydantic 2.12 and later write it for a Decimal: annotate the field with WithJsonSchema({\"type\": \"string\"})"
        }
        email if email.starts_with(r"^(?!\.)(?!.*\.\.)") => {
            "; zod 4 writes it for z.email(): use z.email({ pattern: z.regexes.html5Email })"
        }
        duration if duration.starts_with(r"^P(?:(\d+W)|(?!.*W)") => {
            "; zod 4 writes it for z.iso.duration(): use z.string().regex(…) with an expression of your own"
        }
        hostname if hostname.starts_with(r"^(?=.{1,253}\.?$)") => {
            "; zod 4 writes it for z.hostname(): use z.string().max(253).regex(…) with the rest of it"
        }
        _ => "",
    };
    format!("it has look-around{instead}")
}

fn library(expression: &str) -> Option<regex::Regex> {
    let (translated, _) = translated(expression);
    let translated = to_rust_regex(&translated).ok()?;
    regex::RegexBuilder::new(&translated)
        .size_limit(COMPILED_SIZE)
        .dfa_size_limit(STATES_SIZE)
        .build()
        .ok()
}

fn fits(expression: &str) -> bool {
    library(expression).is_some()
}

/// Refuses syntax that ECMA-262 allows but the engine or another language reads differently, and syntax that only the
/// engine allows.
fn read_otherwise(expression: &str) -> Option<String> {
    let (mut escaped, mut in_class) = (false, false);
    for (at, character) in expression.char_indices() {
        let rest = &expression[at + character.len_utf8()..];
        match character {
            '<' | '>' if escaped => return Some("write < and > without a backslash".to_owned()),
            'p' | 'P' if escaped => {
                escaped = false;
                let property = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
                if let Some(reason) = property.and_then(|(name, _)| properties::refuse(name)) {
                    return Some(reason);
                }
            }
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => in_class = false,
            '[' if !in_class && (rest.starts_with(']') || rest.starts_with("^]")) => {
                return Some("a class is empty; for any character write [\\s\\S]".to_owned());
            }
            '[' => in_class = true,
            '(' if !in_class && has_flags(rest) => return Some("a group has flags".to_owned()),
            '(' if !in_class && has_foreign_name(rest) => {
                return Some(
                    "the name of a group is not ASCII; write (?:…) for a group without a name"
                        .to_owned(),
                );
            }
            _ => {}
        }
    }
    None
}

/// After an opening parenthesis.
fn has_flags(rest: &str) -> bool {
    let kind = rest.strip_prefix('?');
    kind.is_some_and(|kind| kind.starts_with(|first: char| first == '-' || "ims".contains(first)))
}

/// After an opening parenthesis: whether a group name follows that other engines refuse.
fn has_foreign_name(rest: &str) -> bool {
    let name = rest
        .strip_prefix("?<")
        .and_then(|rest| rest.split('>').next());
    name.is_some_and(|name| !name.is_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn class_escapes_are_translated_as_jsonschema_does() {
        for expression in [
            r"^\d\D\w\W\s\S$",
            r"[\d]",
            r"[^\w.-]",
            r"[\s\S]",
            r"[^\S]",
            r"a\cJb",
            r"[\cJ]",
            r"\\d",
            r"[\]\d]",
            r"\[\d",
            r"[\d-]",
            r"\$\.",
        ] {
            let ours = parse(expression, &translated(expression).0).unwrap();
            let theirs = to_rust_regex(expression).unwrap();
            assert_eq!(
                ours,
                regex_syntax::Parser::new().parse(&theirs).unwrap(),
                "{expression}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_translated_as_jsonschema_does(expression in r"([ab\[\]^$.|()?*+-]|\\[dDwWsScJ\\\[\].-]){0,12}") {
            let Ok(ours) = parse(&expression, &translated(&expression).0) else {
                return Ok(());
            };
            let theirs = to_rust_regex(&expression).unwrap();
            prop_assert_eq!(ours, regex_syntax::Parser::new().parse(&theirs).unwrap(), "{}", expression);
        }
    }

    #[test]
    fn many_class_escapes_take_no_quadratic_time() {
        let many = r"\s$".repeat(5000);
        let start = std::time::Instant::now();
        let mut expressions = Expressions::default();
        expressions.take(&many, At::Pattern).unwrap();
        assert!(!expressions.are_small());
        assert!(expressions.take(&many, At::Name).is_err());
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
