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
        error.starts_with("kafkaesk.toml:2:14: this is no TOML: "),
        "{error}"
    );
    assert!(
        error.ends_with("\n  |\n2 | partitions = seven\n  |              ^"),
        "{error}"
    );
}

#[test]
fn bad_toml_shows_no_line_with_a_secret() {
    let error = case("[kafka-settings]\nsasl.password = 'hush\n").refused();
    assert!(error.starts_with("kafkaesk.toml:2:"), "{error}");
    assert!(!error.contains("hush"), "{error}");
}

#[test]
fn a_key_that_stands_twice_is_an_error() {
    let error = case("partitions = 1\npartitions = 2\n").refused();
    assert!(
        error.starts_with("kafkaesk.toml:2:1: this is no TOML: duplicate key"),
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
        error.starts_with("kafkaesk.toml:1: unknown key `colour`; known are auto-create-streams, "),
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
