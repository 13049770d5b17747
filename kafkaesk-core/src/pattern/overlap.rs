//! Whether two patterns share a stream id: a search over both patterns and the rule of reserved names at once.

use std::collections::HashSet;

use super::glob::{Glob, Token};
use crate::names::{BINDINGS_TOPIC, MAX_TOPIC_BYTES, SCHEMA_TOPIC_MARK, is_name_character};

/// How far the text so far has come: places in both patterns, and what it must not become.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    left: usize,
    right: usize,
    name: Name,
}

/// What the text so far has of the reserved names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Name {
    /// 0 nothing yet, 1 one `_` and no more, 2 anything else.
    begun: u8,
    /// How many bytes of `__schema__` the text ends in.
    mark: usize,
    /// How many bytes of `__streams__` the text ends in.
    bindings: usize,
}

impl Name {
    /// One character more; `None` once the name begins with `__` or contains `__schema__`.
    fn and(self, c: u8) -> Option<Self> {
        let begun = match (self.begun, c) {
            (0, b'_') => 1,
            (1, b'_') => return None,
            _ => 2,
        };
        let mark = ends_in(SCHEMA_TOPIC_MARK, self.mark, c);
        (mark < SCHEMA_TOPIC_MARK.len()).then(|| Self {
            begun,
            mark,
            bindings: ends_in(BINDINGS_TOPIC, self.bindings, c),
        })
    }

    fn is_stream(self) -> bool {
        self.begun != 0 && self.bindings < BINDINGS_TOPIC.len()
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

/// Where a place in a pattern can go on: itself, and behind a star that takes nothing.
fn places(glob: &Glob, at: usize) -> impl Iterator<Item = usize> {
    let star = glob.tokens.get(at) == Some(&Token::Star);
    std::iter::once(at).chain(star.then_some(at + 1))
}

/// Where one character leads from a place.
fn step(glob: &Glob, at: usize, c: char) -> Option<usize> {
    match glob.tokens.get(at)? {
        Token::Star => Some(at),
        Token::One(set) => set.has(c).then_some(at + 1),
    }
}

/// Whether some stream id of at most 249 bytes matches both. Breadth first, so the shortest is found first.
pub(super) fn share_a_stream(left: &Glob, right: &Glob) -> bool {
    let alphabet: Vec<u8> = (0..128_u8)
        .filter(|b| is_name_character(char::from(*b)))
        .collect();
    let start = State {
        left: 0,
        right: 0,
        name: Name {
            begun: 0,
            mark: 0,
            bindings: 0,
        },
    };
    let mut seen = HashSet::from([start]);
    let mut layer = vec![start];
    for _ in 0..=MAX_TOPIC_BYTES {
        let mut next = Vec::new();
        for state in layer {
            for l in places(left, state.left) {
                for r in places(right, state.right) {
                    let ended = l == left.tokens.len() && r == right.tokens.len();
                    if ended && state.name.is_stream() {
                        return true;
                    }
                    for c in &alphabet {
                        let (Some(left), Some(right), Some(name)) = (
                            step(left, l, char::from(*c)),
                            step(right, r, char::from(*c)),
                            state.name.and(*c),
                        ) else {
                            continue;
                        };
                        let reached = State { left, right, name };
                        if seen.insert(reached) {
                            next.push(reached);
                        }
                    }
                }
            }
        }
        layer = next;
    }
    false
}
