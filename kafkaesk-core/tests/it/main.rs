//! The contract's vectors against this crate: every case of every file that core answers for.

mod answers;
mod completions;
mod dead_letters;
mod envelopes;
mod lines;
mod names;
mod partitions;
mod patterns;
