//! `TestApp`: an application over an in-memory broker, for its own tests.

/// An application under test.
#[derive(Debug)]
pub struct TestApp {}
