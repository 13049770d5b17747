//! Integration tests of the worker: one binary.

mod events;
mod registration;
mod test_app;
