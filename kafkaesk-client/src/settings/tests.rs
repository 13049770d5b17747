//! Laws of settings built in code.
