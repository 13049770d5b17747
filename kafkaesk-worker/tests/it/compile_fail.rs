//! What is no handler does not compile, and the compiler says why in words that a newcomer understands.

#[test]
fn what_is_no_handler_is_told_at_the_place_of_the_mistake() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
