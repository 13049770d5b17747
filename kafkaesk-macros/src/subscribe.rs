//! `#[subscribe]`. Input: an async fn and its options. Output: a subscription in place of the fn.
//!
//! The fn becomes a unit struct of its name that derefs to a fn pointer, so that it is passed by name and can still
//! be called. Everything else is left to kafkaesk-worker's traits.

use kafkaesk_core::{Pattern, span::parse_span};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Expr, ExprLit, FnArg, Item, ItemFn, Lit, LitStr, Path, ReturnType, Token, Type, parenthesized,
    parse::{Parse, ParseStream},
    spanned::Spanned,
};

/// The most arguments of a handler.
const MOST_ARGUMENTS: usize = 8;

/// What stands in the attribute.
struct Arguments {
    pattern: LitStr,
    /// Builder calls, in the order written.
    calls: Vec<TokenStream>,
    krate: Option<Path>,
}

/// One `name = value`.
struct Setting {
    name: syn::Ident,
    value: Expr,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // `crate` is a keyword, and the one that derives use for this.
        let name = if input.peek(Token![crate]) {
            let token: Token![crate] = input.parse()?;
            syn::Ident::new("krate", token.span)
        } else {
            input.parse()?
        };
        if name == "batch" {
            return batch(name, input);
        }
        input.parse::<Token![=]>()?;
        let value = if name == "krate" {
            let path: Path = match input.peek(LitStr) {
                true => input.parse::<LitStr>()?.parse()?,
                false => input.parse()?,
            };
            syn::parse_quote!(#path)
        } else {
            input.parse()?
        };
        Ok(Self { name, value })
    }
}

/// `batch(max = 500, …)`: the settings in its parentheses, as one value.
fn batch(name: syn::Ident, input: ParseStream<'_>) -> syn::Result<Setting> {
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(name.span(), BATCH));
    }
    let content;
    let paren_token = parenthesized!(content in input);
    let elems = content.parse_terminated(Expr::parse, Token![,])?;
    let value = Expr::Tuple(syn::ExprTuple {
        attrs: Vec::new(),
        paren_token,
        elems,
    });
    Ok(Setting { name, value })
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(LitStr) {
            return Err(input.error(
                "the first argument is the pattern, a string: `#[subscribe(\"content.*\")]`",
            ));
        }
        let pattern: LitStr = input.parse()?;
        Pattern::new(&pattern.value())
            .map_err(|error| syn::Error::new(pattern.span(), error.to_string()))?;
        let mut arguments = Self {
            pattern,
            calls: Vec::new(),
            krate: None,
        };
        let mut given: Vec<syn::Ident> = Vec::new();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let Setting { name, value } = input.parse()?;
            if given.contains(&name) {
                let written = name.to_string().replace("krate", "crate");
                return Err(syn::Error::new(
                    name.span(),
                    format!("`{written}` stands twice"),
                ));
            }
            given.push(name.clone());
            if name == "krate" {
                let Expr::Path(path) = value else {
                    return Err(syn::Error::new(value.span(), "a crate's path"));
                };
                arguments.krate = Some(path.path);
            } else {
                arguments.calls.push(call(&name, value)?);
            }
        }
        Ok(arguments)
    }
}

/// One option as a builder call; `#worker` stands for the crate's path.
fn call(name: &syn::Ident, value: Expr) -> syn::Result<TokenStream> {
    let choice = |kind: &str, choices: &[(&str, &str)]| -> syn::Result<TokenStream> {
        let text = text(&value)?;
        let Some((_, variant)) = choices.iter().find(|(word, _)| *word == text.value()) else {
            let words: Vec<_> = choices.iter().map(|(w, _)| format!("\"{w}\"")).collect();
            return Err(syn::Error::new(
                text.span(),
                format!("`{name}` is one of {}", words.join(", ")),
            ));
        };
        let (kind, variant) = (format_ident!("{kind}"), format_ident!("{variant}"));
        Ok(quote!(.#name(__kafkaesk::#kind::#variant)))
    };
    match name.to_string().as_str() {
        "group" | "max_partitions" | "max_concurrency" | "validate" | "max_attempts"
        | "throttle" | "max_uncommitted" => Ok(quote!(.#name(#value))),
        "concurrency" => match &value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(auto),
                ..
            }) if auto.value() == "auto" => Ok(quote!(.#name(__kafkaesk::Concurrency::AUTO))),
            Expr::Lit(ExprLit {
                lit: Lit::Str(_), ..
            }) => Err(syn::Error::new(
                value.span(),
                "`concurrency` is a number, bounds such as 1..=64, or \"auto\"",
            )),
            _ => Ok(quote!(.#name(#value))),
        },
        "timeout" | "stuck_after" => {
            let span = millis(&value)?;
            Ok(quote!(.#name(#span)))
        }
        "retry_backoff" => {
            let Expr::Tuple(pair) = &value else {
                return Err(syn::Error::new(value.span(), BACKOFF));
            };
            let mut spans = pair.elems.iter();
            let (Some(first), Some(longest), None) = (spans.next(), spans.next(), spans.next())
            else {
                return Err(syn::Error::new(value.span(), BACKOFF));
            };
            let (first, longest) = (millis(first)?, millis(longest)?);
            Ok(quote!(.#name(#first, #longest)))
        }
        "batch" => batch_options(&value),
        "failure_limit" => match &value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(off), ..
            }) if off.value() == "off" => Ok(quote!(.#name(::core::option::Option::None))),
            Expr::Tuple(parts) if parts.elems.len() == 3 => {
                let parts = parts.elems.iter();
                Ok(quote!(.#name(__kafkaesk::FailureLimit::new(#(#parts),*))))
            }
            other => Err(syn::Error::new(
                other.span(),
                "`failure_limit` is \"off\", or (share, of, streak) such as (0.5, 100, 20)",
            )),
        },
        "ordering" => choice(
            "Ordering",
            &[("key", "Key"), ("partition", "Partition"), ("none", "None")],
        ),
        "commit" => choice("Commit", &[("interval", "Interval"), ("manual", "Manual")]),
        "on_mismatch" => choice(
            "OnMismatch",
            &[
                ("hold", "Hold"),
                ("dead-letter", "DeadLetter"),
                ("reject", "Reject"),
                ("skip", "Skip"),
            ],
        ),
        "on_no_event" => choice(
            "OnNoEvent",
            &[
                ("dead-letter", "DeadLetter"),
                ("reject", "Reject"),
                ("skip", "Skip"),
                ("hold", "Hold"),
            ],
        ),
        "on_reject" => choice(
            "OnReject",
            &[
                ("dead-letter", "DeadLetter"),
                ("hold", "Hold"),
                ("skip", "Skip"),
                ("log", "Skip"),
            ],
        ),
        "on_failure" => choice(
            "OnFailure",
            &[
                ("dead-letter", "DeadLetter"),
                ("hold", "Hold"),
                ("skip", "Skip"),
            ],
        ),
        "start" => {
            let text = text(&value)?;
            let start = match text.value().as_str() {
                "earliest" => quote!(Earliest),
                "latest" => quote!(Latest),
                span => {
                    let span = parse_span(span).map_err(|_| {
                        syn::Error::new(
                            text.span(),
                            "`start` is \"earliest\", \"latest\", or a span of time back such as \"24h\"",
                        )
                    })?;
                    let millis = span.as_millis() as u64;
                    quote!(Back(::core::time::Duration::from_millis(#millis)))
                }
            };
            Ok(quote!(.start(__kafkaesk::private::Start::#start)))
        }
        _ => Err(syn::Error::new(
            name.span(),
            format!(
                "unknown option `{name}`; there are: group, max_partitions, max_concurrency, concurrency, start, validate, ordering, max_attempts, retry_backoff, on_failure, on_reject, on_mismatch, on_no_event, failure_limit, timeout, stuck_after, throttle, batch, commit, max_uncommitted, crate"
            ),
        )),
    }
}

const BATCH: &str = "`batch` is written with parentheses: `batch(max = 500, bytes = 4_194_304, wait = \"200ms\")`, each of them optional";

/// The builder call of `batch(…)`.
fn batch_options(value: &Expr) -> syn::Result<TokenStream> {
    let Expr::Tuple(settings) = value else {
        return Err(syn::Error::new(value.span(), BATCH));
    };
    let (mut calls, mut given) = (Vec::new(), Vec::new());
    for setting in &settings.elems {
        let named = match setting {
            Expr::Assign(setting) => match &*setting.left {
                Expr::Path(left) => left.path.get_ident().map(|name| (name, &*setting.right)),
                _ => None,
            },
            _ => None,
        };
        let Some((name, value)) = named else {
            return Err(syn::Error::new(setting.span(), BATCH));
        };
        if given.contains(&name) {
            return Err(syn::Error::new(
                name.span(),
                format!("`{name}` stands twice"),
            ));
        }
        given.push(name);
        calls.push(match name.to_string().as_str() {
            "max" | "bytes" | "transaction" => quote!(.#name(#value)),
            "wait" => {
                let span = millis(value)?;
                quote!(.#name(#span))
            }
            _ => {
                return Err(syn::Error::new(
                    name.span(),
                    format!("unknown option `{name}`; a batch has: max, bytes, wait, transaction"),
                ));
            }
        });
    }
    Ok(quote!(.batch(__kafkaesk::BatchOptions::new() #(#calls)*)))
}

const BACKOFF: &str = "`retry_backoff` is (first, longest), such as (\"100ms\", \"30s\")";

/// A span of time as text, as a `Duration`.
fn millis(value: &Expr) -> syn::Result<TokenStream> {
    let text = text(value)?;
    let span = parse_span(&text.value())
        .map_err(|error| syn::Error::new(text.span(), error.to_string()))?;
    let millis = span.as_millis() as u64;
    Ok(quote!(::core::time::Duration::from_millis(#millis)))
}

fn text(value: &Expr) -> syn::Result<&LitStr> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Ok(text),
        other => Err(syn::Error::new(other.span(), "a string in quotes")),
    }
}

/// The worker's path in the crate that uses the macro.
fn worker_path() -> syn::Result<TokenStream> {
    use proc_macro_crate::{FoundCrate, crate_name};
    let found = |name: &str| {
        let in_rust = name.replace('-', "_");
        match crate_name(name) {
            Ok(FoundCrate::Itself) => Some(format_ident!("{in_rust}")),
            Ok(FoundCrate::Name(renamed)) => Some(syn::Ident::new(&renamed, Span::call_site())),
            Err(_) => None,
        }
    };
    if let Some(worker) = found("kafkaesk-worker") {
        return Ok(quote!(::#worker));
    }
    if let Some(cli) = found("kafkaesk-cli") {
        return Ok(quote!(::#cli::worker));
    }
    Err(syn::Error::new(
        Span::call_site(),
        "`#[subscribe]` needs kafkaesk-worker or kafkaesk-cli in Cargo.toml, or `crate = path::to::kafkaesk_worker`",
    ))
}

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let arguments: Arguments = syn::parse2(arguments)?;
    let mut function = function(item)?;
    let types = check(&function)?;
    let worker = match &arguments.krate {
        Some(path) => quote!(#path),
        None => worker_path()?,
    };

    let (pattern, calls) = (&arguments.pattern, &arguments.calls);
    let name = function.sig.ident.clone();
    let text = syn::ext::IdentExt::unraw(&name).to_string();
    let visibility = std::mem::replace(&mut function.vis, syn::Visibility::Inherited);
    let (of_struct, of_function): (Vec<_>, Vec<_>) = function
        .attrs
        .drain(..)
        .partition(|a| a.path().is_ident("doc") || a.path().is_ident("cfg"));
    function.attrs = of_function;
    let configured = of_struct.iter().filter(|a| a.path().is_ident("cfg"));
    let output = match &function.sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, output) => quote!(#output),
    };
    let output_asserted = match &function.sig.output {
        ReturnType::Default => quote!(),
        ReturnType::Type(_, output) => {
            quote_spanned!(output.span()=> __returns::<#output>();)
        }
    };
    let asserted = types
        .iter()
        .map(|ty| quote_spanned!(ty.span()=> __argument::<#ty>();));
    let values: Vec<_> = (0..types.len()).map(|i| format_ident!("__a{i}")).collect();

    Ok(quote! {
        #(#of_struct)*
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, Debug)]
        #visibility struct #name;

        #(#configured)*
        const _: () = {
            use #worker as __kafkaesk;

            #function

            fn __call(#(#values: #types),*) -> __kafkaesk::private::BoxFuture<'static, #output> {
                __kafkaesk::private::Box::pin(#name(#(#values),*))
            }

            // So that what is wrong with an argument is said at that argument.
            #[allow(dead_code)]
            fn __assert() {
                fn __argument<T: __kafkaesk::FromDelivery>() {}
                fn __returns<T: __kafkaesk::IntoAttemptResult>() {}
                #(#asserted)*
                #output_asserted
            }

            impl ::core::ops::Deref for #name {
                type Target = fn(#(#types),*) -> __kafkaesk::private::BoxFuture<'static, #output>;

                fn deref(&self) -> &Self::Target {
                    const CALL: fn(#(#types),*) -> __kafkaesk::private::BoxFuture<'static, #output> = __call;
                    &CALL
                }
            }

            impl __kafkaesk::IntoSubscription for #name {
                fn into_subscription(self) -> __kafkaesk::Subscription {
                    __kafkaesk::subscription(#pattern, #name)
                        .named(#text)
                        #(#calls)*
                }
            }
        };
    })
}

/// The function that the attribute stands on.
fn function(item: TokenStream) -> syn::Result<ItemFn> {
    match syn::parse2(item)? {
        Item::Fn(function) => Ok(function),
        other => Err(syn::Error::new(
            other.span(),
            "`#[subscribe]` stands on a handler: an `async fn` with a body",
        )),
    }
}

/// What no trait can say as well; gives the arguments' types.
fn check(function: &ItemFn) -> syn::Result<Vec<Type>> {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        return Err(syn::Error::new(
            signature.fn_token.span(),
            "a handler is an `async fn`; write `async` before `fn`",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(syn::Error::new(
            signature.generics.span(),
            "a handler cannot be generic: its arguments' types decide what it gets",
        ));
    }
    if let ReturnType::Type(_, output) = &signature.output
        && matches!(**output, Type::ImplTrait(_) | Type::Never(_))
    {
        return Err(syn::Error::new(
            output.span(),
            "a handler returns `()`, `Outcome`, or `Result<_, HandlerError>`, written out",
        ));
    }
    let mut types = Vec::new();
    for (i, argument) in signature.inputs.iter().enumerate() {
        let FnArg::Typed(argument) = argument else {
            return Err(syn::Error::new(
                argument.span(),
                "a handler is a function, not a method; take what it needs as `State<T>`",
            ));
        };
        if i == MOST_ARGUMENTS {
            return Err(syn::Error::new(
                argument.span(),
                "a handler takes at most 8 arguments; put several values into one `State<T>`",
            ));
        }
        if let Type::Reference(reference) = &*argument.ty {
            return Err(syn::Error::new(
                reference.span(),
                "a handler's arguments are owned; write the type without `&`",
            ));
        }
        if let Type::ImplTrait(ty) = &*argument.ty {
            return Err(syn::Error::new(
                ty.span(),
                "a handler's argument has a type of its own; `impl Trait` says too little",
            ));
        }
        types.push((*argument.ty).clone());
    }
    Ok(types)
}
