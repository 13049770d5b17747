//! Says in words which process holds a port. Only reads.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use crate::ClientError;

/// How long a stranger may take to answer as Kafka would.
const TIMEOUT: Duration = Duration::from_millis(500);
/// How many ports above the taken one are tried for an offer.
const OFFERS: u16 = 20;

/// The error for a taken address.
pub(super) fn explain(written: &str, address: SocketAddr) -> ClientError {
    let what = if answers_as_kafka(address) {
        "a Kafka broker"
    } else {
        "another program"
    };
    let holder = holder(address.port()).map_or(String::new(), |holder| format!(" ({holder})"));
    let offer = free_port(address).map_or("free it first".to_owned(), |free| {
        format!("free it, or take another: `--kafka-servers {free}`")
    });
    ClientError::Setting(format!(
        "the dev broker cannot listen at {written}: {what} is there already{holder}; {offer}"
    ))
}

/// An ApiVersions request of version 0, without a client id, and whether the answer carries its correlation id.
fn answers_as_kafka(address: SocketAddr) -> bool {
    const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0x6b, 0x61, 0x66, 0x6b, 0xff, 0xff];
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(&REQUEST)?;
        let mut answer = [0; 8];
        stream.read_exact(&mut answer)?;
        Ok(answer[4..] == REQUEST[8..12])
    };
    ask().unwrap_or(false)
}

fn free_port(address: SocketAddr) -> Option<SocketAddr> {
    (1..=OFFERS)
        .filter_map(|step| address.port().checked_add(step))
        .map(|port| SocketAddr::new(address.ip(), port))
        .find(|candidate| TcpListener::bind(candidate).is_ok())
}

/// The process that listens at a port, by Linux's `/proc`; `None` elsewhere, and for another user's process.
fn holder(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let id: u32 = process.file_name().to_str()?.parse().ok()?;
        let holds = fs::read_dir(process.path().join("fd"))
            .ok()?
            .flatten()
            .filter_map(|open| fs::read_link(open.path()).ok())
            .any(|link| {
                inodes
                    .iter()
                    .any(|inode| link.as_os_str() == inode.as_str())
            });
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        holds.then(|| format!("process {id}, {}", name.trim()))
    })
}

/// The inodes of listening sockets in a table of `/proc/net`: columns `sl local rem st … uid timeout inode`.
fn listening(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| {
            columns.get(1).is_some_and(|local| local.ends_with(&suffix))
                && columns.get(3) == Some(&"0A")
        })
        .filter_map(|columns| columns.get(9).map(|inode| (*inode).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_explained_by_its_holder_and_another_is_offered() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        let error = explain(&address.to_string(), address).to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(error.contains("another program"), "{error}");
        assert!(error.contains("--kafka-servers 127.0.0.1:"), "{error}");
        if cfg!(target_os = "linux") {
            let process = format!("process {}", std::process::id());
            assert!(error.contains(&process), "{error}");
        }
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st\n\
            0: 0100007F:2384 00000000:0000 0A 0:0 0:0 0 0 0 111 1\n\
            1: 0100007F:2384 0100007F:9999 01 0:0 0:0 0 0 0 222 1\n\
            2: 0100007F:2385 00000000:0000 0A 0:0 0:0 0 0 0 333 1\n";
        assert_eq!(listening(table, 9092), ["111"]);
    }
}
