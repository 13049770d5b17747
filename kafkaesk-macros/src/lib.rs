//! Derives and attributes of kafkaesk: thin code over traits that work without them.
//!
//! Tokens in, tokens out: this file only dispatches, one file for each macro. Use them through
//! `kafkaesk-schema`, `-client`, `-worker` or `-cli`, which re-export them.

#![forbid(unsafe_code)]

use proc_macro::TokenStream;

mod arguments;
mod event;
mod events;
mod generics;
mod names;
mod path;
mod range;
mod retention;
mod subscribe;

/// Makes a type one version of one schema.
///
/// On a struct or an enum with serde's `Serialize` and `Deserialize`, and schemars' `JsonSchema`
/// unless `schema` names a document: `#[event(…)]` takes
///
/// | key | |
/// |---|---|
/// | `name = "Content"` | the schema's name; needed |
/// | `version = 1` | the version that publishing writes, from 1; needed |
/// | `streams = ["content.edited"]` | streams to create ahead, bound to the name |
/// | `retention = "24h"` | of streams that this program creates; or a number of seconds |
/// | `keys = "none"` | its streams take no keys: a publish with one is refused |
/// | `partition_growth = "auto"` | of its streams: `"propose"`, `"auto"` or `"off"` |
/// | `accepts = "1..=2"` | versions that reading takes; without it, every version that deserializes |
/// | `schema = "schemas/Content.1.json"` | this document instead of the derived one; relative to Cargo.toml |
/// | `crate = path::to::kafkaesk_schema` | where kafkaesk-schema is, if Cargo.toml does not tell |
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    event::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes an enum of event types a handler argument: `enum Change { V1(Content), V2(ContentV2) }`.
///
/// Each variant takes exactly the name and version of its type; any other schema id is a mismatch.
/// `#[event(crate = …)]` as for `Event`.
#[proc_macro_derive(Events, attributes(event))]
pub fn derive_events(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    events::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes an async fn a subscription.
#[proc_macro_attribute]
pub fn subscribe(arguments: TokenStream, item: TokenStream) -> TokenStream {
    subscribe::expand(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
