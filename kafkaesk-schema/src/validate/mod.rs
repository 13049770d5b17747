//! Validation. Input: a compiled document and the bytes of data. Output: every violation.

use crate::{
    Document, DocumentError, InvalidData, Violation,
    budget::{self, Budget},
    compile::{Compiled, compile},
    json::{Node, parse_measured},
    represent::is_certain,
    stack,
    violation::MAX_VIOLATIONS,
};

/// How deep data may nest: the envelope around it is the first of the contract's 127 levels.
pub const MAX_DATA_LEVELS: usize = 126;

/// The bound on errors while violations are listed: jsonschema keeps all of them, and for `anyOf` and `oneOf` also
/// those of each branch.
const MAX_ERRORS: usize = 10_000;
/// The most bytes of pointers in these errors.
const MAX_PATHS: usize = 64 << 20;
/// How many schemas may apply to a value in one step of the budget. With more, the budget is divided by the same
/// factor.
const WORK_PER_STEP: u64 = 1_000;
/// The bytes that one schema adds to the path of an error, rounded up: `/properties/name/$ref`.
const PATH_OF_SCHEMA: usize = 32;

/// A compiled schema. Cheap to share (`Arc` it), safe to use from many threads.
pub struct Validator {
    compiled: Compiled,
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validator").finish_non_exhaustive()
    }
}

impl Validator {
    /// Compiles. Fetches nothing; `$ref` inside the document only; `format` is an annotation;
    /// regular expressions run in linear time.
    ///
    /// # Errors
    /// [`DocumentError`] with the JSON pointer of what is wrong.
    pub fn new(document: &Document) -> Result<Self, DocumentError> {
        Ok(Self {
            compiled: stack::run(usize::MAX, || compile(document))?,
        })
    }

    /// Checks the bytes of one JSON value: UTF-8, no duplicate keys, at most [`MAX_DATA_LEVELS`]
    /// deep, no number beyond a double, and every rule of the schema, within [`budget`].
    ///
    /// # Errors
    /// [`InvalidData`] lists the violations, at most [`MAX_VIOLATIONS`]; or says that the schema has
    /// too many ways to judge this data.
    pub fn validate(&self, data: &[u8]) -> Result<(), InvalidData> {
        let (node, levels) = parse_measured(data, MAX_DATA_LEVELS)?;
        let in_place = self.compiled.in_place;
        let depth = (levels + 1) * (in_place.steps + 1);
        let steps = budget(data.len()) / (1 + in_place.work / WORK_PER_STEP);
        stack::run(depth, || self.check(&node, steps, depth))
    }

    fn check(&self, node: &Node<'_>, steps: u64, depth: usize) -> Result<(), InvalidData> {
        let validator = &self.compiled.validator;
        match budget::within(self.budget(steps, 0), || validator.is_valid(node)) {
            (true, true) => Ok(()),
            (false, true) => Err(InvalidData::Violations(self.list(node, steps, depth))),
            (_, false) => Err(InvalidData::TooManyWays { steps }),
        }
    }

    fn budget(&self, steps: u64, per_error: u64) -> Budget {
        Budget {
            steps,
            per_error,
            per_name_byte: self.compiled.steps_per_name_byte,
        }
    }

    /// The violations of invalid data. Listing all errors may take much longer than the first verdict; if the budget
    /// ends, the list has the errors found so far and a note.
    fn list(&self, node: &Node<'_>, steps: u64, depth: usize) -> Vec<Violation> {
        let paths = node.longest_pointer() + depth * PATH_OF_SCHEMA;
        let errors = MAX_ERRORS.min(MAX_PATHS / (paths + 1)).max(1);
        let validator = &self.compiled.validator;
        let (errors, all) = budget::within(self.budget(steps, steps / errors as u64), || {
            validator.iter_errors(node)
        });
        let mut violations: Vec<Violation> = errors
            .filter(is_certain)
            .take(MAX_VIOLATIONS)
            .map(|error| Violation::new(&error, node))
            .collect();
        if !all && violations.len() < MAX_VIOLATIONS {
            violations.push(Violation::note_of_more());
        }
        violations
    }
}

/// The budget of steps for data of this many bytes: 1,000,000, and 50 for each byte; listing the violations may take as
/// many again. If more than 1,000 schemas may apply to one value, the budget is divided by that factor.
///
/// A step takes 5 to 10 ns. A rule that reads an object or an array takes one step for it and one for each value in it.
/// A scalar takes the time of the schemas that apply to it. A member's name takes four steps for each rule that reads
/// it. A regular expression with large counts takes one step for each of its own. A cached result takes 16 steps and
/// some 50 bytes. The parsed data takes at most some 100 bytes for each byte of the text.
pub fn budget(bytes: usize) -> u64 {
    1_000_000 + 50 * bytes as u64
}

#[cfg(test)]
mod tests;
