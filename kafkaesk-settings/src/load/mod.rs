//! Loads settings from `kafkaesk.toml`, its profile, the environment and flags. Later sources win; figment merges them.

mod context;
mod declarations;
mod deserialize;
mod effective;
mod environment;
mod error;
mod find;
mod glob;
mod json_text;
mod kafka;
mod keys;
mod layers;
mod limits;
mod loader;
mod node;
mod operate;
mod origin;
mod resolve;
mod section;
mod syntax;
mod toml_file;
mod typed;

#[cfg(test)]
mod tests;

pub use declarations::{SchemaDeclaration, StreamDeclaration};
pub use effective::Effective;
pub use error::SettingsError;
pub use loader::{Loaded, Loader};
pub use origin::Origin;
pub use section::Section;
pub use typed::{Span, Texts, Whole};
