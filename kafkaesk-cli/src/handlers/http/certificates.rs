//! `ca`: reads certificates from a PEM file, to trust besides the system's. Without the feature `tls` there are none.

use std::path::Path;

#[cfg(feature = "tls")]
use kafkaesk_client::settings::{MAX_FILE_BYTES, read_file};
use reqwest::ClientBuilder;

#[cfg(feature = "tls")]
pub(crate) use reqwest::Certificate;

/// Uninhabited without TLS.
#[cfg(not(feature = "tls"))]
#[derive(Clone, Debug)]
pub(crate) enum Certificate {}

/// Reads the file.
///
/// # Errors
/// Why no certificate can be had from it.
#[cfg(feature = "tls")]
pub(crate) fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = read_file(path, MAX_FILE_BYTES)
        .map_err(|error| format!("cannot read the file {}: {error}", path.display()))?;
    Certificate::from_pem_bundle(&pem)
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| format!("{} holds no PEM certificates", path.display()))
}

/// Refuses.
///
/// # Errors
/// Always: what is missing.
#[cfg(not(feature = "tls"))]
pub(crate) fn certificates(_: &Path) -> Result<Vec<Certificate>, String> {
    Err("it needs TLS, and this program was built without the feature `tls`".to_owned())
}

/// Makes a client trust them.
#[cfg(feature = "tls")]
pub(super) fn trust(builder: ClientBuilder, certificates: &[Certificate]) -> ClientBuilder {
    certificates
        .iter()
        .cloned()
        .fold(builder, ClientBuilder::add_root_certificate)
}

/// There are none.
#[cfg(not(feature = "tls"))]
pub(super) fn trust(builder: ClientBuilder, _: &[Certificate]) -> ClientBuilder {
    builder
}
