//! What one validation may cost, counted in looks at values: once it is spent, no look leads any further.
//!
//! A schema may judge one value in twice as many ways with each level of the data, and jsonschema knows no bound. But
//! it sees the data only through `represent.rs`, and that ends it: with the looks spent, no value has anything inside.
//! What comes out then is no verdict. Knows no schema.

use std::cell::Cell;

/// So many bytes of a text are worth one look.
const BYTES_OF_A_LOOK: usize = 64;
/// A verdict that may be remembered takes as many looks.
const LOOKS_OF_A_MEMORY: u64 = 16;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    static PER_ERROR: Cell<u64> = const { Cell::new(0) };
}

/// Runs `work`, which may take fewer than `looks`, of which each error that it makes takes `per_error`. With its result:
/// whether they were enough.
pub(crate) fn within<T>(looks: u64, per_error: u64, work: impl FnOnce() -> T) -> (T, bool) {
    LEFT.set(looks);
    PER_ERROR.set(per_error);
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
