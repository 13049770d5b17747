//! Reference: `docs/settings.md`, every setting with its values, default and meaning. Values are asked of the loader, defaults of
//! `config show`, meanings of the flags; only the keys of tables, which no flag can give, are described here. For a test alone.
//!
//! To write the page again: `KAFKAESK_BLESS=1 cargo test --workspace --lib page_of_settings`.

mod tables;

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use clap::CommandFactory as _;
use kafkaesk_client::settings::Loader;
use kafkaesk_core::span::format_span;
use kafkaesk_worker::{FailureLimit, Subscription, retry};

use self::tables::{TABLES, Table};
use super::Configuration;
use crate::{
    arguments::Line,
    handlers::{exec, http},
};

/// No setting but a free text can have this value.
const WRONG: &str = "?!";

const HEAD: &str = "\
# Settings

After this page you can configure a program: it lists every setting with its values, its default and its meaning. It is made of
the code by `KAFKAESK_BLESS=1 cargo test --workspace --lib page_of_settings`; a test compares the two.

A setting can stand in four places; a later one wins:

1. `kafkaesk.toml`, searched from the working directory upward, or named by `--config` or `KAFKAESK_CONFIG`;
2. a table `[profile.NAME]` of that file, chosen by `--profile` or `KAFKAESK_PROFILE` (`dev` takes the profile `dev` if it is there);
3. an environment variable: `KAFKAESK_`, then the name in capitals with `_` for `-` (`topic-prefix` is `KAFKAESK_TOPIC_PREFIX`);
4. a flag: `--`, then the name (`--topic-prefix shop.`).

`kafka-settings` is merged by property, every other setting is replaced whole. In a file, a value can be a reference instead:
`{ env = \"NAME\" }` takes an environment variable, `{ file = \"PATH\" }` the content of a file. Paths are relative to the file that
names them. A span of time is a number of seconds, or has a unit: `\"500ms\"`, `\"90s\"`, `\"10m\"`, `\"2h\"`, `\"7d\"`. `kafkaesk-cli config
show` prints each effective value with its place, without secrets.
";

#[test]
fn the_page_of_settings_is_made_of_the_code() {
    let page = page();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    if std::env::var_os("KAFKAESK_BLESS").is_some() {
        fs::write(&file, &page).expect("docs/settings.md can be written");
    }
    let written = fs::read_to_string(file).unwrap_or_default();
    assert!(
        written == page,
        "docs/settings.md is not what the code says; write it again: KAFKAESK_BLESS=1 cargo test --workspace --lib page_of_settings"
    );
}

#[test]
fn the_page_has_every_key_of_every_table_and_no_other() {
    for table in &TABLES {
        let mut known = known_keys(table);
        let mut described: Vec<String> = table.keys.iter().map(|key| key.0.to_owned()).collect();
        known.sort();
        described.sort();
        assert_eq!(described, known, "{}", table.title);
    }
}

#[test]
fn the_page_says_the_defaults_that_the_code_has() {
    let limit = FailureLimit::default();
    for (table, key, default) in [
        (
            "subscriptions",
            "max-partitions",
            Subscription::MAX_PARTITIONS.to_string(),
        ),
        ("http", "timeout", format_span(http::DEFAULT_TIMEOUT)),
        ("exec", "timeout", format_span(exec::DEFAULT_TIMEOUT)),
        ("failure-limit", "share", limit.share.to_string()),
        ("failure-limit", "of", limit.of.to_string()),
        ("failure-limit", "streak", limit.streak.to_string()),
        ("retry-backoff", "first", format_span(retry::FIRST)),
        ("retry-backoff", "longest", format_span(retry::LONGEST)),
    ] {
        let of_table = TABLES.iter().find(|it| it.title.contains(table));
        let keys = of_table.map_or(&[][..], |it| it.keys);
        let said = keys.iter().find(|it| it.0 == key).map(|it| it.1);
        assert_eq!(said, Some(&*default), "{table}: {key}");
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Settings of a program\n\n");
    page.push_str("| setting | values | default | meaning |\n|---|---|---|---|\n");
    let defaults: BTreeMap<String, String> = load("")
        .expect("no setting is needed")
        .effective
        .into_iter()
        .map(|setting| (setting.key, setting.value))
        .collect();
    for (key, help) in flags() {
        let values = match &*key {
            "group-prefix" | "topic-prefix" => "text".to_owned(),
            "kafka-servers" => "a list of `host:port`, or one text with commas".to_owned(),
            "kafka-settings" => "a table; as a variable or flag, a JSON object".to_owned(),
            "metrics-file" => "a path".to_owned(),
            "operate-listen" => "`host:port`".to_owned(),
            "operate-token" => "text of at least 8 visible ASCII characters".to_owned(),
            "otel-endpoint" => "a URL".to_owned(),
            _ => values(&format!("{key} = {WRONG:?}\n"), &key),
        };
        let default = match defaults.get(&key).map_or("", String::as_str) {
            "" => "none",
            // It depends on `[[streams]]`.
            "true" if key == "auto-create-streams" => "true; false with `[[streams]]`",
            value => value,
        };
        row(&mut page, &key, &values, default, &help);
    }
    page.push_str(
        "\nThe flags of `operate-…`, `metrics-…`, `lag-…`, `alive-within`, `otel-endpoint`, `trace-parent-max-age` and `stall-after` are\n\
         those of `worker` and `dev`; every command has the others. The tables below stand in a file alone; `schemas` can be a variable\n\
         as well.\n",
    );
    for table in &TABLES {
        let _ = write!(page, "\n## {}\n\n{}\n\n", table.title, table.about);
        page.push_str("| key | values | default | meaning |\n|---|---|---|---|\n");
        for (key, default, help, words) in table.keys {
            let values = match *words {
                "" => values(&with(table, key, &format!("{WRONG:?}")), key),
                words => words.to_owned(),
            };
            let default = if default.is_empty() {
                "required"
            } else {
                default
            };
            row(&mut page, key, &values, default, help);
        }
    }
    page
}

fn row(page: &mut String, key: &str, values: &str, default: &str, help: &str) {
    let _ = writeln!(page, "| `{key}` | {values} | {default} | {help} |");
}

/// Each setting with what its flag's help says of it, without what the page says in columns of its own.
fn flags() -> Vec<(String, String)> {
    let line = Line::command();
    let worker = line.find_subcommand("worker").expect("the command");
    let arguments: Vec<_> = line.get_arguments().chain(worker.get_arguments()).collect();
    let probe = "zzzzzzzz";
    let known = unknown(&format!("{probe} = 1\n"));
    let mut settings: Vec<(String, String)> = Vec::new();
    // A profile holds settings and is not one.
    for key in known.into_iter().filter(|key| key != "profile") {
        let argument = arguments.iter().find(|it| it.get_long() == Some(&*key));
        let Some(argument) = argument else {
            let tables = ["schemas", "streams", "subscriptions"];
            assert!(tables.contains(&&*key), "no flag says what `{key}` means");
            continue;
        };
        let help = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let mut help = help.replace('\n', " ");
        if let Some(at) = help.find(" [default") {
            help.truncate(at);
        }
        help.push('.');
        settings.push((key, help));
    }
    settings
}

/// A file of this table with this value of the key.
fn with(table: &Table, key: &str, value: &str) -> String {
    // What the table cannot be without, unless it is the key itself.
    let needed = table
        .keys
        .iter()
        .filter(|it| it.1.is_empty() && it.0 != key);
    let needed = needed.filter_map(|(name, ..)| match *name {
        "name" | "pattern" | "group" | "file" => Some(format!("{name} = \"a\"\n")),
        "http" => Some("http = \"http://h/\"\n".to_owned()),
        "exec" => Some("exec = [\"a\"]\n".to_owned()),
        "stdout" => Some("stdout = true\n".to_owned()),
        _ => None,
    });
    let needed: String = needed.collect();
    let text = table.file.replace("NAME\n", &needed);
    text.replace("KEY", &format!("{key} = {value}"))
}

/// The keys that the table may have: the loader names them where it finds one that is like none of them.
fn known_keys(table: &Table) -> Vec<String> {
    unknown(&with(table, "zzzzzzzz", "1"))
}

fn unknown(file: &str) -> Vec<String> {
    let error = load(file)
        .expect_err("an unknown key is refused")
        .to_string();
    let (_, known) = error
        .split_once("; known are ")
        .unwrap_or_else(|| panic!("{error}"));
    known
        .split(", ")
        .map(|key| key.trim_matches('`').to_owned())
        .collect()
}

/// The values of a key, as its error names them.
fn values(file: &str, key: &str) -> String {
    let error = load(file)
        .err()
        .unwrap_or_else(|| panic!("`{key}` takes {WRONG}"));
    let error = format!("{error:#}");
    let refused = format!("{WRONG:?} is not ");
    let (_, values) = error
        .split_once(&refused)
        .unwrap_or_else(|| panic!("{error}"));
    let values = values.split(", as seconds").next().unwrap_or(values);
    let values = values.trim_start_matches("a span of time ");
    match values.strip_prefix("one of ") {
        Some(words) => words
            .replace(" and ", ", ")
            .split(", ")
            .map(|word| format!("`\"{}\"`", word.trim_matches(['`', '"'])))
            .collect::<Vec<_>>()
            .join(", "),
        None => values.to_owned(),
    }
}

/// What a program reads from this file alone.
fn load(file: &str) -> anyhow::Result<Configuration> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("kafkaesk.toml");
    fs::write(&path, file)?;
    let none: [(String, String); 0] = [];
    Configuration::from_loader(Loader::new().config(Some(path)).variables(none))
}
