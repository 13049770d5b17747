//! Names in attributes: checks schema names and stream ids, so that an error points at the literal.

use kafkaesk_core::{SchemaName, StreamId};
use syn::{Error, LitStr, Result};

pub(crate) fn check_schema(name: &LitStr) -> Result<()> {
    SchemaName::new(name.value())
        .map(drop)
        .map_err(|error| Error::new(name.span(), error.to_string()))
}

pub(crate) fn check_stream(stream: &LitStr) -> Result<()> {
    StreamId::new(stream.value())
        .map(drop)
        .map_err(|error| Error::new(stream.span(), error.to_string()))
}
