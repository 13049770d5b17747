//! `#[derive(Events)]`: implements `Events` for an enum. Each variant accepts exactly its name and version.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Type, Variant};

use crate::{arguments, generics, path};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "Events is derived on an enum, as in `enum ContentChange { V1(Content), V2(ContentV2) }`; a single event type derives Event",
        ));
    };
    generics::refuse(input, "an enum of events has no generics")?;
    if data.variants.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "an enum of events has at least one variant, as in `V1(Content)`",
        ));
    }
    let schema = path::of_schema(arguments::only_crate(input)?.as_ref())?;
    let ident = &input.ident;
    let variants: Vec<(&Ident, &Type)> = data
        .variants
        .iter()
        .map(|variant| event_of(variant).map(|event| (&variant.ident, event)))
        .collect::<Result<_>>()?;
    let names = variants.iter().map(|(name, _)| name);
    let events: Vec<&Type> = variants.iter().map(|(_, event)| *event).collect();
    Ok(quote! {
        #[automatically_derived]
        impl #schema::Events for #ident {
            fn takes(name: &str, version: u32) -> bool {
                #(#schema::private::is::<#events>(name, version))||*
            }

            fn decode(
                name: &str,
                version: u32,
                data: &[u8],
            ) -> ::core::result::Result<Self, #schema::DecodeError> {
                #(
                    if #schema::private::is::<#events>(name, version) {
                        return #schema::private::decode::<#events>(data).map(Self::#names);
                    }
                )*
                ::core::result::Result::Err(#schema::private::unlisted(
                    name,
                    version,
                    &[#(#schema::private::id::<#events>()),*],
                ))
            }

            fn schemas() -> ::core::result::Result<
                #schema::private::Vec<#schema::EventSchema>,
                #schema::DocumentError,
            > {
                ::core::result::Result::Ok(<[_]>::into_vec(#schema::private::Box::new([
                    #(#schema::EventSchema::of::<#events>()?),*
                ])))
            }
        }

        // Two variants of one schema id: the second could never be reached.
        const _: () = #schema::private::assert_distinct(&[
            #(#schema::private::id::<#events>()),*
        ]);
    })
}

fn event_of(variant: &Variant) -> Result<&Type> {
    match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Ok(&fields.unnamed[0].ty),
        _ => Err(Error::new_spanned(
            variant,
            format!(
                "a variant holds exactly one event type, as in `{}(Content)`",
                variant.ident
            ),
        )),
    }
}
