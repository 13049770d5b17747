//! Validation budget: counts accesses to values, and stops the validation when the budget is used up.
//!
//! A schema may judge one value in twice as many ways with each level of the data, and jsonschema knows no bound. But
//! it sees the data only through `represent.rs`, and that ends it: with the looks spent, no value has anything inside.
//! What comes out then is no verdict. Knows no schema.

use std::cell::Cell;

/// So many bytes of a text are worth one look.
const BYTES_OF_A_LOOK: usize = 64;
/// A verdict that may be remembered takes as many looks.
const LOOKS_OF_A_MEMORY: u64 = 16;

/// A member's name is read for a rule, perhaps by a regular expression: as many looks.
const LOOKS_OF_A_NAME: u64 = 4;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    static PER_ERROR: Cell<u64> = const { Cell::new(0) };
    static PER_NAME_BYTE: Cell<u64> = const { Cell::new(0) };
}

/// What work may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Fewer than so many looks.
    pub(crate) looks: u64,
    /// So many of them for each error that it makes.
    pub(crate) per_error: u64,
    /// So many for each byte of a member's name that is read.
    pub(crate) per_name_byte: u64,
}

/// Runs `work`. With its result: whether the looks were enough.
pub(crate) fn within<T>(allowance: Allowance, work: impl FnOnce() -> T) -> (T, bool) {
    LEFT.set(allowance.looks);
    PER_ERROR.set(allowance.per_error);
    PER_NAME_BYTE.set(allowance.per_name_byte);
    let result = work();
    let enough = is_left();
    LEFT.set(u64::MAX);
    (result, enough)
}

/// A look at a value that holds so many others, which counts as one at each of them; whether it may lead further.
#[inline]
pub(crate) fn look(values: usize) -> bool {
    take(1 + values as u64)
}

/// A text of so many bytes is read. Short ones are not counted: there are no more of them than of other looks.
#[inline]
pub(crate) fn read(bytes: usize) {
    if bytes >= BYTES_OF_A_LOOK {
        take((bytes / BYTES_OF_A_LOOK) as u64);
    }
}

/// A member's name of so many bytes is read for one rule; whether it may be.
#[inline]
pub(crate) fn name(bytes: usize) -> bool {
    take(LOOKS_OF_A_NAME + PER_NAME_BYTE.get().saturating_mul(bytes as u64))
}

/// So many steps of a regular expression are taken.
pub(crate) fn steps(steps: usize) {
    take(steps as u64);
}

/// A verdict on a value may be remembered, for the next way to it, in some 50 bytes: that memory has its bound here.
#[inline]
pub(crate) fn remember() {
    take(LOOKS_OF_A_MEMORY);
}

/// An error was made; whether all looks before it told the truth.
pub(crate) fn error() -> bool {
    let certain = is_left();
    take(PER_ERROR.get());
    certain
}

/// Whether looks are left; what is under way when they are spent ends by it.
#[inline]
pub(crate) fn is_left() -> bool {
    LEFT.get() > 0
}

#[inline]
fn take(looks: u64) -> bool {
    LEFT.with(|left| {
        let rest = left.get().saturating_sub(looks);
        left.set(rest);
        rest > 0
    })
}
