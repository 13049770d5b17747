//! Derive arguments. Input: `#[event(…)]`. Output: checked arguments, or an error at the wrong token.

use kafkaesk_core::{
    DeclaredProperties, Keys, PartitionGrowth, schema_id::MAX_VERSION,
    stream_properties::PropertyError,
};
use proc_macro2::Span;
use syn::{
    DeriveInput, Error, LitInt, LitStr, Path, Result, Token, bracketed, meta::ParseNestedMeta,
    parse::ParseStream, punctuated::Punctuated, spanned::Spanned as _,
};

use crate::{names, range::VersionRange, retention};

const KEYS: &str =
    "name, version, streams, retention, keys, partition_growth, accepts, schema, crate";

/// What stands in a type's `#[event(…)]`.
pub(crate) struct EventArguments {
    /// Where something that is missing would stand.
    pub(crate) span: Span,
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<u32>,
    pub(crate) streams: Vec<LitStr>,
    /// In milliseconds.
    pub(crate) retention: Option<u64>,
    pub(crate) properties: DeclaredProperties,
    pub(crate) accepts: Option<VersionRange>,
    pub(crate) schema: Option<LitStr>,
    pub(crate) krate: Option<Path>,
}

impl EventArguments {
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let mut arguments = Self {
            span: input.ident.span(),
            name: None,
            version: None,
            streams: Vec::new(),
            retention: None,
            properties: DeclaredProperties::NONE,
            accepts: None,
            schema: None,
            krate: None,
        };
        let mut seen: Vec<String> = Vec::new();
        for attribute in &input.attrs {
            if !attribute.path().is_ident("event") {
                continue;
            }
            arguments.span = attribute.span();
            attribute.parse_nested_meta(|meta| {
                let key = key_of(&meta);
                if seen.contains(&key) {
                    return Err(meta.error(format!("`{key}` stands twice")));
                }
                arguments.take(&key, &meta)?;
                seen.push(key);
                Ok(())
            })?;
        }
        Ok(arguments)
    }

    fn take(&mut self, key: &str, meta: &ParseNestedMeta<'_>) -> Result<()> {
        match key {
            "name" => {
                let name: LitStr = meta.value()?.parse()?;
                names::check_schema(&name)?;
                self.name = Some(name);
            }
            "version" => self.version = Some(version(meta.value()?)?),
            "streams" => self.streams = streams(meta.value()?)?,
            "retention" => self.retention = Some(retention::parse(meta.value()?)?),
            "keys" => self.properties.keys = Some(property(meta.value()?, Keys::parse)?),
            "partition_growth" => {
                let growth = property(meta.value()?, PartitionGrowth::parse)?;
                self.properties.partition_growth = Some(growth);
            }
            "accepts" => self.accepts = Some(VersionRange::parse(meta.value()?)?),
            "schema" => self.schema = Some(meta.value()?.parse()?),
            "crate" => self.krate = Some(krate(meta.value()?)?),
            other => {
                return Err(meta.error(format!("`{other}` is not known here; known are {KEYS}")));
            }
        }
        Ok(())
    }
}

/// The `crate = …` of an enum with `#[derive(Events)]`, which takes nothing else.
pub(crate) fn only_crate(input: &DeriveInput) -> Result<Option<Path>> {
    let mut found = None;
    for attribute in &input.attrs {
        if !attribute.path().is_ident("event") {
            continue;
        }
        attribute.parse_nested_meta(|meta| match key_of(&meta).as_str() {
            "crate" => {
                found = Some(krate(meta.value()?)?);
                Ok(())
            }
            other => Err(meta.error(format!(
                "`{other}` is not known on an enum of events, only `crate`: names and versions stand on the variants' own types"
            ))),
        })?;
    }
    Ok(found)
}

fn key_of(meta: &ParseNestedMeta<'_>) -> String {
    let segments: Vec<String> = meta
        .path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect();
    segments.join("::")
}

fn version(input: ParseStream<'_>) -> Result<u32> {
    let wanted = "a version is a whole number from 1 to 2147483647, as in `version = 1`";
    let literal: LitInt = input
        .parse()
        .map_err(|error| Error::new(error.span(), wanted))?;
    match literal.base10_parse::<u32>() {
        Ok(version) if (1..=MAX_VERSION).contains(&version) => Ok(version),
        _ => Err(Error::new(literal.span(), wanted)),
    }
}

fn streams(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    if !input.peek(syn::token::Bracket) {
        return Err(input.error("streams stand in brackets, as in `streams = [\"orders.placed\"]`"));
    }
    let content;
    bracketed!(content in input);
    let streams: Punctuated<LitStr, Token![,]> =
        content.parse_terminated(|stream| stream.parse(), Token![,])?;
    let mut seen = Vec::new();
    for stream in &streams {
        names::check_stream(stream)?;
        if seen.contains(&stream.value()) {
            return Err(Error::new(stream.span(), "this stream stands twice"));
        }
        seen.push(stream.value());
    }
    Ok(streams.into_iter().collect())
}

/// A value of a stream's property, in quotes.
fn property<T>(
    input: ParseStream<'_>,
    read: fn(&str) -> std::result::Result<T, PropertyError>,
) -> Result<T> {
    let text: LitStr = input.parse()?;
    read(&text.value()).map_err(|error| Error::new(text.span(), error))
}

/// A path, bare or in quotes.
fn krate(input: ParseStream<'_>) -> Result<Path> {
    if input.peek(LitStr) {
        return input.parse::<LitStr>()?.parse_with(Path::parse_mod_style);
    }
    Path::parse_mod_style(input)
}
