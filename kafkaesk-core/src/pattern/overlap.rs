//! Pattern overlap: whether two patterns share a stream id that is not reserved.
//!
//! The work is at most the product of four numbers: places in the one pattern, places in the other, states of the name,
//! and kinds of characters. A pattern that can match has at most 249 characters and as many stars.

use std::collections::BTreeMap;

use super::glob::{Glob, Token};
use crate::names::{BINDINGS_TOPIC, MAX_TOPIC_BYTES, RESERVED_WORDS, is_name_character};

/// The state after the text so far: a place in each pattern, and the number of its [`Name`] state.
#[derive(Clone, Copy)]
struct State {
    left: usize,
    right: usize,
    name: usize,
}

/// How much of a reserved name the text so far contains.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Name {
    /// 0 nothing yet, 1 one `_` and no more, 2 anything else.
    begun: u8,
    /// How many bytes of each reserved word the text ends in.
    words: [usize; RESERVED_WORDS.len()],
    /// How many bytes of `__streams__` the text ends in.
    bindings: usize,
}

impl Name {
    /// The state after another character; `None` once the name begins with `__` or contains a reserved word.
    fn and(self, c: u8) -> Option<Self> {
        let begun = match (self.begun, c) {
            (0, b'_') => 1,
            (1, b'_') => return None,
            _ => 2,
        };
        let mut words = self.words;
        for (had, word) in words.iter_mut().zip(RESERVED_WORDS) {
            *had = ends_in(word, *had, c);
            if *had == word.len() {
                return None;
            }
        }
        Some(Self {
            begun,
            words,
            bindings: ends_in(BINDINGS_TOPIC, self.bindings, c),
        })
    }

    fn is_stream(self) -> bool {
        self.begun != 0 && self.bindings < BINDINGS_TOPIC.len()
    }
}

/// Every reachable state, and its successor for each kind of character.
struct Names {
    all: Vec<Name>,
    next: Vec<Vec<Option<usize>>>,
}

impl Names {
    fn reached(kinds: &[u8]) -> Self {
        let mut names = Self {
            all: vec![Name::default()],
            next: Vec::new(),
        };
        while let Some(name) = names.all.get(names.next.len()).copied() {
            let next = kinds.iter().map(|c| Some(names.number(name.and(*c)?)));
            let next = next.collect();
            names.next.push(next);
        }
        names
    }

    fn number(&mut self, name: Name) -> usize {
        let known = self.all.iter().position(|known| *known == name);
        known.unwrap_or_else(|| {
            self.all.push(name);
            self.all.len() - 1
        })
    }
}

/// How many bytes of `word` the text ends in, when it ended in `had` of them and `c` follows.
fn ends_in(word: &str, had: usize, c: u8) -> usize {
    let word = word.as_bytes();
    let ended = |n: usize| word[..had].ends_with(&word[..n - 1]) && word[n - 1] == c;
    (1..=word.len().min(had + 1))
        .rev()
        .find(|n| ended(*n))
        .unwrap_or(0)
}

/// A pattern by the kinds of characters: for each place, which kinds it takes, as bits; `None` for a star.
struct Places(Vec<Option<u128>>);

impl Places {
    fn of(glob: &Glob, kinds: &[u8]) -> Self {
        let bits = |token: &Token| match token {
            Token::Star => None,
            Token::One(set) => Some(
                kinds
                    .iter()
                    .enumerate()
                    .filter(|(_, c)| set.has(char::from(**c)))
                    .fold(0, |bits, (kind, _)| bits | 1 << kind),
            ),
        };
        Self(glob.tokens.iter().map(bits).collect())
    }

    /// The places that a character of this kind leads to.
    fn step(&self, at: usize, kind: usize) -> Option<usize> {
        match self.0.get(at)? {
            None => Some(at),
            Some(bits) => (bits >> kind & 1 == 1).then_some(at + 1),
        }
    }

    fn is_star(&self, at: usize) -> bool {
        self.0.get(at) == Some(&None)
    }
}

/// Whether some stream id of at most 249 bytes matches both. First searches texts without `_`, which are never
/// reserved.
pub(super) fn share_a_stream(left: &Glob, right: &Glob) -> bool {
    if left.least() > MAX_TOPIC_BYTES || right.least() > MAX_TOPIC_BYTES {
        return false;
    }
    let kinds = kinds(left, right);
    let plain: Vec<u8> = kinds.iter().copied().filter(|c| *c != b'_').collect();
    search(left, right, &plain) || search(left, right, &kinds)
}

/// One character for each kind: those that every set of both patterns, and the reserved names, treat alike.
fn kinds(left: &Glob, right: &Glob) -> Vec<u8> {
    let tokens = || left.tokens.iter().chain(&right.tokens);
    let sets: Vec<_> = tokens()
        .filter_map(|token| match token {
            Token::One(set) => Some(set),
            Token::Star => None,
        })
        .collect();
    let mut kinds = BTreeMap::new();
    for c in (0..128_u8).filter(|b| is_name_character(char::from(*b))) {
        let mut reserved = RESERVED_WORDS.iter().chain([&BINDINGS_TOPIC]);
        let is_marked = reserved.any(|word| word.as_bytes().contains(&c));
        let looks: Vec<bool> = sets.iter().map(|set| set.has(char::from(c))).collect();
        kinds.entry((is_marked.then_some(c), looks)).or_insert(c);
    }
    kinds.into_values().collect()
}

/// Breadth first, so the shortest text is found first.
fn search(left: &Glob, right: &Glob, kinds: &[u8]) -> bool {
    let (left, right) = (Places::of(left, kinds), Places::of(right, kinds));
    let names = Names::reached(kinds);
    let number = |state: &State| {
        (state.left * (right.0.len() + 1) + state.right) * names.all.len() + state.name
    };
    let mut seen = vec![false; (left.0.len() + 1) * (right.0.len() + 1) * names.all.len()];
    let start = State {
        left: 0,
        right: 0,
        name: 0,
    };
    seen[number(&start)] = true;
    let mut layer = vec![start];
    for _ in 0..=MAX_TOPIC_BYTES {
        let mut next = Vec::new();
        while let Some(state) = layer.pop() {
            let ended = state.left == left.0.len() && state.right == right.0.len();
            if ended && names.all[state.name].is_stream() {
                return true;
            }
            // A star may take nothing more.
            for (is_star, left, right) in [
                (left.is_star(state.left), state.left + 1, state.right),
                (right.is_star(state.right), state.left, state.right + 1),
            ] {
                let reached = State {
                    left,
                    right,
                    ..state
                };
                if is_star && !std::mem::replace(&mut seen[number(&reached)], true) {
                    layer.push(reached);
                }
            }
            for (kind, name) in names.next[state.name].iter().enumerate() {
                let (Some(left), Some(right), Some(name)) = (
                    left.step(state.left, kind),
                    right.step(state.right, kind),
                    *name,
                ) else {
                    continue;
                };
                let reached = State { left, right, name };
                if !std::mem::replace(&mut seen[number(&reached)], true) {
                    next.push(reached);
                }
            }
        }
        layer = next;
    }
    false
}
