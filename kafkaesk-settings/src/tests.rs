//! Laws of settings built in code.

use super::{KafkaSettings, OidcError, group_instance_id};

fn settings(common: &[(&str, &str)]) -> KafkaSettings {
    let common = common
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    KafkaSettings {
        common: common.collect(),
        ..KafkaSettings::default()
    }
}

const OIDC: &[(&str, &str)] = &[
    ("security.protocol", "SASL_SSL"),
    ("sasl.mechanism", "OAUTHBEARER"),
    ("sasl.oauthbearer.method", "oidc"),
    (
        "sasl.oauthbearer.token.endpoint.url",
        "https://me:hush@id/token",
    ),
    ("sasl.oauthbearer.client.id", "me"),
    ("sasl.oauthbearer.client.credentials.client.secret", "hush"),
    ("sasl.oauthbearer.scope", "kafka"),
    (
        "sasl.oauthbearer.extensions",
        "logicalCluster=lkc-1, identityPoolId=pool",
    ),
];

#[test]
fn a_property_goes_only_to_clients_of_its_role() {
    let settings = settings(&[
        ("fetch.min.bytes", "1"),
        ("linger.ms", "5"),
        ("client.id", "a"),
    ]);
    let consumer = settings.for_consumer(&[], &[]);
    let producer = settings.for_producer(&[], &[]);
    assert_eq!(
        consumer.keys().collect::<Vec<_>>(),
        ["client.id", "fetch.min.bytes"]
    );
    assert_eq!(
        producer.keys().collect::<Vec<_>>(),
        ["client.id", "queue.buffering.max.ms"]
    );
}

#[test]
fn forced_beats_role_beats_common_beats_defaults() {
    let mut settings = settings(&[
        ("client.id", "common"),
        ("client.rack", "common"),
        ("debug", "all"),
    ]);
    settings
        .consumer
        .insert("client.rack".into(), "role".into());
    let consumer = settings.for_consumer(
        &[("client.id", "default"), ("session.timeout.ms", "1")],
        &[("debug", "broker")],
    );
    assert_eq!(consumer["client.id"], "common");
    assert_eq!(consumer["client.rack"], "role");
    assert_eq!(consumer["session.timeout.ms"], "1");
    assert_eq!(consumer["debug"], "broker");
    assert_eq!(settings.for_producer(&[], &[])["client.rack"], "common");
}

#[test]
fn a_refining_table_beats_the_whole_table_before() {
    let mut base = settings(&[("client.id", "a"), ("debug", "all")]);
    base.consumer
        .insert("max.partition.fetch.bytes".into(), "1".into());
    let refined = base.refined_by(&settings(&[("fetch.message.max.bytes", "2")]));
    let consumer = refined.for_consumer(&[], &[]);
    assert_eq!(consumer["fetch.message.max.bytes"], "2");
    assert_eq!(
        (consumer["client.id"].as_str(), consumer["debug"].as_str()),
        ("a", "all")
    );
}

#[test]
fn tls_finds_the_systems_certificates_unless_others_are_set() {
    let tls = settings(&[("security.protocol", "ssl")]);
    assert_eq!(tls.for_consumer(&[], &[])["ssl.ca.location"], "probe");
    assert_eq!(tls.for_producer(&[], &[])["ssl.ca.location"], "probe");
    let own = settings(&[
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", "/ca.pem"),
    ]);
    assert_eq!(own.for_consumer(&[], &[])["ssl.ca.location"], "/ca.pem");
    let pem = settings(&[("security.protocol", "ssl"), ("ssl.ca.pem", "-")]);
    assert!(!pem.for_consumer(&[], &[]).contains_key("ssl.ca.location"));
    let plain = settings(&[("security.protocol", "sasl_plaintext")]);
    assert!(!plain.for_consumer(&[], &[]).contains_key("ssl.ca.location"));
}

#[test]
fn oidc_is_taken_out_for_our_own_token_refresh() {
    let settings = settings(OIDC);
    let oidc = settings.oidc().unwrap().unwrap();
    assert_eq!(oidc.client_id, "me");
    assert_eq!(oidc.client_secret, "hush");
    assert_eq!(oidc.scope.as_deref(), Some("kafka"));
    assert_eq!(oidc.extensions["identityPoolId"], "pool");
    assert!(!format!("{oidc:?}").contains("hush"));
    assert!(!format!("{settings:?}").contains("hush"));
    let consumer = settings.for_consumer(&[], &[]);
    assert_eq!(
        consumer.keys().collect::<Vec<_>>(),
        ["sasl.mechanisms", "security.protocol", "ssl.ca.location"]
    );
}

#[test]
fn oidc_needs_all_its_parts_and_takes_no_other_way() {
    let without = |name: &str| {
        let rest: Vec<_> = OIDC
            .iter()
            .copied()
            .filter(|(set, _)| *set != name)
            .collect();
        settings(&rest).oidc().unwrap_err()
    };
    assert_eq!(
        without("sasl.oauthbearer.client.id"),
        OidcError::Missing("sasl.oauthbearer.client.id")
    );
    let mut no_source = settings(&[("sasl.mechanism", "OAUTHBEARER")]);
    assert_eq!(no_source.oidc().unwrap(), None, "nothing logs in");
    let protocol = ("security.protocol".to_owned(), "sasl_plaintext".to_owned());
    no_source.common.extend([protocol]);
    assert_eq!(no_source.oidc().unwrap_err(), OidcError::NoSource);
    let mut bearer = settings(OIDC);
    bearer
        .common
        .insert("sasl.oauthbearer.assertion.file".into(), "a".into());
    assert_eq!(
        bearer.oidc().unwrap_err().to_string(),
        "`sasl.oauthbearer.assertion.file` is not supported: tokens are fetched with client credentials; leave it out"
    );
    let mut extension = settings(OIDC);
    extension
        .common
        .insert("sasl.oauthbearer.extensions".into(), "a".into());
    assert_eq!(
        extension.oidc().unwrap_err(),
        OidcError::Extension("a".into())
    );
}

#[test]
fn unsecured_tokens_stay_librdkafkas_own() {
    let settings = settings(&[
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanism", "OAUTHBEARER"),
        ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
        ("sasl.oauthbearer.config", "principal=admin"),
    ]);
    assert_eq!(settings.oidc().unwrap(), None);
    assert_eq!(
        settings.for_consumer(&[], &[])["sasl.oauthbearer.config"],
        "principal=admin"
    );
}

#[test]
fn two_members_never_share_an_instance_id() {
    let ids = [("billing", 0), ("billing", 1), ("audit", 0)]
        .map(|(group, n)| group_instance_id("pod", group, n));
    assert_eq!(ids, ["pod-billing-0", "pod-billing-1", "pod-audit-0"]);
}

#[test]
fn settings_built_in_code_are_checked_alike() {
    let error = settings(&[("group.id", "a")]).check().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("property `group.id` cannot be set"),
        "{error}"
    );
    let mut wrong_role = KafkaSettings::default();
    wrong_role.consumer.insert("linger.ms".into(), "5".into());
    assert!(
        wrong_role
            .check()
            .unwrap_err()
            .to_string()
            .contains("for producers only")
    );
    settings(OIDC).check().unwrap();
}
