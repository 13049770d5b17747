//! Counting engine: matches regular expressions with large repetition counts, such as `^\p{L}{1,100}$`.
//!
//! An automaton expands a counted repetition into copies, in bytes of UTF-8: a mebibyte for a hundred letters. Here a
//! step takes a whole character, and a repetition of one set is one step with a counter. The time is at most steps ×
//! characters, and counts against the validation's budget.

use std::collections::{HashMap, VecDeque};

use regex_syntax::{
    hir::{Class, ClassUnicode, Hir, HirKind, Look, Repetition},
    is_word_character,
};

use crate::budget;

/// The largest number of steps of an expression with expanded repetitions of groups.
pub(super) const MAX_STEPS: usize = 50_000;

/// An expression as steps.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    steps: Vec<Step>,
    sets: Vec<Set>,
    /// How many steps keep count.
    many: usize,
    /// The numbers of the sets.
    numbers: HashMap<Vec<(char, char)>, usize>,
    /// The expression begins with `^`, so only the start of the text must be tried.
    at_start: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// One character of a set.
    One(usize),
    /// From `min` to `max` characters of a set, `max` at least 1.
    Many {
        set: usize,
        min: u32,
        max: u32,
        /// Which of these steps it is.
        count: usize,
    },
    /// Goes on at both places.
    Split(usize, usize),
    Jump(usize),
    Look(Look),
    Match,
}

/// A set of characters: ranges in ascending order; those of ASCII as bits as well.
#[derive(Debug, PartialEq, Eq)]
struct Set {
    ascii: u128,
    ranges: Vec<(char, char)>,
}

impl Set {
    fn of(class: &ClassUnicode) -> Self {
        let ranges: Vec<(char, char)> = class
            .iter()
            .map(|range| (range.start(), range.end()))
            .collect();
        let ascii = (0..128_u8)
            .filter(|byte| holds(&ranges, char::from(*byte)))
            .fold(0, |bits, byte| bits | 1 << byte);
        Self { ascii, ranges }
    }

    fn has(&self, c: char) -> bool {
        match u32::from(c) {
            ascii @ 0..128 => self.ascii >> ascii & 1 == 1,
            _ => holds(&self.ranges, c),
        }
    }
}

fn holds(ranges: &[(char, char)], c: char) -> bool {
    let after = ranges.partition_point(|(_, end)| *end < c);
    ranges.get(after).is_some_and(|(start, _)| *start <= c)
}

/// Why an expression cannot be written as steps.
pub(super) enum Refused {
    /// More than [`MAX_STEPS`].
    TooLarge,
    /// Syntax outside of the contract's dialect.
    Unknown,
}

impl Counted {
    /// Writes an expression as steps.
    pub(super) fn new(expression: &Hir) -> Result<Self, Refused> {
        let before = expression.properties().look_set_prefix();
        let mut counted = Self {
            at_start: before.contains(Look::Start),
            ..Self::default()
        };
        counted.write(expression)?;
        counted.push(Step::Match)?;
        Ok(counted)
    }

    /// How many bytes it takes.
    pub(super) fn size(&self) -> u64 {
        let ranges: usize = self.sets.iter().map(|set| set.ranges.len()).sum();
        (self.steps.len() * size_of::<Step>() + self.sets.len() * size_of::<Set>() + 16 * ranges)
            as u64
    }

    fn push(&mut self, step: Step) -> Result<usize, Refused> {
        if self.steps.len() >= MAX_STEPS {
            return Err(Refused::TooLarge);
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn many(&mut self, set: usize, min: u32, max: u32) -> Result<(), Refused> {
        let count = self.many;
        self.many += 1;
        self.push(Step::Many {
            set,
            min,
            max,
            count,
        })
        .map(drop)
    }

    fn set(&mut self, set: Set) -> usize {
        let next = self.sets.len();
        let number = *self.numbers.entry(set.ranges.clone()).or_insert(next);
        if number == next {
            self.sets.push(set);
        }
        number
    }

    fn write(&mut self, hir: &Hir) -> Result<(), Refused> {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| Refused::Unknown)?;
                for c in text.chars() {
                    let set = self.set(only(c));
                    self.push(Step::One(set))?;
                }
            }
            HirKind::Class(class) => {
                let set = self.set(set_of(class)?);
                self.push(Step::One(set))?;
            }
            HirKind::Look(look) => {
                self.push(Step::Look(*look))?;
            }
            HirKind::Capture(capture) => self.write(&capture.sub)?,
            HirKind::Concat(parts) => {
                for part in parts {
                    self.write(part)?;
                }
            }
            HirKind::Alternation(branches) => self.alternatives(branches)?,
            HirKind::Repetition(repetition) => self.repeat(repetition)?,
        }
        Ok(())
    }

    fn alternatives(&mut self, branches: &[Hir]) -> Result<(), Refused> {
        let mut ends = Vec::new();
        for (at, branch) in branches.iter().enumerate() {
            if at + 1 == branches.len() {
                self.write(branch)?;
                continue;
            }
            let split = self.push(Step::Split(0, 0))?;
            self.write(branch)?;
            ends.push(self.push(Step::Jump(0))?);
            self.steps[split] = Step::Split(split + 1, self.steps.len());
        }
        let end = self.steps.len();
        for jump in ends {
            self.steps[jump] = Step::Jump(end);
        }
        Ok(())
    }

    fn repeat(&mut self, repetition: &Repetition) -> Result<(), Refused> {
        let Repetition { min, max, sub, .. } = repetition;
        if let Some(set) = one_set(sub)? {
            let set = self.set(set);
            match max {
                Some(0) => {}
                Some(1) if *min == 1 => {
                    self.push(Step::One(set))?;
                }
                Some(max) => {
                    self.optional(*min == 0, |it| it.many(set, (*min).max(1), *max))?;
                }
                None => {
                    if *min > 0 {
                        self.many(set, *min, *min)?;
                    }
                    self.endless(|it| it.push(Step::One(set)).map(drop))?;
                }
            }
            return Ok(());
        }
        for _ in 0..*min {
            self.write(sub)?;
        }
        let Some(max) = max else {
            return self.endless(|it| it.write(sub));
        };
        // Each further copy is possible only after the copy before.
        let mut splits = Vec::new();
        for _ in *min..*max {
            splits.push(self.push(Step::Split(0, 0))?);
            self.write(sub)?;
        }
        let end = self.steps.len();
        for split in splits {
            self.steps[split] = Step::Split(split + 1, end);
        }
        Ok(())
    }

    fn optional(
        &mut self,
        optional: bool,
        inside: impl FnOnce(&mut Self) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        if !optional {
            return inside(self);
        }
        let split = self.push(Step::Split(0, 0))?;
        inside(self)?;
        self.steps[split] = Step::Split(split + 1, self.steps.len());
        Ok(())
    }

    fn endless(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let split = self.push(Step::Split(0, 0))?;
        inside(self)?;
        self.push(Step::Jump(split))?;
        self.steps[split] = Step::Split(split + 1, self.steps.len());
        Ok(())
    }

    /// Whether the text, or a part of it, matches. The result means nothing once the budget is used up.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        let mut run = Run {
            counted: self,
            text,
            here: Places::new(self.steps.len()),
            past: Places::new(self.steps.len()),
            counts: vec![VecDeque::new(); self.many],
            stack: Vec::new(),
        };
        run.matches()
    }
}

fn only(c: char) -> Set {
    Set {
        ascii: if c.is_ascii() { 1 << u32::from(c) } else { 0 },
        ranges: vec![(c, c)],
    }
}

fn set_of(class: &Class) -> Result<Set, Refused> {
    match class {
        Class::Unicode(class) => Ok(Set::of(class)),
        Class::Bytes(class) => {
            let class = class.to_unicode_class().ok_or(Refused::Unknown)?;
            Ok(Set::of(&class))
        }
    }
}

/// The expression as a set of characters, if it is one.
fn one_set(hir: &Hir) -> Result<Option<Set>, Refused> {
    match hir.kind() {
        HirKind::Class(class) => set_of(class).map(Some),
        HirKind::Capture(capture) => one_set(&capture.sub),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).map_err(|_| Refused::Unknown)?;
            let mut characters = text.chars();
            let first = characters.next();
            Ok(first.filter(|_| characters.next().is_none()).map(only))
        }
        _ => Ok(None),
    }
}

/// Steps without repetition, in the order of their insertion.
struct Places {
    order: Vec<usize>,
    has: Vec<bool>,
}

impl Places {
    fn new(steps: usize) -> Self {
        Self {
            order: Vec::new(),
            has: vec![false; steps],
        }
    }

    fn insert(&mut self, step: usize) -> bool {
        let is_new = !std::mem::replace(&mut self.has[step], true);
        if is_new {
            self.order.push(step);
        }
        is_new
    }

    fn clear(&mut self) {
        for step in self.order.drain(..) {
            self.has[step] = false;
        }
    }
}

struct Run<'r> {
    counted: &'r Counted,
    text: &'r str,
    /// The active steps after the characters so far.
    here: Places,
    /// The active steps before the last character.
    past: Places,
    /// Of each [`Step::Many`]: after how many characters it was entered, the earliest first.
    counts: Vec<VecDeque<u32>>,
    /// For walking the steps that take no character.
    stack: Vec<usize>,
}

impl Run<'_> {
    fn matches(&mut self) -> bool {
        let (mut number, mut before) = (0_u32, None);
        let mut rest = self.text.chars();
        loop {
            let after = rest.clone().next();
            if (number == 0 || !self.counted.at_start) && self.enter(0, number, before, after) {
                return true;
            }
            let Some(c) = rest.next() else {
                return false;
            };
            number += 1;
            before = Some(c);
            if self.step(c, number, rest.clone().next()) {
                return true;
            }
            if !budget::is_left() || self.here.order.is_empty() && self.counted.at_start {
                return false;
            }
        }
    }

    /// Takes character number `number`. Returns whether the expression has matched.
    fn step(&mut self, c: char, number: u32, after: Option<char>) -> bool {
        std::mem::swap(&mut self.here, &mut self.past);
        budget::steps(self.past.order.len());
        for at in 0..self.past.order.len() {
            let step = self.past.order[at];
            let goes_on = match &self.counted.steps[step] {
                Step::One(set) => self.counted.sets[*set].has(c),
                Step::Many {
                    set,
                    min,
                    max,
                    count,
                } => {
                    let counts = &mut self.counts[*count];
                    if self.counted.sets[*set].has(c) {
                        while counts.front().is_some_and(|from| number - from > *max) {
                            counts.pop_front();
                        }
                    } else {
                        // What was entered by this very character begins with the next one.
                        counts.retain(|from| *from == number);
                    }
                    if !counts.is_empty() {
                        self.here.insert(step);
                    }
                    counts.front().is_some_and(|from| number - from >= *min)
                }
                _ => false,
            };
            if goes_on && self.enter(step + 1, number, Some(c), after) {
                return true;
            }
        }
        self.past.clear();
        false
    }

    /// Follows the steps that take no character. Returns whether the expression has matched.
    fn enter(
        &mut self,
        step: usize,
        number: u32,
        before: Option<char>,
        after: Option<char>,
    ) -> bool {
        self.stack.push(step);
        while let Some(step) = self.stack.pop() {
            if let Step::Many { count, .. } = self.counted.steps[step] {
                let counts = &mut self.counts[count];
                if counts.back() != Some(&number) {
                    counts.push_back(number);
                    budget::steps(1);
                }
                self.here.insert(step);
                continue;
            }
            if !self.here.insert(step) {
                continue;
            }
            match &self.counted.steps[step] {
                Step::Split(one, other) => self.stack.extend([*other, *one]),
                Step::Jump(to) => self.stack.push(*to),
                Step::Look(look) if holds_at(*look, before, after) => self.stack.push(step + 1),
                Step::Match => {
                    self.stack.clear();
                    return true;
                }
                Step::Look(_) | Step::One(_) | Step::Many { .. } => {}
            }
        }
        false
    }
}

fn holds_at(look: Look, before: Option<char>, after: Option<char>) -> bool {
    let ascii = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let word = |c: Option<char>| c.is_some_and(is_word_character);
    match look {
        Look::Start => before.is_none(),
        Look::End => after.is_none(),
        Look::WordAscii => ascii(before) != ascii(after),
        Look::WordAsciiNegate => ascii(before) == ascii(after),
        Look::WordUnicode => word(before) != word(after),
        Look::WordUnicodeNegate => word(before) == word(after),
        // Only flags and syntax outside the contract's dialect lead to the others.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(expression: &str) -> Counted {
        let hir = regex_syntax::Parser::new().parse(expression).unwrap();
        Counted::new(&hir).ok().unwrap()
    }

    fn expression() -> impl Strategy<Value = String> {
        let one = prop::sample::select(vec![
            "a", "b", "[ab]", "[^a]", ".", "\\d", "\\p{L}", "^", "$", "\\b", "é", "ab", "",
        ]);
        one.prop_map(str::to_owned)
            .prop_recursive(4, 24, 3, |inner| {
                let times = prop::sample::select(vec![
                    "*", "+", "?", "{2}", "{0,2}", "{1,3}", "{2,}", "{3,5}", "{0}", "{1,1}",
                ]);
                prop_oneof![
                    (inner.clone(), times).prop_map(|(one, times)| format!("(?:{one}){times}")),
                    prop::collection::vec(inner.clone(), 1..3).prop_map(|all| all.concat()),
                    prop::collection::vec(inner, 1..3)
                        .prop_map(|all| format!("({})", all.join("|"))),
                ]
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn it_finds_what_the_library_finds(
            expression in expression(),
            texts in prop::collection::vec("[abé1 \n]{0,9}", 6),
        ) {
            let library = regex::Regex::new(&expression).unwrap();
            let ours = counted(&expression);
            for text in texts {
                prop_assert_eq!(ours.is_match(&text), library.is_match(&text), "{} {:?}", expression, text);
            }
        }
    }

    #[test]
    fn a_count_of_one_set_is_one_step_whatever_it_is() {
        for (expression, steps) in [
            (r"^\p{L}{1,100}$", 4),
            (r"^.{1,4000}$", 4),
            (r"^[A-Za-z0-9+/=]{1,10000}$", 4),
            (r"a{1,1000}b", 3),
            (r"^(\p{L}{1,255}-){3}", 8),
        ] {
            assert_eq!(counted(expression).steps.len(), steps, "{expression}");
        }
    }

    fn within<T>(steps: u64, work: impl FnOnce() -> T) -> (T, bool) {
        let budget = budget::Budget {
            steps,
            per_error: 0,
            per_name_byte: 0,
        };
        budget::within(budget, work)
    }

    #[test]
    fn the_work_of_one_match_ends_with_its_budget() {
        let expression = counted("(?:ab?){1,2000}c");
        let text = "a".repeat(1 << 20);
        let start = std::time::Instant::now();
        let (found, enough) = within(10_000_000, || expression.is_match(&text));
        assert!(!found && !enough);
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
        let (found, enough) = within(10_000_000, || counted("a{1,10000}b").is_match(&text));
        assert!(!found && enough, "it is linear");
    }
}
