//! Input: a property name from aiokafka or a Java client. Output: the name in librdkafka or kafkaesk.

/// Names that become librdkafka's by dots in place of underscores need no entry.
const OTHER_CLIENTS: &[(&str, &str)] = &[
    (
        "sasl_plain_username",
        "librdkafka's name is `sasl.username`",
    ),
    (
        "sasl_plain_password",
        "librdkafka's name is `sasl.password`",
    ),
    ("max_poll_records", "use `concurrency` of the subscription"),
    ("max.poll.records", "use `concurrency` of the subscription"),
    (
        "fetch_max_wait_ms",
        "librdkafka's name is `fetch.wait.max.ms`",
    ),
    (
        "fetch.max.wait.ms",
        "librdkafka's name is `fetch.wait.max.ms`",
    ),
    (
        "rebalance_timeout_ms",
        "librdkafka's name is `max.poll.interval.ms`",
    ),
    ("max_batch_size", "librdkafka's name is `batch.size`"),
    (
        "max_request_size",
        "librdkafka's name is `message.max.bytes`",
    ),
    (
        "max.request.size",
        "librdkafka's name is `message.max.bytes`",
    ),
    (
        "buffer.memory",
        "librdkafka's name is `queue.buffering.max.kbytes`",
    ),
    ("max.block.ms", "use `delivery-timeout`"),
    ("partitioner.class", "librdkafka's name is `partitioner`"),
    (
        "ssl_context",
        "use `security.protocol = \"ssl\"` with `ssl.ca.location`, `ssl.certificate.location` and `ssl.key.location`",
    ),
    (
        "ssl.truststore.location",
        "use `ssl.ca.location`, a PEM file",
    ),
    (
        "ssl.truststore.password",
        "use `ssl.ca.location`, a PEM file",
    ),
    (
        "sasl.jaas.config",
        "use `sasl.username` and `sasl.password`",
    ),
    (
        "sasl_oauth_token_provider",
        "use `sasl.oauthbearer.token.endpoint.url`, `sasl.oauthbearer.client.id` and `sasl.oauthbearer.client.secret`",
    ),
    (
        "api_version",
        "librdkafka finds the brokers' version itself; leave it out",
    ),
    (
        "api_version_auto_timeout_ms",
        "librdkafka's name is `api.version.request.timeout.ms`",
    ),
    (
        "consumer_timeout_ms",
        "librdkafka has nothing like it; leave it out",
    ),
    (
        "exclude_internal_topics",
        "patterns never match Kafka's own topics; leave it out",
    ),
    ("key_serializer", "keys are text or bytes; leave it out"),
    (
        "value_serializer",
        "values are written by the contract; leave it out",
    ),
    (
        "key_deserializer",
        "take `Record` in the handler for the key; leave it out",
    ),
    (
        "value_deserializer",
        "values are read by the contract; leave it out",
    ),
    ("key.serializer", "keys are text or bytes; leave it out"),
    (
        "value.serializer",
        "values are written by the contract; leave it out",
    ),
];

pub(super) fn other_clients(name: &str) -> Option<&'static str> {
    OTHER_CLIENTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, hint)| *hint)
}
