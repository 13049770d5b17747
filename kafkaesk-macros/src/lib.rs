//! Derives and attributes of kafkaesk: thin over traits that work without them.
//!
//! Tokens in, tokens out: this file only dispatches, one file for each macro. Use them through
//! `kafkaesk-schema`, `-client`, `-worker` or `-cli`, which re-export them.

use proc_macro::TokenStream;

mod event;
mod events;
mod subscribe;

/// Makes a type one version of one schema.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    event::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes an enum of event types a handler argument.
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
