//! Derives and attributes of kafkaesk: thin over traits that work without them.

use proc_macro::TokenStream;

/// Makes a type one version of one schema.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Makes an enum of event types a handler argument.
#[proc_macro_derive(Events, attributes(event))]
pub fn derive_events(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Makes an async fn a subscription.
#[proc_macro_attribute]
pub fn subscribe(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    item
}
