//! Schema file names. Input: `Order.1.json`. Output: the schema id `Order:1`.

use std::path::Path;

use kafkaesk_core::{SchemaId, SchemaName, schema_id::parse_version};
use thiserror::Error;

/// Why a file's name gives no schema id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error(
    "{file}: {reason}; name the file `Name.version.json`, as in `Order.1.json`, or give name and version"
)]
pub struct FileNameError {
    /// The path as it was given.
    pub file: String,
    /// What is wrong.
    pub reason: String,
}

/// The id of a schema file `Name.version.json`. The name may have dots: version and ending are the last two parts.
///
/// # Errors
/// [`FileNameError`].
///
/// # Examples
/// ```
/// let id = kafkaesk_schema::schema_id_of_file("schemas/shop.Order.12.json".as_ref())?;
/// assert_eq!(id.to_string(), "shop.Order:12");
/// # Ok::<(), kafkaesk_schema::FileNameError>(())
/// ```
pub fn schema_id_of_file(path: &Path) -> Result<SchemaId, FileNameError> {
    let refused = |reason: String| FileNameError {
        file: path.display().to_string(),
        reason,
    };
    let file = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| refused("no file name in UTF-8".to_owned()))?;
    let stem = file
        .strip_suffix(".json")
        .ok_or_else(|| refused("the name does not end in `.json`".to_owned()))?;
    let (name, version) = stem
        .rsplit_once('.')
        .ok_or_else(|| refused("the name has no version".to_owned()))?;
    let version = parse_version(version).ok_or_else(|| {
        refused(format!(
            "{version:?} is not a version from 1 to 2147483647 without leading zeros"
        ))
    })?;
    let name = SchemaName::new(name).map_err(|error| refused(error.to_string()))?;
    SchemaId::new(name, version).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_parts_are_version_and_ending() {
        for (file, id) in [
            ("Order.1.json", "Order:1"),
            ("a/b/shop.Order.30.json", "shop.Order:30"),
            ("Order.1.2.json", "Order.1:2"),
        ] {
            assert_eq!(schema_id_of_file(file.as_ref()).unwrap().to_string(), id);
        }
    }

    #[test]
    fn other_names_are_refused_with_the_form_that_is_wanted() {
        for (file, reason) in [
            ("Order.json", "has no version"),
            ("Order.01.json", "\"01\" is not a version"),
            ("Order.0.json", "\"0\" is not a version"),
            ("Order.1.yaml", "does not end in `.json`"),
            (".1.json", "empty"),
            ("Or der.1.json", "' '"),
            ("..", "no file name"),
        ] {
            let error = schema_id_of_file(file.as_ref()).unwrap_err().to_string();
            assert!(error.contains(reason), "{file}: {error}");
            assert!(error.contains("`Order.1.json`"), "{file}: {error}");
        }
    }
}
