//! librdkafka's log: which of its lines and error events can mean lost or repeated records, and what becomes of each.
//!
//! A law compares the table with the source of the pinned librdkafka. A line of level warning or above that is not in
//! the table is logged at warning.

use rdkafka::error::RDKafkaErrorCode;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// One warning of our own for the partition, with offsets and the number of records between (`consume/resets.rs`).
    Reset,
    /// Our own warning stands in its place; the line itself is logged at debug.
    Reported,
    /// It is logged at warning.
    Warning,
}

/// A line that can mean lost or repeated records.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) facility: &'static str,
    /// A part of the line's format in librdkafka's source, without placeholders.
    pub(super) text: &'static str,
    pub(super) fate: Fate,
    /// What it means for records, and where our own warning is written if there is one.
    #[cfg_attr(not(test), allow(dead_code, reason = "for readers of the table"))]
    pub(super) meaning: &'static str,
}

const fn line(
    facility: &'static str,
    text: &'static str,
    fate: Fate,
    meaning: &'static str,
) -> Line {
    Line {
        facility,
        text,
        fate,
        meaning,
    }
}

/// Every line of librdkafka that can mean lost or repeated records.
pub(super) const LINES: &[Line] = &[
    // Where a consumer reads.
    line(
        "OFFSET",
        "]: offset reset (at ",
        Fate::Reset,
        "the offset is not in the log: records between were deleted, or records are read again",
    ),
    line(
        "FETCH",
        " out of range (HighwaterMark ",
        Fate::Warning,
        "a follower lags behind; the leader is asked, nothing is lost yet",
    ),
    line(
        "FETCH",
        "replica and non-zero message set size: ",
        Fate::Warning,
        "fetched records are dropped and fetched again",
    ),
    line(
        "PARTDEL",
        "Purging toppar fetch queue buffer op",
        Fate::Warning,
        "a partition went away with fetched records in its queue",
    ),
    line(
        "LZ4DEC",
        "Unable to grow decompression ",
        Fate::Warning,
        "a batch stays unread; the partition stands still (`consume/stalls.rs`)",
    ),
    // Commits and membership: a refusal repeats records.
    line(
        "COMMITFAIL",
        "Offset commit (",
        Fate::Reported,
        "records are handled again unless a later commit succeeds (`consume/member.rs`)",
    ),
    line(
        "MAXPOLL",
        "Application maximum poll interval (",
        Fate::Reported,
        "the member left its group; what was not committed is handled again (`consume/member.rs`)",
    ),
    line(
        "SESSTMOUT",
        ": revoking assignment and rejoining group",
        Fate::Warning,
        "the partitions are lost; what was not committed is handled again",
    ),
    line(
        "REBALANCE",
        "unassigning all partitions and rejoining",
        Fate::Warning,
        "the partitions are given up; what was not committed is handled again",
    ),
    line(
        "REBALANCE",
        ": unexpected instruction to revoke ",
        Fate::Warning,
        "the partitions are given up; what was not committed is handled again",
    ),
    line(
        "ASSIGN",
        ": application *assign() call ",
        Fate::Warning,
        "an assignment failed; the group rebalances",
    ),
    line(
        "ASSIGNOR",
        ": failed to run assignor ",
        Fate::Warning,
        "no member reads until the next rebalance",
    ),
    // What a producer holds.
    line(
        "TERMINATE",
        "Producer terminating with ",
        Fate::Warning,
        "records that wait to be sent are dropped",
    ),
    line(
        "DRDROP",
        "Dropped delivery report for ",
        Fate::Warning,
        "nobody learns what became of a record",
    ),
    line(
        "REQTMOUT",
        " in-flight, ",
        Fate::Warning,
        "requests are sent again; without idempotence records may be doubled",
    ),
    line(
        "GETPID",
        "transactional",
        Fate::Reported,
        "the beginning of a transaction is retried; its error names the reason (`kafka/transaction.rs`)",
    ),
    line(
        "GETPID",
        ": retrying",
        Fate::Warning,
        "an idempotent producer has no id yet and sends nothing",
    ),
    line(
        "PRODUCE",
        "No viable ProduceRequest ApiVersions",
        Fate::Warning,
        "the broker takes no records of this client",
    ),
    // The cluster itself.
    line(
        "CLUSTERID",
        " reports different ClusterId ",
        Fate::Warning,
        "one of the servers belongs to another cluster: offsets mean nothing there",
    ),
    line(
        "FATAL",
        "Fatal error: ",
        Fate::Reported,
        "the client ends; its user gets the error",
    ),
];

/// What becomes of a line.
pub(super) fn fate(facility: &str, message: &str) -> Fate {
    LINES
        .iter()
        .find(|line| line.facility == facility && message.contains(line.text))
        .map_or(Fate::Warning, |line| line.fate)
}

/// What an error in a record's place means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The end of the partition; no error.
    End,
    /// A leader that moves, a broker that restarts, a topic that is gone: it passes, or the next look at the cluster
    /// finds the reason.
    Passing,
    /// Read is denied on the topic.
    Denied,
    /// The next record cannot be read: the partition stands still. With what helps.
    Unreadable(&'static str),
}

/// The error events that stop a partition, and what helps.
pub(super) const UNREADABLE: &[(RDKafkaErrorCode, &str)] = &[
    (
        RDKafkaErrorCode::BadCompression,
        "it may be larger than the client takes: raise `receive.message.max.bytes` in kafka-settings",
    ),
    (
        RDKafkaErrorCode::MessageSizeTooLarge,
        "raise `receive.message.max.bytes` and `fetch.message.max.bytes` in kafka-settings",
    ),
    (
        RDKafkaErrorCode::InvalidMessageSize,
        "raise `receive.message.max.bytes` and `fetch.message.max.bytes` in kafka-settings",
    ),
    (
        RDKafkaErrorCode::CriticalSystemResource,
        "memory is short: give the process more, or lower `fetch.message.max.bytes` in kafka-settings",
    ),
    (
        RDKafkaErrorCode::NotImplemented,
        "its format or compression is unknown to this program: a build with every compression reads more",
    ),
    (
        RDKafkaErrorCode::BadMessage,
        "it is damaged: look at the broker's log, and restore it from a replica",
    ),
    (
        RDKafkaErrorCode::InvalidMessage,
        "it is damaged: look at the broker's log, and restore it from a replica",
    ),
    (
        RDKafkaErrorCode::InvalidRecord,
        "it is damaged: look at the broker's log, and restore it from a replica",
    ),
    (
        RDKafkaErrorCode::AutoOffsetReset,
        "its offset is not in the log and `auto.offset.reset` is `error`: move the group with `kafkaesk-cli groups reset`",
    ),
    (
        RDKafkaErrorCode::LogTruncation,
        "the log was truncated and `auto.offset.reset` is `error`: move the group with `kafkaesk-cli groups reset`",
    ),
];

/// What helps where the table names no remedy.
const UNKNOWN: &str =
    "the table in kafka/librdkafka_log.rs does not know this error: please report it";

/// What an error in a record's place means.
pub(super) fn meaning(code: RDKafkaErrorCode) -> Meaning {
    match code {
        RDKafkaErrorCode::PartitionEOF => Meaning::End,
        RDKafkaErrorCode::TopicAuthorizationFailed => Meaning::Denied,
        RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownPartition
        | RDKafkaErrorCode::UnknownTopicId
        | RDKafkaErrorCode::FencedLeaderEpoch
        | RDKafkaErrorCode::UnknownLeaderEpoch => Meaning::Passing,
        code if is_passing(code) => Meaning::Passing,
        code => Meaning::Unreadable(
            UNREADABLE
                .iter()
                .find(|(known, _)| *known == code)
                .map_or(UNKNOWN, |(_, help)| help),
        ),
    }
}

/// Whether an error ends without help: a leader that moves, a broker that restarts.
pub(super) fn is_passing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::Resolve
    )
}

/// librdkafka could not read a partition where it wanted to, and reads elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reset {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// The offset that was wanted.
    pub(super) wanted: i64,
    pub(super) to: Target,
    /// librdkafka's words.
    pub(super) reason: String,
}

/// Where librdkafka reads instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Beginning,
    End,
    Offset(i64),
}

/// Reads a line of fate [`Fate::Reset`]; `None` if it has another form, so that it is logged as it is.
pub(super) fn reset(message: &str) -> Option<Reset> {
    // Which of librdkafka's threads says it.
    let message = match message.split_once("]: ") {
        Some((thread, rest)) if thread.starts_with("[thrd:") => rest,
        _ => message,
    };
    let (topic, rest) = message.split_once(" [")?;
    let (partition, rest) = rest.split_once("]: offset reset (at offset ")?;
    let (wanted, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once(") to ")?;
    let rest = rest
        .strip_prefix("cached BEGINNING offset ")
        .unwrap_or(rest)
        .strip_prefix("offset ")?;
    let (target, rest) = rest.split_once(' ')?;
    let reason = rest.split_once("): ").map_or(rest, |(_, reason)| reason);
    Some(Reset {
        topic: topic.to_owned(),
        partition: partition.parse().ok()?,
        wanted: wanted.parse().ok()?,
        to: match target {
            "BEGINNING" => Target::Beginning,
            "END" => Target::End,
            offset => Target::Offset(offset.parse().ok()?),
        },
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_in_the_pinned_librdkafka() {
        let folder = crate::librdkafka_sources::librdkafka_sources().join("src");
        let source: String = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "c"))
            .map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
            .collect();
        for line in LINES {
            assert!(
                !line.meaning.is_empty() && source.contains(line.text),
                "{line:?}"
            );
            assert!(
                source.contains(&format!("\"{}\"", line.facility)),
                "{line:?}"
            );
        }
        for code in [
            "RD_KAFKA_RESP_ERR__BAD_COMPRESSION",
            "RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET",
        ] {
            assert!(source.contains(code), "{code}");
        }
    }

    #[test]
    fn a_reset_is_read_with_its_offsets() {
        let cached = reset(
            "[thrd:main]: shop.a [3]: offset reset (at offset 3 (leader epoch -1), broker 1) to cached BEGINNING offset offset 10 (leader epoch -1): fetch failed due to requested offset not available on the broker: Broker: Offset out of range",
        )
        .unwrap();
        assert_eq!(cached.topic, "shop.a");
        assert_eq!((cached.partition, cached.wanted), (3, 3));
        assert_eq!(cached.to, Target::Offset(10));
        assert!(cached.reason.starts_with("fetch failed"), "{cached:?}");
        let asked = reset(
            "a [0]: offset reset (at offset 500 (leader epoch 2), broker 1) to offset BEGINNING (leader epoch -1): x: y",
        )
        .unwrap();
        assert_eq!((asked.wanted, asked.to), (500, Target::Beginning));
        assert_eq!(reset("something else"), None);
    }

    #[test]
    fn an_unknown_line_is_a_warning_and_an_unknown_error_stops_the_partition() {
        assert_eq!(fate("NEW", "what nobody knows"), Fate::Warning);
        let getpid = |kind| {
            fate(
                "GETPID",
                &format!("Failed to acquire {kind} PID from broker 1: Not coordinator: retrying"),
            )
        };
        assert_eq!(getpid("transactional"), Fate::Reported);
        assert_eq!(getpid("idempotence"), Fate::Warning);
        assert_eq!(
            fate("OFFSET", "a [0]: offset reset (at offset 1"),
            Fate::Reset
        );
        assert!(matches!(
            meaning(RDKafkaErrorCode::UnsupportedForMessageFormat),
            Meaning::Unreadable(_)
        ));
        assert_eq!(
            meaning(RDKafkaErrorCode::NotLeaderForPartition),
            Meaning::Passing
        );
    }
}
