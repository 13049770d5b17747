//! Crate path. Input: the user's Cargo.toml. Output: the path of kafkaesk-schema for generated code.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Error, Path, Result};

/// The crates through which kafkaesk-schema is reached, and whether as their `schema` module.
const ENTRIES: [(&str, bool); 4] = [
    ("kafkaesk-schema", false),
    ("kafkaesk-client", true),
    ("kafkaesk-worker", true),
    ("kafkaesk-cli", true),
];

/// The path of kafkaesk-schema: `crate = …`, or through whichever of our crates is a dependency.
pub(crate) fn of_schema(given: Option<&Path>) -> Result<TokenStream> {
    if let Some(path) = given {
        return Ok(quote!(#path));
    }
    for (package, is_module) in ENTRIES {
        let Ok(found) = crate_name(package) else {
            continue;
        };
        let name = match found {
            // Our crates name themselves: `extern crate self as kafkaesk_…`.
            FoundCrate::Itself => package.replace('-', "_"),
            FoundCrate::Name(name) => name,
        };
        let name = format_ident!("{name}");
        return Ok(if is_module {
            quote!(::#name::schema)
        } else {
            quote!(::#name)
        });
    }
    Err(Error::new(
        Span::call_site(),
        "none of kafkaesk-schema, kafkaesk-client, kafkaesk-worker and kafkaesk-cli is among the dependencies in Cargo.toml; add one, or say where kafkaesk-schema is: `#[event(crate = path::to::kafkaesk_schema)]`",
    ))
}
