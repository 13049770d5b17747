//! Schema names and stream ids in attributes: checked here so that the error points at the literal.
//!
//! kafkaesk-core holds the rules; this repeats those that a literal can break by itself.

use syn::{Error, LitStr, Result};

pub(crate) fn check_schema(name: &LitStr) -> Result<()> {
    check_characters("a schema name", name)
}

pub(crate) fn check_stream(stream: &LitStr) -> Result<()> {
    check_characters("a stream id", stream)?;
    let text = stream.value();
    if text.starts_with("__") || text.contains("__schema__") || text.ends_with("__streams__") {
        return Err(Error::new(
            stream.span(),
            "this stream id is reserved: ids that begin with `__`, contain `__schema__` or end in `__streams__` are kafkaesk's own",
        ));
    }
    Ok(())
}

fn check_characters(what: &str, literal: &LitStr) -> Result<()> {
    let text = literal.value();
    if text.is_empty() {
        return Err(Error::new(literal.span(), format!("{what} is not empty")));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match text.chars().find(|c| !allowed(*c)) {
        Some(other) => Err(Error::new(
            literal.span(),
            format!("{what} has letters, digits, `.`, `_` and `-`, but not {other:?}"),
        )),
        None => Ok(()),
    }
}
