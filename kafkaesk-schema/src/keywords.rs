//! Keywords: where a schema contains schemas, and which keywords are annotations.
//!
//! One table for all drafts: under a keyword that a draft does not know, values have no meaning, so it is harmless to
//! treat them as schemas. Decides nothing about validity.

/// The closed list of annotations. `format` is not among them, since consumers use it.
const ANNOTATIONS: [&str; 8] = [
    "title",
    "description",
    "$comment",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// Whether a keyword only annotates: stripped from the canonical form in schema positions.
pub(crate) fn is_annotation(keyword: &str) -> bool {
    ANNOTATIONS.contains(&keyword)
}

/// The kind of a place in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SchemaPosition {
    /// A schema.
    Schema,
    /// An array of schemas.
    Schemas,
    /// A schema, or an array of schemas (`items` until 2019-09).
    SchemaOrSchemas,
    /// An object whose members are schemas, whatever their names.
    Named,
    /// Data: nothing in it is a schema.
    Data,
}

impl SchemaPosition {
    /// The kind of a member of an object at this place.
    pub(crate) fn in_member(self, key: &str) -> Self {
        match self {
            Self::Schema | Self::SchemaOrSchemas => keyword(key),
            Self::Named => Self::Schema,
            Self::Schemas | Self::Data => Self::Data,
        }
    }

    /// The kind of an item of an array at this place.
    pub(crate) fn in_item(self) -> Self {
        match self {
            Self::Schemas | Self::SchemaOrSchemas => Self::Schema,
            Self::Schema | Self::Named | Self::Data => Self::Data,
        }
    }

    /// Whether an object at this place is a schema.
    pub(crate) fn is_schema(self) -> bool {
        matches!(self, Self::Schema | Self::SchemaOrSchemas)
    }
}

/// Whether the schemas under a keyword apply to the same value as the schema with the keyword.
pub(crate) fn is_in_place(keyword: &str) -> bool {
    matches!(
        keyword,
        "allOf"
            | "anyOf"
            | "dependencies"
            | "dependentSchemas"
            | "else"
            | "if"
            | "not"
            | "oneOf"
            | "then"
    )
}

fn keyword(key: &str) -> SchemaPosition {
    match key {
        "additionalItems"
        | "additionalProperties"
        | "contains"
        | "contentSchema"
        | "else"
        | "if"
        | "not"
        | "propertyNames"
        | "then"
        | "unevaluatedItems"
        | "unevaluatedProperties" => SchemaPosition::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => SchemaPosition::Schemas,
        "items" => SchemaPosition::SchemaOrSchemas,
        // A member of `dependencies` may be an array of names: no item of it is a schema.
        "$defs" | "definitions" | "dependencies" | "dependentSchemas" | "patternProperties"
        | "properties" => SchemaPosition::Named,
        _ => SchemaPosition::Data,
    }
}
