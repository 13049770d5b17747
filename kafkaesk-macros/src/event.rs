//! `#[derive(Event)]`: implements `Event` for a type from its `#[event(…)]`. Reads no schema.

use std::path::Path;

use kafkaesk_core::{DeclaredProperties, Keys, PartitionGrowth};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, LitStr, Result};

use crate::{arguments::EventArguments, generics, path};

const FORM: &str = "write `#[event(name = \"Content\", version = 1)]`";

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if let Data::Union(union) = &input.data {
        return Err(Error::new(
            union.union_token.span,
            "an event is a struct or an enum: a union has no JSON",
        ));
    }
    generics::refuse(
        input,
        "an event type has no generics: one schema has one document",
    )?;
    let arguments = EventArguments::of(input)?;
    let ident = &input.ident;
    let name = arguments
        .name
        .as_ref()
        .ok_or_else(|| Error::new(arguments.span, format!("`name` is missing: {FORM}")))?;
    let version = arguments
        .version
        .ok_or_else(|| Error::new(arguments.span, format!("`version` is missing: {FORM}")))?;
    let schema = path::of_schema(arguments.krate.as_ref())?;
    let streams = &arguments.streams;
    let retention = arguments.retention.map(|millis| {
        quote! {
            const RETENTION: ::core::option::Option<::core::time::Duration> =
                ::core::option::Option::Some(::core::time::Duration::from_millis(#millis));
        }
    });
    let properties = properties(arguments.properties, &schema);
    let accepts = match &arguments.accepts {
        Some(range) => {
            let (low, high) = range.bounds_around(version)?;
            Some(quote! {
                fn accepts(version: u32) -> bool {
                    (#low..=#high).contains(&version)
                }
            })
        }
        None => None,
    };
    let document = match &arguments.schema {
        Some(file) => {
            check_file(file)?;
            quote! {
            #schema::private::parsed(::core::include_bytes!(
                ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #file)
            ))
            }
        }
        None => quote!(#schema::private::derived::<Self>()),
    };
    Ok(quote! {
        #[automatically_derived]
        impl #schema::Event for #ident {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            const STREAMS: &'static [&'static str] = &[#(#streams),*];
            #retention
            #properties

            fn document() -> ::core::result::Result<#schema::Document, #schema::DocumentError> {
                static DOCUMENT: #schema::private::Cell = #schema::private::Cell::new();
                #schema::private::cached(&DOCUMENT, || #document)
            }

            #accepts
        }
    })
}

/// The properties of its streams, if it declares any.
fn properties(declared: DeclaredProperties, schema: &TokenStream) -> Option<TokenStream> {
    if declared == DeclaredProperties::NONE {
        return None;
    }
    let core = quote!(#schema::private::core);
    let option = |value: Option<TokenStream>| match value {
        Some(value) => quote!(::core::option::Option::Some(#core::#value)),
        None => quote!(::core::option::Option::None),
    };
    let keys = option(declared.keys.map(|keys| match keys {
        Keys::Any => quote!(Keys::Any),
        Keys::None => quote!(Keys::None),
    }));
    let growth = option(declared.partition_growth.map(|growth| match growth {
        PartitionGrowth::Propose => quote!(PartitionGrowth::Propose),
        PartitionGrowth::Auto => quote!(PartitionGrowth::Auto),
        PartitionGrowth::Off => quote!(PartitionGrowth::Off),
    }));
    Some(quote! {
        const PROPERTIES: #core::DeclaredProperties = #core::DeclaredProperties {
            keys: #keys,
            partition_growth: #growth,
        };
    })
}

/// `include_bytes!` would say so too, but not at the literal.
fn check_file(file: &LitStr) -> Result<()> {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    if Path::new(&folder).join(file.value()).is_file() {
        return Ok(());
    }
    Err(Error::new(
        file.span(),
        "there is no such file; its path is relative to the folder of Cargo.toml",
    ))
}
