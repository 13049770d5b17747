//! Event types: the traits that `#[derive(Event)]` and `#[derive(Events)]` implement.

use std::time::Duration;

use kafkaesk_core::{DeclaredProperties, SchemaId, SchemaName};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{Document, DocumentError, private};

/// A type that is one version of one schema.
///
/// Usually derived; by hand it needs a name, a version and a document:
///
/// ```
/// use kafkaesk_schema::{Document, DocumentError, Event};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Order {
///     id: u64,
/// }
///
/// impl Event for Order {
///     const NAME: &'static str = "Order";
///     const VERSION: u32 = 1;
///
///     fn document() -> Result<Document, DocumentError> {
///         Document::parse(r#"{"properties": {"id": {"type": "integer"}}, "required": ["id"]}"#)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "derive it: `#[derive(Event, Serialize, Deserialize, JsonSchema)] #[event(name = \"…\", version = 1)]`, or implement `Event` by hand"
)]
pub trait Event: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// The schema's name.
    const NAME: &'static str;
    /// The version that publishing writes.
    const VERSION: u32;
    /// Streams to create ahead, bound to this schema's name.
    const STREAMS: &'static [&'static str] = &[];
    /// The retention of streams that this program creates.
    const RETENTION: Option<Duration> = None;
    /// Whether its streams take keys, and how they grow.
    const PROPERTIES: DeclaredProperties = DeclaredProperties::NONE;

    /// The type's own document: schemars' *deserialize* contract, or `schema = "file"`. The derive
    /// makes it once and then hands out the same.
    ///
    /// # Errors
    /// [`DocumentError`] when a hand-written document is not a schema.
    fn document() -> Result<Document, DocumentError>;

    /// Which versions of its name reading takes; default all (docs/decisions.md, versions).
    fn accepts(_version: u32) -> bool {
        true
    }
}

/// The description of an event type as data.
#[derive(Clone, Debug)]
pub struct EventSchema {
    /// `Name:version`.
    pub id: SchemaId,
    /// The type's own document.
    pub document: Document,
    /// Streams to create ahead.
    pub streams: Vec<String>,
    /// Their retention.
    pub retention: Option<Duration>,
    /// Whether they take keys, and how they grow.
    pub properties: DeclaredProperties,
}

impl EventSchema {
    /// Of one event type.
    ///
    /// # Errors
    /// [`DocumentError`] when name, version or document are not usable.
    pub fn of<T: Event>() -> Result<Self, DocumentError> {
        let malformed = |e: String| DocumentError::Malformed(e);
        let name = SchemaName::new(T::NAME).map_err(|e| malformed(e.to_string()))?;
        Ok(Self {
            id: SchemaId::new(name, T::VERSION).map_err(|e| malformed(e.to_string()))?,
            document: T::document()?,
            streams: T::STREAMS.iter().map(|s| (*s).to_owned()).collect(),
            retention: T::RETENTION,
            properties: T::PROPERTIES,
        })
    }
}

/// Why a message's data did not become the handler's type.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The type does not take this schema id.
    #[error("schema {schema} is none of {wanted}")]
    Schema {
        /// What the message carries.
        schema: String,
        /// What the type takes.
        wanted: String,
    },
    /// The data does not deserialize.
    #[error("the data does not fit {type_name}: {message}")]
    Data {
        /// The Rust type.
        type_name: &'static str,
        /// serde's words, with line and column.
        message: String,
    },
}

/// A handler argument that takes one or several schemas: every [`Event`], and enums with `#[derive(Events)]`.
pub trait Events: Sized + Send + 'static {
    /// Whether this type takes the schema id.
    fn takes(name: &str, version: u32) -> bool;

    /// Decodes data of a schema id that [`Events::takes`] took.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn decode(name: &str, version: u32, data: &[u8]) -> Result<Self, DecodeError>;

    /// Every schema that it takes, for registration.
    ///
    /// # Errors
    /// [`DocumentError`].
    fn schemas() -> Result<Vec<EventSchema>, DocumentError>;

    /// The value for a tombstone, a record with a null value. Most types have none and return `None`; `Option<T>`
    /// returns `Some(None)`.
    fn tombstone() -> Option<Self> {
        None
    }
}

/// The event, or `None` for a tombstone. Data that is `null` is an event, which `T` takes or not.
impl<T: Events> Events for Option<T> {
    fn takes(name: &str, version: u32) -> bool {
        T::takes(name, version)
    }

    fn decode(name: &str, version: u32, data: &[u8]) -> Result<Self, DecodeError> {
        T::decode(name, version, data).map(Some)
    }

    fn schemas() -> Result<Vec<EventSchema>, DocumentError> {
        T::schemas()
    }

    fn tombstone() -> Option<Self> {
        Some(None)
    }
}

impl<T: Event> Events for T {
    fn takes(name: &str, version: u32) -> bool {
        name == T::NAME && T::accepts(version)
    }

    fn decode(_name: &str, _version: u32, data: &[u8]) -> Result<Self, DecodeError> {
        private::decode(data)
    }

    fn schemas() -> Result<Vec<EventSchema>, DocumentError> {
        Ok(vec![EventSchema::of::<T>()?])
    }
}
