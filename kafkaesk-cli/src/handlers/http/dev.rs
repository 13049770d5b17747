//! The `http` handler under `dev`: where nothing listens at a loopback address (or the address is elsewhere, which
//! `dev` never contacts), the message is printed and 204 stands for the answer.

use std::time::Duration;

use tokio::net::TcpStream;

use super::HttpSettings;

/// How long the look at a loopback port may take.
const LOOK: Duration = Duration::from_secs(1);

impl HttpSettings {
    /// Whether `dev` may post there now.
    pub(crate) async fn listens_on_loopback(&self) -> bool {
        let (Some(host), Some(port)) = (self.loopback_host(), self.url.port_or_known_default())
        else {
            return false;
        };
        matches!(
            tokio::time::timeout(LOOK, TcpStream::connect((host, port))).await,
            Ok(Ok(_))
        )
    }

    /// Says that messages are printed instead, and why.
    pub(crate) fn dev_note(&self) -> String {
        let why = if self.loopback_host().is_some() {
            "nothing listens"
        } else {
            "dev contacts nothing but this machine, so not"
        };
        format!(
            "note: {why} at {}; until something does, dev answers 204 for it and prints the message",
            self.shown()
        )
    }

    fn loopback_host(&self) -> Option<String> {
        let host = self.url.host_str()?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = host.eq_ignore_ascii_case("localhost")
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        loopback.then(|| host.to_owned())
    }
}
