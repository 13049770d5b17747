//! Laws of `kafka-settings` in a file.

use super::case;

fn refused(property: &str) -> String {
    case(&format!("[kafka-settings]\n{property}\n")).refused()
}

#[test]
fn what_would_break_delivery_is_refused_with_the_option_to_use() {
    for (property, remedy) in [
        (
            "'enable.auto.commit' = true",
            "an offset is committed only after its handler finished",
        ),
        ("'group.id' = 'a'", "use `group` of the subscription"),
        (
            "'auto.offset.reset' = 'latest'",
            "use `start` of the subscription",
        ),
        ("bootstrap.servers = 'a:1'", "use `kafka-servers`"),
        ("'message.timeout.ms' = 1", "use `delivery-timeout`"),
        (
            "'allow.auto.create.topics' = true",
            "use `auto-create-streams`",
        ),
        ("'test.mock.num.brokers' = 3", "use `kafkaesk-cli dev`"),
    ] {
        let error = refused(property);
        assert!(error.starts_with("kafkaesk.toml:2: property `"), "{error}");
        assert!(
            error.contains("cannot be set") && error.contains(remedy),
            "{error}"
        );
    }
}

#[test]
fn a_property_in_the_other_roles_table_is_refused() {
    let error = case("[kafka-settings.producer]\n'fetch.min.bytes' = 1\n").refused();
    assert_eq!(
        error,
        "kafkaesk.toml:2: property `fetch.min.bytes` is for consumers only, it has no effect on a producer; move it to `kafka-settings.consumer`"
    );
}

#[test]
fn a_value_out_of_range_names_the_range() {
    assert_eq!(
        refused("'fetch.min.bytes' = 0"),
        "kafkaesk.toml:2: property `fetch.min.bytes`: \"0\" is not a whole number in 1 .. 100000000"
    );
    assert_eq!(
        refused("'security.protocol' = 'tls'"),
        "kafkaesk.toml:2: property `security.protocol`: \"tls\" is not one of plaintext, ssl, sasl_plaintext, sasl_ssl"
    );
    assert_eq!(
        refused("consumer = 1"),
        "kafkaesk.toml:2: `kafka-settings.consumer`: a number is not a table of librdkafka properties"
    );
    assert_eq!(
        refused("'client.id' = ['a']"),
        "kafkaesk.toml:2: `kafka-settings.client.id`: a list is not text, a number, true or false"
    );
}

#[test]
fn what_changes_the_contract_is_warned_about_with_its_place() {
    let toml = "[kafka-settings]\npartitioner = 'random'\nacks = 1\ncompression.type = 'none'\n[kafka-settings.producer]\n'enable.idempotence' = false\n";
    let warnings = case(toml).load().warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(
        warnings[0].starts_with("kafkaesk.toml:3: `acks`: the contract waits for all replicas")
    );
    assert!(
        warnings[1].starts_with("kafkaesk.toml:2: `partitioner`: the contract's `murmur2_random`")
    );
    assert!(warnings[2].starts_with("kafkaesk.toml:6: `enable.idempotence`"));
}

#[test]
fn credentials_without_a_protocol_are_warned_about() {
    let warnings = case("[kafka-settings]\nsasl.mechanism = 'PLAIN'\n")
        .load()
        .warnings;
    assert_eq!(
        warnings,
        [
            "kafkaesk.toml:2: `sasl.mechanism`: it has no effect without `security.protocol` sasl_ssl or sasl_plaintext"
        ]
    );
}

#[test]
fn oauthbearer_without_its_secret_is_refused_at_the_mechanism() {
    let error = refused(
        "security.protocol = 'sasl_ssl'\nsasl.mechanism = 'OAUTHBEARER'\nsasl.oauthbearer.token.endpoint.url = 'https://a/t'\nsasl.oauthbearer.client.id = 'me'",
    );
    assert_eq!(
        error,
        "kafkaesk.toml:3: `sasl.mechanism` OAUTHBEARER with a token endpoint needs `sasl.oauthbearer.client.secret` in `kafka-settings` as well"
    );
}
