//! Laws of the difference.
