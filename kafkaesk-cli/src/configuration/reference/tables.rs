//! Tables: the keys of the tables that stand in a file alone, with their defaults and meanings, for `docs/settings.md`.

/// A table of a file, and its keys.
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// A file with `KEY` in the place of one key and its value.
    pub(super) file: &'static str,
    /// Each with its default and its meaning; its values if the loader cannot say them.
    pub(super) keys: &'static [(&'static str, &'static str, &'static str, &'static str)],
}

/// In the order of the page.
pub(super) const TABLES: [Table; 9] = [
    Table {
        title: "`[[streams]]`",
        about: "Streams that `schema push` creates and binds. With any declared, `auto-create-streams` is false by default.",
        file: "[[streams]]\nNAME\nKEY\n",
        keys: &[
            (
                "name",
                "",
                "The stream, without `topic-prefix`.",
                "text of letters, digits, `.`, `_`, `-`",
            ),
            (
                "schema",
                "none",
                "The schema that the stream is bound to.",
                "a schema's name",
            ),
            (
                "partitions",
                "`partitions`",
                "The number of partitions when it is created.",
                "",
            ),
            (
                "replication-factor",
                "`replication-factor`",
                "The replication factor when it is created.",
                "",
            ),
            (
                "retention",
                "the broker's",
                "How long records are kept (`retention.ms`).",
                "",
            ),
            (
                "keys",
                "`\"any\"`",
                "`\"none\"`: a publish with a key is refused. It needs `schema`.",
                "",
            ),
            (
                "partition-growth",
                "`\"propose\"`",
                "Whether the stream is grown when its partitions are the limit ([scaling](scaling.md#partitions)). It needs `schema`.",
                "",
            ),
            (
                "config",
                "none",
                "Any other topic setting of Kafka, by name.",
                "a table",
            ),
        ],
    },
    Table {
        title: "`[[schemas]]`",
        about: "Schema documents that `schema push` registers. `schemas = [\"schemas/*.json\"]` is the short form: name and version \
                then come from the file names, such as `Order.1.json`.",
        file: "[[schemas]]\nNAME\nKEY\n",
        keys: &[
            (
                "file",
                "",
                "The document, or several by a pattern (`*`, `?`, `[…]`).",
                "a path",
            ),
            (
                "name",
                "from the file's name",
                "The schema's name.",
                "a schema's name",
            ),
            (
                "version",
                "from the file's name",
                "The schema's version.",
                "",
            ),
            (
                "streams",
                "none",
                "Streams to create and bind to this schema.",
                "a list of streams",
            ),
            (
                "retention",
                "the broker's",
                "How long the topics of these streams keep their records.",
                "",
            ),
        ],
    },
    Table {
        title: "`[[subscriptions]]`",
        about: "What a worker reads and what handles it. [delivery.md](delivery.md) says what each policy does.",
        file: "[[subscriptions]]\nNAME\nhandler = \"stdout\"\nKEY\n",
        keys: &[
            (
                "pattern",
                "",
                "The streams, `*` for any part of a name.",
                "a pattern",
            ),
            (
                "group",
                "",
                "The consumer group, without `group-prefix`.",
                "text",
            ),
            (
                "handler",
                "",
                "What the messages go to.",
                "`\"stdout\"`, or one of the tables below",
            ),
            (
                "start",
                "`\"earliest\"`",
                "Where a group without offsets starts.",
                "`\"earliest\"`, `\"latest\"`, or a span back from now",
            ),
            (
                "concurrency",
                "32",
                "How many handlers of one instance run at a time.",
                "",
            ),
            (
                "max-concurrency",
                "3",
                "How many consumer instances the process runs at most ([scaling](scaling.md)).",
                "",
            ),
            (
                "max-partitions",
                "40",
                "The number of partitions up to which `streams grow` lets its streams grow.",
                "",
            ),
            (
                "ordering",
                "`\"key\"`",
                "What keeps its order ([ordering](ordering.md)).",
                "",
            ),
            (
                "validate",
                "false",
                "Whether data is checked against its stored schema before the handler sees it.",
                "",
            ),
            (
                "on-mismatch",
                "`\"hold\"`",
                "What happens to a message that does not fit its handler.",
                "",
            ),
            (
                "on-no-event",
                "`\"dead-letter\"`",
                "What happens to a record that holds no event, where the handler needs one. Null and empty values are passed over. Without `dead-letters`: `\"skip\"`.",
                "",
            ),
            (
                "on-reject",
                "`\"dead-letter\"`",
                "What happens to a rejected message. Without `dead-letters`: `\"skip\"`.",
                "",
            ),
            (
                "on-failure",
                "`\"dead-letter\"`",
                "What happens to a message that used up its attempts. Without `dead-letters`: `\"hold\"`.",
                "",
            ),
            (
                "max-attempts",
                "20",
                "How many failed attempts come before `on-failure`; 0: never.",
                "",
            ),
            (
                "retry-backoff",
                "100 ms, 30 s",
                "How long a message waits for its next attempt.",
                "a table, see below",
            ),
            (
                "failure-limit",
                "as below",
                "How many failures pause the subscription.",
                "`\"off\"`, or a table, see below",
            ),
            (
                "batch",
                "none",
                "The handler gets several messages of one partition at a time.",
                "a table, see below",
            ),
            (
                "commit",
                "`\"interval\"`",
                "When a message is finished: when its handler has returned, or (`\"manual\"`) when it says so.",
                "",
            ),
            (
                "max-uncommitted",
                "10000",
                "With `commit = \"manual\"`: how many messages of one partition may be unfinished.",
                "",
            ),
            (
                "stuck-after",
                "1m",
                "The age at which the log names a running attempt.",
                "",
            ),
            (
                "throttle",
                "no limit",
                "How many messages start per second in this process.",
                "",
            ),
            (
                "kafka-settings",
                "none",
                "librdkafka properties of this subscription's consumer.",
                "a table",
            ),
        ],
    },
    Table {
        title: "`handler = { http = … }`",
        about: "One POST for each message, or for each batch.",
        file: "[[subscriptions]]\npattern = \"a\"\ngroup = \"g\"\n[subscriptions.handler]\nNAME\nKEY\n",
        keys: &[
            ("http", "", "The address.", "a URL"),
            (
                "headers",
                "none",
                "Further headers of each request.",
                "a table of texts",
            ),
            (
                "ca",
                "the system's",
                "Certificates to trust for `https`.",
                "the path of a PEM file",
            ),
            ("timeout", "30s", "How long one answer may take.", ""),
        ],
    },
    Table {
        title: "`handler = { exec = … }`",
        about: "Child processes that read one JSON line for each message.",
        file: "[[subscriptions]]\npattern = \"a\"\ngroup = \"g\"\n[subscriptions.handler]\nNAME\nKEY\n",
        keys: &[
            (
                "exec",
                "",
                "The program and its arguments.",
                "a list of texts",
            ),
            ("processes", "1", "How many children run.", ""),
            (
                "in-flight",
                "1; 1024 with `commit = \"manual\"`",
                "How many messages a child has at a time.",
                "",
            ),
            (
                "env",
                "none",
                "Variables of the children's environment.",
                "a table of texts",
            ),
            ("timeout", "1m", "How long one answer may take.", ""),
        ],
    },
    Table {
        title: "`handler = { stdout = true }`",
        about: "One JSON line on standard output for each message, as `handler = \"stdout\"`.",
        file: "[[subscriptions]]\npattern = \"a\"\ngroup = \"g\"\n[subscriptions.handler]\nNAME\nKEY\n",
        keys: &[
            ("stdout", "", "This handler.", ""),
            (
                "group",
                "false",
                "Whether the line says the group and the attempt.",
                "",
            ),
        ],
    },
    Table {
        title: "`batch`",
        about: "A batch goes to its handler as soon as one bound is reached.",
        file: "[[subscriptions]]\npattern = \"a\"\ngroup = \"g\"\nhandler = { http = \"http://h/\" }\n[subscriptions.batch]\nKEY\n",
        keys: &[
            ("max", "500", "How many messages a batch has at most.", ""),
            (
                "bytes",
                "4194304",
                "How many bytes the records of a batch have at most.",
                "",
            ),
            (
                "wait",
                "200ms",
                "How long a batch waits for further messages.",
                "",
            ),
            (
                "transaction",
                "false",
                "For handlers in Rust alone ([delivery.md](delivery.md)).",
                "",
            ),
        ],
    },
    Table {
        title: "`failure-limit`",
        about: "The subscription pauses when more than this fails, so that an outage does not fill the dead letters.",
        file: "[[subscriptions]]\npattern = \"a\"\ngroup = \"g\"\nhandler = \"stdout\"\n[subscriptions.failure-limit]\nKEY\n",
        keys: &[
            (
                "share",
                "0.5",
                "The share of failed attempts.",
                "a number from 0 to 1",
            ),
            ("of", "100", "Of how many of the last attempts.", ""),
            ("streak", "20", "How many attempts in a row.", ""),
        ],
    },
    Table {
        title: "`retry-backoff`",
        about: "The wait doubles with each attempt, less a random part of up to a fifth.",
        file: "[[subscriptions]]\npattern = \"a\"\ngroup = \"g\"\nhandler = \"stdout\"\n[subscriptions.retry-backoff]\nKEY\n",
        keys: &[
            ("first", "100ms", "The wait after the first attempt.", ""),
            ("longest", "30s", "The longest wait.", ""),
        ],
    },
];
