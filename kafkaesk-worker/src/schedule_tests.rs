//! The lanes' laws.
