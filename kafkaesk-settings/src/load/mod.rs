//! Settings from defaults, `kafkaesk.toml`, its profile, the environment and flags: in that order, the later wins.
//! Typed, each with its place. Opens no connection.

mod context;
mod convert;
mod declarations;
mod effective;
mod environment;
mod error;
mod find;
mod glob;
mod json_text;
mod kafka;
mod keys;
mod layers;
mod loader;
mod resolve;
mod section;
mod toml_file;
mod value;

#[cfg(test)]
mod tests;

pub use declarations::{SchemaDeclaration, StreamDeclaration};
pub use effective::Effective;
pub use error::SettingsError;
pub use loader::{Loaded, Loader};
pub use section::Section;
pub use value::Origin;
