//! Validation budget: counts accesses to values, and stops the validation when the budget is used up.
//!
//! With a recursive schema, the work may double with each level of the data, and jsonschema has no bound. But it reads
//! the data only through `represent.rs`: once the budget is used up, every value appears empty. So the validation ends
//! soon, and its result is discarded. Knows no schemas.

use std::cell::Cell;

/// How many bytes of a text are read in one step.
const BYTES_PER_STEP: usize = 64;
/// The steps for caching the result for a value.
const STEPS_PER_MEMORY: u64 = 16;

/// How many steps it takes to read a member's name for one rule, perhaps by a regular expression.
const STEPS_PER_NAME: u64 = 4;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    static PER_ERROR: Cell<u64> = const { Cell::new(0) };
    static PER_NAME_BYTE: Cell<u64> = const { Cell::new(0) };
}

/// How many steps a piece of work may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// The work ends when it has taken this many steps.
    pub(crate) steps: u64,
    /// The steps for each error.
    pub(crate) per_error: u64,
    /// The steps for each byte of a member's name.
    pub(crate) per_name_byte: u64,
}

/// Runs `work`. With its result: whether the budget was enough.
pub(crate) fn within<T>(budget: Budget, work: impl FnOnce() -> T) -> (T, bool) {
    LEFT.set(budget.steps);
    PER_ERROR.set(budget.per_error);
    PER_NAME_BYTE.set(budget.per_name_byte);
    let result = work();
    let enough = is_left();
    LEFT.set(u64::MAX);
    (result, enough)
}

/// Enters a value that holds this many others: one step for it and for each of them. Returns whether the work may go on.
#[inline]
pub(crate) fn enter(values: usize) -> bool {
    take(1 + values as u64)
}

/// Reads a text of this many bytes. A short one takes no step: it stands in a value that was entered.
#[inline]
pub(crate) fn read(bytes: usize) {
    if bytes >= BYTES_PER_STEP {
        take((bytes / BYTES_PER_STEP) as u64);
    }
}

/// Reads a member's name of this many bytes for one rule. Returns whether the work may go on.
#[inline]
pub(crate) fn name(bytes: usize) -> bool {
    take(STEPS_PER_NAME + PER_NAME_BYTE.get().saturating_mul(bytes as u64))
}

/// Takes steps of a regular expression.
pub(crate) fn steps(steps: usize) {
    take(steps as u64);
}

/// Counts one cached result for a value, which takes some 50 bytes: so the budget also bounds the cache.
#[inline]
pub(crate) fn remember() {
    take(STEPS_PER_MEMORY);
}

/// Counts an error. Returns whether it is certain: the budget was not used up before it.
pub(crate) fn error() -> bool {
    let certain = is_left();
    take(PER_ERROR.get());
    certain
}

/// Whether the budget is not used up.
#[inline]
pub(crate) fn is_left() -> bool {
    LEFT.get() > 0
}

#[inline]
fn take(steps: u64) -> bool {
    LEFT.with(|left| {
        let rest = left.get().saturating_sub(steps);
        left.set(rest);
        rest > 0
    })
}
