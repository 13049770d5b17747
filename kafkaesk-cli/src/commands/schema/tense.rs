//! Tense: whether a push prints what it did or what it would do.

/// Whether the plan's lines say what was done or what would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tense {
    Would,
    Did,
}
