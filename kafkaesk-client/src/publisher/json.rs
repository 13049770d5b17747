//! What counts as JSON for `publish_json`.

use bytes::Bytes;
use serde_json::Value;

/// JSON data: bytes and text go out as they are (checked, not re-serialized) but for white space around them, a
/// `Value` is serialized.
pub trait IntoJson {
    /// Appends the JSON text of the data.
    ///
    /// # Errors
    /// What serde says of a value that is not JSON (a map with keys that are not strings).
    fn write_json(&self, buffer: &mut Vec<u8>) -> Result<(), serde_json::Error>;
}

macro_rules! as_bytes {
    ($($type:ty),*) => {$(
        impl IntoJson for $type {
            fn write_json(&self, buffer: &mut Vec<u8>) -> Result<(), serde_json::Error> {
                let bytes: &[u8] = self.as_ref();
                buffer.extend_from_slice(bytes);
                Ok(())
            }
        }
    )*};
}

as_bytes!([u8], str, String, Vec<u8>, Bytes);

impl<const N: usize> IntoJson for [u8; N] {
    fn write_json(&self, buffer: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        buffer.extend_from_slice(self);
        Ok(())
    }
}

impl IntoJson for Value {
    fn write_json(&self, buffer: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(buffer, self)
    }
}

impl<T: IntoJson + ?Sized> IntoJson for &T {
    fn write_json(&self, buffer: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        (**self).write_json(buffer)
    }
}
