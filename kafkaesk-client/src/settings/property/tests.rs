//! Laws of the property table.
