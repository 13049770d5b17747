//! Generics: refuses generic types in a derive, at the generics themselves.

use syn::{DeriveInput, Error, Result};

pub(crate) fn refuse(input: &DeriveInput, why: &str) -> Result<()> {
    if input.generics.params.is_empty() {
        return Ok(());
    }
    Err(Error::new_spanned(&input.generics.params, why))
}
