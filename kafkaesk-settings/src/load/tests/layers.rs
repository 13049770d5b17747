//! Laws of precedence: defaults, file, profile, environment, flags.

use proptest::prelude::*;

use super::{case, empty, shown};

const FILE: &str = "topic-prefix = 'file.'\n[profile.p]\ntopic-prefix = 'profile.'\n";

#[test]
fn nothing_set_is_the_defaults() {
    let loaded = empty().load();
    let defaults = format!("{:?}", crate::Settings::default());
    assert_eq!(format!("{:?}", loaded.settings), defaults);
    assert!(
        loaded
            .effective
            .iter()
            .all(|setting| setting.source == "default")
    );
    assert_eq!(shown(&loaded, "replication-factor").0, "min(brokers, 3)");
    assert!(loaded.file.is_none() && loaded.profile.is_none() && loaded.warnings.is_empty());
}

#[test]
fn each_layer_beats_the_one_before() {
    let prefix = "topic-prefix";
    let at = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(
        shown(&case(FILE).load(), prefix),
        at("file.", "kafkaesk.toml:1")
    );
    let loaded = case(FILE).profile("p").load();
    assert_eq!(shown(&loaded, prefix), at("profile.", "kafkaesk.toml:3"));
    let variable = "KAFKAESK_TOPIC_PREFIX";
    let loaded = case(FILE).profile("p").variable(variable, "env.").load();
    assert_eq!(
        shown(&loaded, prefix),
        at("env.", "environment KAFKAESK_TOPIC_PREFIX")
    );
    let loaded = case(FILE)
        .profile("p")
        .variable(variable, "env.")
        .flag(prefix, "flag.")
        .load();
    assert_eq!(shown(&loaded, prefix), at("flag.", "flag --topic-prefix"));
    assert_eq!(loaded.settings.topic_prefix.as_str(), "flag.");
}

#[test]
fn a_list_is_replaced_whole() {
    let loaded = case("kafka-servers = ['a:1', 'b:2']\n[profile.p]\nkafka-servers = ['c:3']\n")
        .profile("p")
        .load();
    assert_eq!(loaded.settings.kafka_servers, ["c:3"]);
}

#[test]
fn an_alias_in_a_later_layer_beats_the_property() {
    let loaded = case("[kafka-settings]\n'linger.ms' = 5\n")
        .flag("kafka-settings", r#"{"queue.buffering.max.ms": 9}"#)
        .load();
    let producer = loaded
        .settings
        .kafka_settings
        .for_producer(&[("linger.ms", "1")], &[]);
    assert_eq!(producer["queue.buffering.max.ms"], "9");
    assert!(!producer.contains_key("linger.ms"));
}

#[test]
fn a_flag_for_every_client_beats_the_files_table_for_one_role() {
    let loaded = case("[kafka-settings.consumer]\n'fetch.min.bytes' = 1\n")
        .flag("kafka-settings", r#"{"fetch.min.bytes": 5}"#)
        .load();
    let consumer = loaded.settings.kafka_settings.for_consumer(&[], &[]);
    assert_eq!(consumer["fetch.min.bytes"], "5");
}

#[test]
fn flags_for_properties_merge_by_property_and_the_later_one_wins() {
    let loaded = case("")
        .flag("kafka-settings", r#"{"linger.ms": 5, "client.id": "a"}"#)
        .flag("kafka-settings", r#"{"client.id": "b"}"#)
        .load();
    let common = &loaded.settings.kafka_settings.common;
    assert_eq!((&*common["linger.ms"], &*common["client.id"]), ("5", "b"));
}

#[test]
fn a_chosen_profile_must_be_there() {
    let error = case(FILE).profile("q").refused();
    assert_eq!(
        error,
        "flag --profile: there is no `[profile.q]` in kafkaesk.toml; did you mean `p`?"
    );
    let error = empty().variable("KAFKAESK_PROFILE", "production").refused();
    assert_eq!(
        error,
        "environment KAFKAESK_PROFILE: there is no `[profile.production]` in any kafkaesk.toml, for there is none"
    );
}

#[test]
fn an_optional_profile_yields_to_a_chosen_one() {
    let toml = "[profile.dev]\npartitions = 1\n[profile.p]\npartitions = 2\n";
    let mut dev = case(toml);
    dev.loader = dev.loader.profile_if_present("dev");
    let loaded = dev.load();
    assert_eq!(
        (loaded.settings.partitions, loaded.profile.as_deref()),
        (1, Some("dev"))
    );
    let mut chosen = case(toml).variable("KAFKAESK_PROFILE", "p");
    chosen.loader = chosen.loader.profile_if_present("dev");
    assert_eq!(chosen.load().settings.partitions, 2);
    let mut absent = empty();
    absent.loader = absent.loader.profile_if_present("dev");
    assert_eq!(absent.load().settings.partitions, 7);
}

#[test]
fn a_profile_that_is_not_chosen_is_checked_all_the_same() {
    let error = case("[profile.p]\ntopic_prefix = 'a'\n").refused();
    assert_eq!(
        error,
        "kafkaesk.toml:2: unknown key `profile.p.topic_prefix`; did you mean `topic-prefix`?"
    );
    let error = case("[profile.p.kafka-settings]\n'group.id' = 'a'\n").refused();
    assert!(
        error.starts_with("kafkaesk.toml:2: property `group.id` cannot be set"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever layers set a property, the last of them counts, and says so.
    #[test]
    fn the_last_layer_that_sets_a_property_counts(
        file in proptest::option::of(1..100u32),
        profile in proptest::option::of(1..100u32),
        variable in proptest::option::of(1..100u32),
        flag in proptest::option::of(1..100u32),
    ) {
        let line = |value: Option<u32>| value.map(|v| format!("'linger.ms' = {v}\n")).unwrap_or_default();
        let toml = format!(
            "[kafka-settings]\n{}[profile.p.kafka-settings]\n{}",
            line(file),
            line(profile),
        );
        let mut case = case(&toml).profile("p");
        if let Some(value) = variable {
            case = case.variable("KAFKAESK_KAFKA_SETTINGS", format!(r#"{{"linger.ms": {value}}}"#));
        }
        if let Some(value) = flag {
            case = case.flag("kafka-settings", &format!(r#"{{"linger": {{"ms": {value}}}}}"#));
        }
        let loaded = case.load();
        let expected = flag.or(variable).or(profile).or(file).map(|v| v.to_string());
        let common = &loaded.settings.kafka_settings.common;
        prop_assert_eq!(common.get("linger.ms"), expected.as_ref());
        if expected.is_some() {
            let source = shown(&loaded, "kafka-settings.linger.ms").1;
            let from = [
                (flag, "flag"), (variable, "environment"), (profile, "kafkaesk"), (file, "kafkaesk"),
            ];
            let winner = from.iter().find(|(value, _)| value.is_some()).map(|(_, s)| *s);
            prop_assert!(winner.is_some_and(|winner| source.starts_with(winner)), "{}", source);
        }
    }
}
