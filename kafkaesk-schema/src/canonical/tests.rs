//! Laws of the canonical form.
