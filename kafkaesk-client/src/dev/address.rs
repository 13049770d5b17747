//! Parses the dev broker's address. Output: loopback socket addresses. Asks no name service.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::ClientError;

/// The addresses to listen at; the first must succeed. `localhost` means both families, since a client may try either.
pub(super) fn loopback(address: &str) -> Result<Vec<SocketAddr>, ClientError> {
    let refuse = |why: &str| {
        Err(ClientError::Setting(format!(
            "the dev broker cannot listen at {address:?}: {why}; give it one loopback address such as \
             `--kafka-servers 127.0.0.1:9092`"
        )))
    };
    if let Ok(parsed) = address.parse::<SocketAddr>() {
        return if parsed.ip().is_loopback() {
            Ok(vec![parsed])
        } else {
            refuse("it has no password, so it never listens beyond this machine")
        };
    }
    let Some((host, port)) = address.rsplit_once(':') else {
        return refuse("it has no port");
    };
    let Ok(port) = port.parse::<u16>() else {
        return refuse("its port is not a number from 0 to 65535");
    };
    if !host.eq_ignore_ascii_case("localhost") {
        return refuse("only `127.0.0.1`, `[::1]` and `localhost` are loopback hosts");
    }
    Ok(vec![
        (Ipv4Addr::LOCALHOST, port).into(),
        (Ipv6Addr::LOCALHOST, port).into(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_taken_as_they_are() {
        for text in ["127.0.0.1:9092", "127.0.0.9:1", "[::1]:9092"] {
            assert_eq!(loopback(text).unwrap(), [text.parse().unwrap()]);
        }
        let both = loopback("localhost:9092").unwrap();
        assert_eq!(both[0].to_string(), "127.0.0.1:9092");
        assert_eq!(both[1].to_string(), "[::1]:9092");
    }

    #[test]
    fn nothing_but_loopback_is_listened_at() {
        for text in [
            "0.0.0.0:9092",
            "[::]:9092",
            "192.168.0.1:9092",
            "kafka-1:9092",
            "localhost",
            "localhost:ninety",
            "localhost:9092,localhost:9093",
            "",
        ] {
            let error = loopback(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
            assert!(error.contains("--kafka-servers 127.0.0.1:9092"), "{error}");
        }
    }
}
