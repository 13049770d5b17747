//! Laws of typing values from a file.

use super::case;

#[test]
fn text_and_numbers_are_not_mixed_up_in_a_file() {
    for (toml, expected) in [
        (
            "topic-prefix = 123",
            "`topic-prefix`: the number 123 is not text in quotes",
        ),
        (
            "partitions = '7'",
            "`partitions`: \"7\" is not a whole number from 1 to 10000",
        ),
        (
            "partitions = 1.5",
            "`partitions`: the fraction 1.5 is not a whole number from 1 to 10000",
        ),
        ("strict = 'yes'", "`strict`: \"yes\" is not true or false"),
        (
            "connect-timeout = '5 fortnights'",
            "`connect-timeout`: \"5 fortnights\" is not a span of time from 1s to 1h, as seconds or with a unit, such as \"90s\"",
        ),
        (
            "connect-timeout = -1",
            "`connect-timeout`: the number -1 is not a span of time from 1s to 1h, as seconds or with a unit, such as \"90s\"",
        ),
        (
            "kafka-servers = 9092",
            "`kafka-servers`: the number 9092 is not a list; write [ ] around it",
        ),
        (
            "[subscriptions]",
            "`subscriptions`: a table is not a list; write [[subscriptions]] for each of its tables",
        ),
        (
            "kafka-servers = ['a:0']",
            "`kafka-servers[0]`: \"a:0\" is not a broker address; write `host:port`, such as \"localhost:9092\"",
        ),
        (
            "topic-prefix = 'a/b'",
            "`topic-prefix`: topic prefix \"a/b\" has '/' at byte 1; Kafka allows only letters, digits, `.`, `_`, `-`",
        ),
        (
            "group-prefix = \"a\\n\"",
            "`group-prefix`: a group prefix has at most 200 bytes and no control characters",
        ),
        (
            "profile = 1",
            "`profile`: the number 1 is not a table, such as `[profile.production]`",
        ),
        (
            "kafka-settings = 'x'",
            "`kafka-settings`: a text is not a table of librdkafka properties",
        ),
    ] {
        assert_eq!(case(toml).refused(), format!("kafkaesk.toml:1: {expected}"));
    }
}

#[test]
fn spans_are_seconds_or_text() {
    let loaded = case("connect-timeout = 90\nshutdown-timeout = '0s'\ndelivery-timeout = '24h'\npartitions = 1_0\n").load();
    assert_eq!(loaded.settings.connect_timeout.as_secs(), 90);
    assert!(loaded.settings.shutdown_timeout.is_zero());
    assert_eq!(loaded.settings.delivery_timeout.as_secs(), 86_400);
    assert_eq!(loaded.settings.partitions, 10);
}

#[test]
fn a_broker_is_a_host_with_or_without_a_port() {
    let loaded =
        case("kafka-servers = ['a', 'b.c-d:1', '[::1]:9092', '[::1]', '127.0.0.1:2']\n").load();
    assert_eq!(loaded.settings.kafka_servers.len(), 5);
    for bad in [
        "", "a b:1", "a:99999", "a:+1", "[::1", "[zz]:1", "::1", "user@h:1",
    ] {
        let error = case(&format!("kafka-servers = ['{bad}']\n")).refused();
        assert!(error.contains("is not a broker address"), "{bad}: {error}");
    }
}
