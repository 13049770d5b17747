//! The librdkafka properties that kafkaesk refuses, since they break delivery, or warns about, since they change the
//! contract. librdkafka accepts all of them.

/// Name, reason, remedy.
const REFUSED: &[(&str, &str, &str)] = &[
    ("enable.auto.commit", COMMITS, ORDER_OF_COMMIT),
    ("auto.commit.enable", COMMITS, ORDER_OF_COMMIT),
    ("auto.commit.interval.ms", COMMITS, ORDER_OF_COMMIT),
    ("enable.auto.offset.store", COMMITS, ORDER_OF_COMMIT),
    ("offset.store.method", STORED_IN_KAFKA, ORDER_OF_COMMIT),
    ("offset.store.path", STORED_IN_KAFKA, ORDER_OF_COMMIT),
    (
        "offset.store.sync.interval.ms",
        STORED_IN_KAFKA,
        ORDER_OF_COMMIT,
    ),
    (
        "group.id",
        "every subscription has its own group",
        "use `group` of the subscription, and `group-prefix`",
    ),
    (
        "group.protocol.type",
        "only consumer groups carry subscriptions",
        "leave it out",
    ),
    (
        "enable.partition.eof",
        "kafkaesk asks for the end of a partition where it needs it",
        "use `tail --until-end` to stop at the end",
    ),
    (
        "plugin.library.paths",
        "a loaded library could change what is delivered",
        "leave it out; tracing and metrics come from kafkaesk",
    ),
    (
        "auto.offset.reset",
        "where a new group begins is the subscription's to say",
        "use `start` of the subscription (earliest, latest, or a span back)",
    ),
    (
        "allow.auto.create.topics",
        "asking for a topic would create it, with one partition",
        "use `auto-create-streams`, and `[[streams]]` to declare them",
    ),
    ("bootstrap.servers", SERVERS, "use `kafka-servers`"),
    ("metadata.broker.list", SERVERS, "use `kafka-servers`"),
    ("message.timeout.ms", TIMEOUT, "use `delivery-timeout`"),
    ("delivery.timeout.ms", TIMEOUT, "use `delivery-timeout`"),
    (
        "transactional.id",
        "kafkaesk publishes without transactions, and a transactional producer sends nothing outside of one",
        "leave it out",
    ),
    (
        "delivery.report.only.error",
        "no receipt would ever arrive",
        "leave it out",
    ),
    (
        "queuing.strategy",
        "`lifo` breaks the order of a key",
        "leave it out",
    ),
    (
        "enabled_events",
        "kafkaesk reads librdkafka's events itself",
        "leave it out",
    ),
    (
        "log.queue",
        "librdkafka's log goes to tracing",
        "use `RUST_LOG` to choose what is logged",
    ),
    (
        "oauthbearer_token_refresh_cb",
        "kafkaesk fetches the token itself",
        "use `sasl.oauthbearer.token.endpoint.url`, `sasl.oauthbearer.client.id` and `sasl.oauthbearer.client.secret`",
    ),
];

const COMMITS: &str = "an offset is committed only after its handler finished";
const STORED_IN_KAFKA: &str = "offsets are stored in Kafka, after the handler finished";
const ORDER_OF_COMMIT: &str =
    "leave it out; `on-mismatch` and `on-reject` say what becomes of a message that fails";
const SERVERS: &str = "the brokers have a setting of their own";
const TIMEOUT: &str = "how long a publish may take has a setting of its own";

/// Canonical name, the contract's own values, and the warning for any other value.
const WARNED: &[(&str, &[&str], &str)] = &[
    (
        "partitioner",
        &["murmur2_random"],
        "the contract's `murmur2_random` sends a key to the partition that every other language's client uses; another partitioner breaks the order of a key between them",
    ),
    (
        "compression.codec",
        &["none"],
        "the contract publishes uncompressed, since clients of other languages need extra packages to read some codecs",
    ),
    (
        "request.required.acks",
        &["all", "-1"],
        "the contract waits for all replicas; with less, an acknowledged event can be lost",
    ),
    (
        "enable.idempotence",
        &["true", "t", "1"],
        "the contract publishes idempotently; without it, a retry can write an event twice or out of order",
    ),
    (
        "isolation.level",
        &["read_committed"],
        "the contract reads committed records; otherwise events of aborted transactions arrive too",
    ),
];

pub(super) fn refusal(name: &str) -> Option<(&'static str, &'static str)> {
    if let Some((_, reason, remedy)) = REFUSED.iter().find(|(refused, ..)| *refused == name) {
        return Some((reason, remedy));
    }
    if name.starts_with("test.mock.") {
        return Some((
            "it replaces the brokers by a simulation inside the client",
            "use `kafkaesk-cli dev` for a broker without Kafka",
        ));
    }
    let callback = super::table::find(name)
        .is_some_and(|property| property.kind == super::ValueKind::Callback);
    callback.then_some((
        "it is a function, not a value that text could give",
        "leave it out",
    ))
}

pub(super) fn warning(canonical: &str, value: &str) -> Option<&'static str> {
    WARNED
        .iter()
        .find(|(name, own, _)| {
            *name == canonical && !own.iter().any(|own| own.eq_ignore_ascii_case(value))
        })
        .map(|(.., warning)| *warning)
}

#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let refused = REFUSED.iter().map(|(name, ..)| *name);
    refused.chain(WARNED.iter().map(|(name, ..)| *name))
}
