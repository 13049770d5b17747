//! Laws of finding, reading and parsing the file.

use super::{case, empty};

#[test]
fn the_nearest_file_upward_counts() {
    let mut case = case("partitions = 3\n");
    case.write("a/b/here.txt", "");
    let below = case.path("a/b");
    case.loader = case.loader.directory(below);
    let expected = case.path("kafkaesk.toml");
    let loaded = case.loader.variables::<String>([]).load().unwrap();
    assert_eq!(loaded.settings.partitions, 3);
    assert_eq!(loaded.file, Some(expected));
}

#[test]
fn a_named_file_counts_alone() {
    let mut case = case("partitions = 3\n");
    case.write("other.toml", "topic-prefix = 'o.'\n");
    case.loader = case.loader.config(Some("other.toml"));
    let case = case.variable("KAFKAESK_CONFIG", "nowhere.toml");
    let loaded = case.load();
    assert_eq!(loaded.settings.partitions, 7);
    assert_eq!(loaded.settings.topic_prefix.as_str(), "o.");
}

#[test]
fn a_named_file_that_is_absent_is_an_error_that_says_what_named_it() {
    let case = empty().variable("KAFKAESK_CONFIG", "nowhere.toml");
    let path = case.path("nowhere.toml");
    let error = case.refused();
    let expected = format!(
        "environment KAFKAESK_CONFIG: cannot read the configuration {path:?}: No such file or directory"
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn bad_toml_shows_file_line_column_and_excerpt() {
    let error = case("topic-prefix = 'a.'\npartitions = seven\n").refused();
    assert!(
        error.starts_with("kafkaesk.toml:2:14: this is not TOML: "),
        "{error}"
    );
    assert!(
        error.ends_with("\n  |\n2 | partitions = …\n  |              ^"),
        "{error}"
    );
}

#[test]
fn bad_toml_shows_keys_and_no_value() {
    for (toml, shown) in [
        ("x-api-key = HUSH", "x-api-key = …"),
        ("authorization = \"Bearer HUSH", "authorization = …"),
        (
            "[kafka-settings]\nsasl.password = 'HUSH\n",
            "sasl.password = …",
        ),
        (
            "a = 1\nssl.key.pem = \"\"\"-----BEGIN\nHUSH\"HUSH=\\q\n\"\"\"",
            "",
        ),
        ("a = '''\nHUSH = x''' HUSH", ""),
        ("a = \"\"\"x\"\"\"\nHUSHbase64==\n", ""),
        ("a = \"\"\"x\"\"\"\nHUSHbase64=\n", ""),
        ("a = [\n  'x',\n  HUSH = 1 HUSH\n]", ""),
        ("a = { b = 'x', c = HUSH }", "a = …"),
        ("exec = [\"mysql\", -pHUSH]", "exec = …"),
        ("HUSH", ""),
        ("a = 1\n[a.HUSH\n", ""),
        ("a = \"x\" # it's [ \"\nb = HUSH", "b = …"),
    ] {
        let error = case(toml).refused();
        assert!(error.contains("this is not TOML"), "{toml}: {error}");
        assert!(!error.contains("HUSH"), "{toml}: {error}");
        match shown {
            "" => assert!(!error.contains(" | "), "{toml}: {error}"),
            shown => assert!(error.contains(&format!(" | {shown}\n")), "{toml}: {error}"),
        }
    }
}

#[test]
fn a_value_of_the_wrong_type_is_not_shown_where_secrets_stand() {
    for line in [
        "kafka-settings = 'HUSH'",
        "kafka-settings.consumer = 'HUSH'",
        "kafka-settings.sasl.password = ['HUSH']",
    ] {
        let error = case(line).refused();
        assert!(!error.contains("HUSH"), "{error}");
    }
}

#[test]
fn devices_folders_and_pipes_are_neither_configuration_nor_secret() {
    let error = case("group-prefix = { file = '/dev/zero' }\n").refused();
    assert!(
        error.ends_with("cannot read the file \"/dev/zero\": it is a device or socket, not a file"),
        "{error}"
    );
    for name in [
        "ssl.ca.location",
        "ssl.key.location",
        "ssl.keystore.location",
    ] {
        let error = case(&format!("kafka-settings.{name} = '/dev/zero'\n")).refused();
        assert!(error.contains("it is a device or socket"), "{error}");
    }
    // A folder of certificates is one that OpenSSL takes.
    case("kafka-settings.ssl.ca.location = '/tmp'\n").load();
    let error = case("kafka-settings.ssl.key.location = '/tmp'\n").refused();
    assert!(error.contains("it is a folder"), "{error}");
}

#[test]
fn a_key_that_stands_twice_is_an_error() {
    let error = case("partitions = 1\npartitions = 2\n").refused();
    assert!(
        error.starts_with("kafkaesk.toml:2:1: this is not TOML: duplicate key"),
        "{error}"
    );
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_one() {
    let error = case("\ntopic-prefx = 'a'\n").refused();
    assert_eq!(
        error,
        "kafkaesk.toml:2: unknown key `topic-prefx`; did you mean `topic-prefix`?"
    );
    let error = case("[colour]\nred = 1\n").refused();
    assert!(
        error.starts_with(
            "kafkaesk.toml:1: unknown key `colour`; known are alive-within, auto-create-streams, "
        ),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_utf8_or_endless_is_refused() {
    let case = empty();
    std::fs::write(case.path("kafkaesk.toml"), b"partitions = \xff\n").unwrap();
    let error = case.refused();
    assert!(error.ends_with("it is not UTF-8 at byte 13"), "{error}");
    let case = empty();
    std::fs::write(case.path("kafkaesk.toml"), vec![b'#'; 5 * 1024 * 1024]).unwrap();
    let error = case.refused();
    assert!(
        error.ends_with("it is larger than 4194304 bytes"),
        "{error}"
    );
}
