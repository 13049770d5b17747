//! Comparison. Input: two canonical documents. Output: a bounded list of the lines that differ.

use std::collections::BTreeMap;

use crate::{canonical::Canonical, json::push_segment};

/// The most lines that are shown.
const MAX_LINES: usize = 50;
/// A value is cut after this many bytes.
const VALUE_LIMIT: usize = 200;

/// One line for each pointer whose value only one side has, or both have differently.
pub(crate) fn difference(ours: &Canonical, theirs: &Canonical) -> String {
    let mut lines = Lines::default();
    lines.compare(&mut String::new(), ours, theirs);
    let mut text = lines.shown.join("\n");
    if lines.count > lines.shown.len() {
        text.push_str(&format!("\n… and {} more", lines.count - lines.shown.len()));
    }
    text
}

#[derive(Default)]
struct Lines {
    shown: Vec<String>,
    count: usize,
}

impl Lines {
    fn add(&mut self, sign: char, pointer: &str, value: &Canonical) {
        self.count += 1;
        if self.shown.len() < MAX_LINES {
            let mut text = value.to_text();
            crate::bounded(&mut text, VALUE_LIMIT);
            let place = if pointer.is_empty() {
                "(root)"
            } else {
                pointer
            };
            self.shown.push(format!("{sign} {place}: {text}"));
        }
    }

    fn compare(&mut self, pointer: &mut String, ours: &Canonical, theirs: &Canonical) {
        match (ours, theirs) {
            _ if ours == theirs => {}
            (Canonical::Object(ours), Canonical::Object(theirs)) => {
                let mut members: BTreeMap<&str, (Option<&Canonical>, Option<&Canonical>)> =
                    BTreeMap::new();
                for (key, value) in ours {
                    members.entry(key).or_default().0 = Some(value);
                }
                for (key, value) in theirs {
                    members.entry(key).or_default().1 = Some(value);
                }
                for (key, (ours, theirs)) in members {
                    self.below(pointer, key, ours, theirs);
                }
            }
            (Canonical::Array(ours), Canonical::Array(theirs)) => {
                for at in 0..ours.len().max(theirs.len()) {
                    self.below(pointer, &at.to_string(), ours.get(at), theirs.get(at));
                }
            }
            _ => {
                self.add('-', pointer, ours);
                self.add('+', pointer, theirs);
            }
        }
    }

    fn below(
        &mut self,
        pointer: &mut String,
        segment: &str,
        ours: Option<&Canonical>,
        theirs: Option<&Canonical>,
    ) {
        let length = pointer.len();
        push_segment(pointer, segment);
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => self.compare(pointer, ours, theirs),
            (Some(ours), None) => self.add('-', pointer, ours),
            (None, Some(theirs)) => self.add('+', pointer, theirs),
            (None, None) => {}
        }
        pointer.truncate(length);
    }
}

#[cfg(test)]
mod tests;
