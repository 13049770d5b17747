//! Laws of compile errors: what cannot be a handler does not compile, and the compiler says why in plain words.

#[test]
fn what_is_no_handler_is_told_at_the_place_of_the_mistake() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
