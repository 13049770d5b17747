//! Pattern language: compiles and matches what CPython's `fnmatch.translate` accepts, without a regular expression.
//!
//! The special cases are those of CPython 3.11: an unclosed `[` is a plain character; `]` at the start of a set belongs
//! to it; a reversed range is dropped with both ends; if the set then begins with `!`, it is negated.

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `*`
    Star,
    /// One character out of a set (which also stands for `?` and for a plain character).
    One(Set),
}

/// A set of characters: inclusive ranges, perhaps negated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Set {
    fn any() -> Self {
        Self {
            negated: true,
            ranges: Vec::new(),
        }
    }

    fn only(c: char) -> Self {
        Self {
            negated: false,
            ranges: vec![(c, c)],
        }
    }

    pub(super) fn has(&self, c: char) -> bool {
        self.ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&c))
            != self.negated
    }
}

/// A pattern in steps, each with its byte offset and, where it is a plain character, that character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    pub(super) tokens: Vec<Token>,
    literals: Vec<(usize, char)>,
}

impl Glob {
    pub(super) fn new(pattern: &str) -> Self {
        let text: Vec<(usize, char)> = pattern.char_indices().collect();
        let mut glob = Self {
            tokens: Vec::new(),
            literals: Vec::new(),
        };
        let mut i = 0;
        while let Some(&(at, c)) = text.get(i) {
            i += 1;
            match c {
                '*' => {
                    if glob.tokens.last() != Some(&Token::Star) {
                        glob.tokens.push(Token::Star);
                    }
                }
                '?' => glob.tokens.push(Token::One(Set::any())),
                _ => {
                    let end = (c == '[').then(|| set_end(&text, i)).flatten();
                    if let Some(end) = end {
                        let inner: Vec<char> = text[i..end].iter().map(|(_, c)| *c).collect();
                        glob.tokens.push(Token::One(set(&inner)));
                        i = end + 1;
                    } else {
                        glob.literals.push((at, c));
                        glob.tokens.push(Token::One(Set::only(c)));
                    }
                }
            }
        }
        glob
    }

    /// The first plain character with a property, and its byte offset.
    pub(super) fn first_literal(&self, property: impl Fn(char) -> bool) -> Option<(usize, char)> {
        self.literals.iter().copied().find(|(_, c)| property(*c))
    }

    /// The smallest number of characters in a matching text.
    pub(super) fn least(&self) -> usize {
        let one = |token: &&Token| matches!(token, Token::One(_));
        self.tokens.iter().filter(one).count()
    }

    /// The only matching text, if the pattern has only plain characters.
    pub(super) fn literal(&self) -> Option<String> {
        (self.literals.len() == self.tokens.len())
            .then(|| self.literals.iter().map(|(_, c)| c).collect())
    }

    /// Whether the whole text matches. Goes back to the last star only, so at most pattern × text steps.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut token = 0;
        let mut star: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            match self.tokens.get(token) {
                Some(Token::Star) => {
                    token += 1;
                    star = Some((token, rest.clone()));
                    continue;
                }
                Some(Token::One(set)) => {
                    let mut ahead = rest.clone();
                    if ahead.next().is_some_and(|c| set.has(c)) {
                        rest = ahead;
                        token += 1;
                        continue;
                    }
                }
                None if rest.as_str().is_empty() => return true,
                None => {}
            }
            // A mismatch: the last star takes one character more.
            let Some((after, from)) = &mut star else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            token = *after;
            rest = from.clone();
        }
    }
}

/// Exactly Python's `fnmatch.fnmatchcase(text, pattern)`, reserved names and all.
pub fn fnmatch(pattern: &str, text: &str) -> bool {
    Glob::new(pattern).matches(text)
}

/// Where the set that begins at `start` (after its `[`) is closed.
fn set_end(text: &[(usize, char)], start: usize) -> Option<usize> {
    let is = |i: usize, c: char| text.get(i).is_some_and(|(_, found)| *found == c);
    let mut end = start;
    if is(end, '!') {
        end += 1;
    }
    if is(end, ']') {
        end += 1;
    }
    (end..text.len()).find(|i| is(*i, ']'))
}

/// The characters between the brackets. `None` in the middle of the list is the hyphen of a range.
fn set(inner: &[char]) -> Set {
    let chunks = chunks(inner);
    let mut items: Vec<Option<char>> = Vec::new();
    for (i, chunk) in chunks.iter().enumerate() {
        if i > 0 {
            items.push(None);
        }
        items.extend(chunk.iter().map(|c| Some(*c)));
    }
    let negated = items.first() == Some(&Some('!'));
    let mut items = &items[usize::from(negated)..];
    let mut ranges = Vec::new();
    while let [first, rest @ ..] = items {
        let low = first.unwrap_or('-');
        match (first, rest) {
            (Some(_), [None, Some(high), rest @ ..]) => {
                ranges.push((low, *high));
                items = rest;
            }
            _ => {
                ranges.push((low, low));
                items = rest;
            }
        }
    }
    Set { negated, ranges }
}

/// Splits at the hyphens that make ranges, and takes out reversed ranges.
fn chunks(inner: &[char]) -> Vec<Vec<char>> {
    let mut chunks: Vec<Vec<char>> = Vec::new();
    let mut start = 0;
    let mut from = if inner.first() == Some(&'!') { 2 } else { 1 };
    while let Some(hyphen) = (from..inner.len()).find(|i| inner[*i] == '-') {
        chunks.push(inner[start..hyphen].to_vec());
        start = hyphen + 1;
        from = hyphen + 3;
    }
    match (inner.get(start..), chunks.last_mut()) {
        (Some([]) | None, Some(last)) => last.push('-'),
        (rest, _) => chunks.push(rest.unwrap_or_default().to_vec()),
    }
    for k in (1..chunks.len()).rev() {
        if chunks[k - 1].last() > chunks[k].first() {
            let behind = chunks.remove(k);
            chunks[k - 1].pop();
            chunks[k - 1].extend_from_slice(&behind[1..]);
        }
    }
    chunks
}
