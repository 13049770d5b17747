//! The `http` handler under `dev`: where nothing listens at a loopback address (or the address is elsewhere, which
//! `dev` never contacts), the message is printed and 204 stands for the answer.

use std::{error::Error, io, time::Duration};

use reqwest::Url;
use tokio::net::TcpStream;

use super::HttpSettings;

/// How long the look at a loopback port may take.
const LOOK: Duration = Duration::from_secs(1);

impl HttpSettings {
    /// What `dev` says at its start where messages are printed instead, and why.
    pub(crate) async fn dev_note(&self) -> Option<String> {
        let why = match (self.loopback_host(), self.url.port_or_known_default()) {
            (Some(host), Some(port)) => {
                let look = tokio::time::timeout(LOOK, TcpStream::connect((host, port)));
                if matches!(look.await, Ok(Ok(_))) {
                    return None;
                }
                "nothing listens"
            }
            _ => "dev contacts nothing but this machine, so not",
        };
        Some(format!(
            "note: {why} at {}; until something does, dev answers 204 for it and prints the message",
            self.shown
        ))
    }

    /// The URL's host if it is this machine's loopback. Asks no name service.
    pub(crate) fn loopback_host(&self) -> Option<String> {
        loopback_host(&self.url)
    }
}

/// A URL's host if it is this machine's loopback. Asks no name service.
pub(crate) fn loopback_host(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    loopback.then(|| host.to_owned())
}

/// Whether a request failed since its port is closed.
pub(crate) fn nobody_listens(error: &reqwest::Error) -> bool {
    std::iter::successors(error.source(), |&cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}
