//! Who may do what: the least that each operation needs, as contract/README.md lists it. Nobody here has more.

/// One grant.
pub(crate) struct Right {
    pub(crate) user: &'static str,
    /// Kafka's names of the operations.
    pub(crate) operations: &'static [&'static str],
    /// `--topic`, `--group` or `--transactional-id`.
    pub(crate) kind: &'static str,
    pub(crate) resources: &'static [&'static str],
}

/// Everyone who has a password. Nobody is one of them, and has no right at all.
pub(crate) const USERS: &[&str] = &[
    "publisher",
    "consumer",
    "pusher",
    "onlooker",
    "archivist",
    "reader",
    "keeper",
    "halfway",
    "grower",
    "redriver",
    "nobody",
];

const STREAM: &[&str] = &["sec.orders.placed"];
const LETTERS: &[&str] = &["sec.__dead__redriven"];
const RETRIES: &[&str] = &["sec.__retry__redriven"];
const LOGS: &[&str] = &["sec.__schema__Order", "sec.__streams__"];

pub(crate) const RIGHTS: &[Right] = &[
    // Publishes to a stream that exists and is bound: no Create, no DescribeConfigs.
    topics("publisher", &["Write", "Describe"], STREAM),
    topics("publisher", &["Read", "Describe"], LOGS),
    // Consumes without validation: neither log.
    topics("consumer", &["Read", "Describe"], STREAM),
    group("consumer", &["Read"], &["billing", "auditing"]),
    // Pushes a schema: no DescribeConfigs.
    topics(
        "pusher",
        &["Create", "Read", "Write", "Describe"],
        &["sec.__schema__Pushed"],
    ),
    // Sees and reads, but may not write to the stream, and has no group.
    topics("onlooker", &["Read", "Describe"], STREAM),
    topics("onlooker", &["Read", "Describe"], LOGS),
    // Reads the logs and does not even see the stream.
    topics("archivist", &["Read", "Describe"], LOGS),
    // Lists schemas, without the streams.
    topics("reader", &["Read", "Describe"], &["sec.__schema__Order"]),
    // Consumes, and sees its dead letters without a right to write them.
    topics("keeper", &["Read", "Describe"], STREAM),
    topics("keeper", &["Describe"], &["sec.__dead__keeping"]),
    group("keeper", &["Read"], &["keeping"]),
    // Redrives to a topic that exists.
    topics("redriver", &["Read", "Write", "Describe"], LETTERS),
    topics("redriver", &["Write", "Describe"], RETRIES),
    group("redriver", &["Describe"], &["redriven"]),
    Right {
        user: "redriver",
        operations: &["Write", "Describe"],
        kind: "--transactional-id",
        resources: &["kafkaesk.redrive.redriven"],
    },
    // The same without the transactional id.
    topics("halfway", &["Read", "Write", "Describe"], LETTERS),
    topics("halfway", &["Write", "Describe"], RETRIES),
    group("halfway", &["Describe"], &["redriven"]),
    // Adds partitions to a stream, and reads its newest records.
    topics(
        "grower",
        &["Alter", "DescribeConfigs", "Read", "Describe"],
        STREAM,
    ),
    topics("grower", &["Read", "Describe"], LOGS),
    // The subject of the token endpoint's tokens.
    topics("service", &["Write", "Describe"], STREAM),
    topics("service", &["Read", "Describe"], LOGS),
];

const fn group(
    user: &'static str,
    operations: &'static [&'static str],
    resources: &'static [&'static str],
) -> Right {
    Right {
        user,
        operations,
        kind: "--group",
        resources,
    }
}

const fn topics(
    user: &'static str,
    operations: &'static [&'static str],
    resources: &'static [&'static str],
) -> Right {
    Right {
        user,
        operations,
        kind: "--topic",
        resources,
    }
}
