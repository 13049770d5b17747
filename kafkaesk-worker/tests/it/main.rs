//! Integration tests of the worker: one binary.

mod registration;
