//! What the derives refuse, and in which words: each file in `tests/ui` has its error beside it.
//!
//! Only errors that the derives word themselves: rustc rewords the others every few versions.

#[test]
fn mistakes_in_derives_are_explained_where_they_stand() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
