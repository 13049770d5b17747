//! Look-around rewriter. Input: an expression with look-around. Output: equal tests without it, or none.
//!
//! Each rule is exact. A condition at a place may be moved out only if the place is unique: the part before it must not
//! match two different beginnings of the same text. Then the rewrite loses no alternative.

use regex_syntax::hir::ClassUnicode;

use super::syntax::{Part, Sequence, class, has_look, parse, set, text};

/// A condition on a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Every text.
    Always,
    /// An expression without look-around is found.
    Found(String),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
}

/// Longer expressions are not rewritten.
const MAX_BYTES: usize = 4096;
/// How many parts before a condition are tried as fixed-length parts.
const MAX_FIXED: usize = 16;
/// The most expressions that one may become.
const MAX_TESTS: usize = 64;
/// The largest count to which a repetition with look-around is expanded.
const MAX_TIMES: u32 = 4;

/// Rewrites an expression.
///
/// # Errors
/// The construct that could not be rewritten.
pub(super) fn rewrite(expression: &str) -> Result<Test, String> {
    if expression.len() > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    let mut work = Work { tests: 0 };
    let alternatives = parse(expression)?;
    let mut test = work.any(alternatives)?;
    simplify(&mut test);
    Ok(test)
}

struct Work {
    tests: usize,
}

fn cannot(part: &Part) -> String {
    format!(
        "{} cannot be proved equal to anything without look-around there",
        text(std::slice::from_ref(part))
    )
}

impl Work {
    /// One of several sequences is found. If one is always found, the others need no rewriting.
    fn any(&mut self, alternatives: Vec<Sequence>) -> Result<Test, String> {
        let (mut all, mut failed) = (Vec::new(), None);
        for sequence in alternatives {
            match self.sequence(sequence) {
                Ok(Test::Always) => return Ok(Test::Always),
                Ok(test) => all.push(test),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None if all.len() == 1 => all.pop().ok_or_else(String::new),
            None => Ok(Test::Any(all)),
        }
    }

    fn sequence(&mut self, sequence: Sequence) -> Result<Test, String> {
        self.tests += 1;
        if self.tests > MAX_TESTS {
            return Err("it becomes too many expressions".to_owned());
        }
        let Some(at) = sequence.iter().position(has_look) else {
            return Ok(found(&sequence));
        };
        let (before, after) = (&sequence[..at], &sequence[at + 1..]);
        let joined = |middle: &[Part]| [before, middle, after].concat();
        match &sequence[at] {
            Part::Look {
                ahead,
                negative,
                inside,
            } => {
                let alone = match ahead {
                    true if is_certain(before) => {
                        Some([before, &[Part::Group(inside.clone())]].concat())
                    }
                    false if is_certain_end(after) && !after.iter().any(has_look) => {
                        Some([&[Part::Group(inside.clone())], after].concat())
                    }
                    _ => None,
                };
                if let Some(alone) = alone {
                    let rest = self.sequence(joined(&[]))?;
                    let alone = self.sequence(alone)?;
                    return Ok(Test::All(vec![
                        rest,
                        if *negative { not(alone) } else { alone },
                    ]));
                }
                match within(&sequence) {
                    Some(plain) => self.sequence(plain),
                    None => Err(cannot(&sequence[at])),
                }
            }
            Part::Group(inside) => {
                // Try the whole expression first: the result repeats less.
                if let Some(plain) = plain_group(inside) {
                    return self.sequence(joined(&[plain]));
                }
                let branches = inside.iter().map(|branch| joined(branch));
                self.any(branches.collect())
            }
            Part::Repeat { inside, min, max } => {
                if let Some(test) = self.tempered(before, inside, *min, *max, after)? {
                    return Ok(test);
                }
                if let Part::Group(branches) = &**inside
                    && let Some(plain) = plain_group(branches)
                {
                    return self.sequence(joined(&[Part::Repeat {
                        inside: Box::new(plain),
                        min: *min,
                        max: *max,
                    }]));
                }
                let max = max.filter(|max| *max <= MAX_TIMES);
                let max = max.ok_or_else(|| cannot(&sequence[at]))?;
                let times =
                    (*min..=max).map(|times| joined(&vec![(**inside).clone(); times as usize]));
                self.any(times.collect())
            }
            Part::One(_) | Part::Place(_) => Err(cannot(&sequence[at])),
        }
    }

    /// `^(?:(?!A)X)*$`: a text of X in which no A begins.
    fn tempered(
        &mut self,
        before: &[Part],
        inside: &Part,
        min: u32,
        max: Option<u32>,
        after: &[Part],
    ) -> Result<Option<Test>, String> {
        let Part::Group(branches) = inside else {
            return Ok(None);
        };
        let [branch] = &branches[..] else {
            return Ok(None);
        };
        let [
            Part::Look {
                ahead: true,
                negative: true,
                inside,
            },
            Part::One(one),
        ] = &branch[..]
        else {
            return Ok(None);
        };
        let is_whole = before == [place("^")] && after == [place("$")];
        if !is_whole || max.is_some() || !inside.iter().all(|it| takes_some(it)) {
            return Ok(None);
        }
        let many = |min| Part::Repeat {
            inside: Box::new(Part::One(one.clone())),
            min,
            max: None,
        };
        let text = self.sequence(vec![place("^"), many(min), place("$")])?;
        let inner = vec![place("^"), many(0), Part::Group(inside.clone())];
        let begins = self.sequence(inner)?;
        Ok(Some(Test::All(vec![text, not(begins)])))
    }
}

fn place(text: &str) -> Part {
    Part::Place(text.to_owned())
}

fn not(test: Test) -> Test {
    Test::Not(Box::new(test))
}

/// A sequence without look-around, unless it is found in every text anyway.
fn found(sequence: &[Part]) -> Test {
    let rest = match sequence.split_first() {
        Some((first, rest)) if *first == place("^") => rest,
        _ => sequence,
    };
    match is_nullable(rest) {
        true => Test::Always,
        false => Test::Found(text(sequence)),
    }
}

/// Whether it matches the empty text at every place.
fn is_nullable(sequence: &[Part]) -> bool {
    sequence.iter().all(|part| match part {
        Part::One(_) | Part::Place(_) | Part::Look { .. } => false,
        Part::Group(inside) => inside.iter().any(|it| is_nullable(it)),
        Part::Repeat { inside, min, .. } => *min == 0 || is_nullable(std::slice::from_ref(inside)),
    })
}

/// Whether it certainly takes a character.
fn takes_some(sequence: &[Part]) -> bool {
    sequence.iter().any(|part| match part {
        Part::One(_) => true,
        Part::Place(_) | Part::Look { .. } => false,
        Part::Group(inside) => inside.iter().all(|it| takes_some(it)),
        Part::Repeat { inside, min, .. } => *min > 0 && takes_some(std::slice::from_ref(inside)),
    })
}

/// How many characters it takes, if that is always the same.
fn length(sequence: &[Part]) -> Option<u64> {
    sequence.iter().try_fold(0_u64, |sum, part| {
        let own = match part {
            Part::One(_) => 1,
            Part::Place(_) => 0,
            Part::Look { .. } => return None,
            Part::Group(inside) => {
                let mut lengths = inside.iter().map(|it| length(it));
                let first = lengths.next()??;
                lengths.all(|it| it == Some(first)).then_some(first)?
            }
            Part::Repeat { inside, min, max } => {
                let once = length(std::slice::from_ref(inside))?;
                (Some(*min) == *max || once == 0).then_some(once.checked_mul((*min).into())?)?
            }
        };
        sum.checked_add(own)
    })
}

/// Every character that it may take.
fn characters(sequence: &[Part]) -> Option<ClassUnicode> {
    let mut all = ClassUnicode::empty();
    for part in sequence {
        match part {
            Part::One(one) => all.union(&set(one)?),
            Part::Place(_) => {}
            Part::Look { .. } => return None,
            Part::Group(inside) => {
                for sequence in inside {
                    all.union(&characters(sequence)?);
                }
            }
            Part::Repeat { inside, .. } => all.union(&characters(std::slice::from_ref(inside))?),
        }
    }
    Some(all)
}

/// Whether this part, which begins at the start of the text, has a unique end in every text: its length is fixed, or it
/// ends with a character that cannot occur before.
fn is_certain(before: &[Part]) -> bool {
    let Some((first, rest)) = before.split_first() else {
        return false;
    };
    if *first != place("^") || rest.iter().any(has_look) {
        return false;
    }
    // A fixed-length end does not change whether the place is unique.
    let least = rest.len().saturating_sub(MAX_FIXED).max(1);
    length(rest).is_some()
        || (least..=rest.len())
            .rev()
            .any(|end| length(&rest[end..]).is_some() && ends_certainly(&rest[..end]))
}

fn ends_certainly(sequence: &[Part]) -> bool {
    let Some((Part::One(last), earlier)) = sequence.split_last() else {
        return false;
    };
    let (Some(mut last), Some(earlier)) = (set(last), characters(earlier)) else {
        return false;
    };
    last.intersect(&earlier);
    last.ranges().is_empty()
}

/// Whether this part, which reaches the end of the text, has a unique start in every text.
fn is_certain_end(after: &[Part]) -> bool {
    after.last() == Some(&place("$")) && length(after).is_some()
}

/// Rewrites a group without look-around, if that is possible for each branch.
fn plain_group(inside: &[Sequence]) -> Option<Part> {
    let branches = inside.iter().map(|branch| {
        let mut branch = branch.clone();
        while branch.iter().any(has_look) {
            branch = within(&branch)?;
        }
        Some(branch)
    });
    branches.collect::<Option<_>>().map(Part::Group)
}

/// Merges the first look-around that concerns only the next or the last character into that character.
fn within(sequence: &[Part]) -> Option<Sequence> {
    let at = sequence.iter().position(has_look)?;
    let Part::Look {
        ahead,
        negative,
        inside,
    } = &sequence[at]
    else {
        return None;
    };
    let mut any = ClassUnicode::empty();
    for branch in inside {
        let [Part::One(one)] = &branch[..] else {
            return None;
        };
        any.union(&set(one)?);
    }
    let condition = Condition {
        set: any,
        negative: *negative,
    };
    let (before, after) = (&sequence[..at], &sequence[at + 1..]);
    match ahead {
        true => Some([before, &condition.first(after)?].concat()),
        false => Some([&condition.last(before)?, after].concat()),
    }
}

/// What one character must be.
struct Condition {
    set: ClassUnicode,
    negative: bool,
}

impl Condition {
    fn narrowed(&self, one: &str) -> Option<Part> {
        let mut own = set(one)?;
        match self.negative {
            true => own.difference(&self.set),
            false => own.intersect(&self.set),
        }
        class(&own)
    }

    /// A sequence that begins with such a character.
    fn first(&self, sequence: &[Part]) -> Option<Sequence> {
        let (first, rest) = sequence.split_first()?;
        match first {
            Part::One(one) => Some([&[self.narrowed(one)?], rest].concat()),
            // Another condition on the same place.
            Part::Look { ahead: true, .. } => {
                Some([std::slice::from_ref(first), &self.first(rest)?].concat())
            }
            Part::Repeat { inside, min, max } => {
                let Part::One(one) = &**inside else {
                    return None;
                };
                let narrowed = self.narrowed(one)?;
                let more = fewer(inside, *min, *max)?;
                let some = [&[narrowed, more], rest].concat();
                if *min > 0 {
                    return Some(some);
                }
                Some(vec![Part::Group(vec![some, self.first(rest)?])])
            }
            _ => None,
        }
    }

    /// A sequence that ends with such a character.
    fn last(&self, sequence: &[Part]) -> Option<Sequence> {
        let (last, rest) = sequence.split_last()?;
        match last {
            Part::One(one) => Some([rest, &[self.narrowed(one)?]].concat()),
            Part::Repeat { inside, min, max } => {
                let Part::One(one) = &**inside else {
                    return None;
                };
                let narrowed = self.narrowed(one)?;
                let more = fewer(inside, *min, *max)?;
                let some = [rest, &[more, narrowed]].concat();
                if *min > 0 {
                    return Some(some);
                }
                Some(vec![Part::Group(vec![some, self.last(rest)?])])
            }
            _ => None,
        }
    }
}

/// A repetition with one time less.
fn fewer(inside: &Part, min: u32, max: Option<u32>) -> Option<Part> {
    let max = match max {
        None => None,
        Some(max) => Some(max.checked_sub(1)?),
    };
    Some(Part::Repeat {
        inside: Box::new(inside.clone()),
        min: min.saturating_sub(1),
        max,
    })
}

/// Flattens nested conditions of the same kind, and drops conditions that always hold.
fn simplify(test: &mut Test) {
    match test {
        Test::All(inside) => {
            let mut flat = Vec::new();
            for mut one in std::mem::take(inside) {
                simplify(&mut one);
                match one {
                    Test::Always => {}
                    Test::All(more) => flat.extend(more),
                    other => flat.push(other),
                }
            }
            flat.dedup();
            *test = match flat.len() {
                0 => Test::Always,
                1 => flat.remove(0),
                _ => Test::All(flat),
            };
        }
        Test::Any(inside) => {
            inside.iter_mut().for_each(simplify);
            if inside.contains(&Test::Always) {
                *test = Test::Always;
            }
        }
        Test::Not(inside) => simplify(inside),
        Test::Always | Test::Found(_) => {}
    }
}
