//! Input that is wrong before any Kafka is asked: each has its text and its exit status.

use crate::support::Project;

const SUBSCRIPTION: &str = "[[subscriptions]]\npattern = \"a.*\"\ngroup = \"g\"\n";

/// What `worker` says of this configuration.
#[track_caller]
fn worker_says(toml: &str, said: &[&str]) {
    let project = Project::new();
    project.toml(toml);
    project.run(&["worker"]).fails(1, said);
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_the_nearest_key() {
    worker_says(
        "\ntopic-prefx = \"x\"\n",
        &["error: kafkaesk.toml:2: unknown key `topic-prefx`; did you mean `topic-prefix`?"],
    );
    worker_says(
        "[[streams]]\nnam = \"a\"\n",
        &["kafkaesk.toml:2: unknown key `streams[0].nam`; did you mean `name`?"],
    );
    worker_says(
        &format!("{SUBSCRIPTION}handler = {{ stdout = true }}\npatern = \"x\"\n"),
        &["kafkaesk.toml:5: unknown key `subscriptions[0].patern`; did you mean `pattern`?"],
    );
}

#[test]
fn what_is_no_toml_is_shown_with_line_and_column() {
    worker_says(
        "topic-prefix = \n",
        &["error: kafkaesk.toml:1:16: this is not TOML"],
    );
}

#[test]
fn unknown_and_dangerous_properties_are_refused_by_name() {
    worker_says(
        "[kafka-settings]\nfetch.min.byts = 1\n",
        &[
            "kafkaesk.toml:2: unknown librdkafka property `fetch.min.byts`; did you mean `fetch.min.bytes`?",
        ],
    );
    worker_says(
        "[kafka-settings]\nenable.auto.commit = true\n",
        &["kafkaesk.toml:2: property `enable.auto.commit` cannot be set"],
    );
}

#[test]
fn settings_that_are_no_json_are_refused_with_their_flag() {
    Project::new()
        .run(&["streams", "list", "--kafka-settings", "{\"a\":"])
        .fails(
            64,
            &["error: flag --kafka-settings: `kafka-settings` is not a JSON object: EOF"],
        );
}

#[test]
fn a_handler_has_exactly_one_kind() {
    let one = "kafkaesk.toml:4: `subscriptions[0].handler`: a handler has exactly one of http, exec, stdout; it has";
    for (handler, said) in [
        ("{ http = \"http://x/\", stdout = true }", "http and stdout"),
        ("{}", "none of them"),
    ] {
        worker_says(
            &format!("{SUBSCRIPTION}handler = {handler}\n"),
            &[&format!("{one} {said}")],
        );
    }
    worker_says(
        &format!("{SUBSCRIPTION}handler = {{ htp = \"http://x/\" }}\n"),
        &["kafkaesk.toml:4: unknown key `subscriptions[0].handler.htp`; did you mean `http`?"],
    );
    for (handler, said) in [
        (
            "{ http = \"ftp://x/\" }",
            "the URL must begin with http: or https:",
        ),
        ("{ http = \"x\" }", "this is not a URL"),
        ("{ exec = [] }", "it names no program"),
        ("{ stdout = false }", "write `stdout = true`"),
        ("{ stdout = true, timeout = \"3s\" }", "unknown key"),
        ("{ exec = [\"x\"], processes = 0 }", "from 1 to 256"),
    ] {
        worker_says(
            &format!("{SUBSCRIPTION}handler = {handler}\n"),
            &["kafkaesk.toml:4: ", said],
        );
    }
}

#[test]
fn a_batch_is_named_with_its_bounds_and_where_it_does_not_go() {
    for (handler, batch, said) in [
        ("\"stdout\"", "{}", "batch`: standard output gets one line"),
        (
            "{ exec = [\"x\"] }",
            "{ max = 5 }",
            "batch`: a child gets its messages one line at a time",
        ),
        (
            "{ http = \"http://x/\" }",
            "{ max = 0 }",
            "batch.max`: the number 0 is not a whole number from 1 to 10000",
        ),
        (
            "{ http = \"http://x/\" }",
            "{ bytes = 1000 }",
            "batch.bytes`: the number 1000 is not a whole number from 1024 to 16777216",
        ),
        (
            "{ http = \"http://x/\" }",
            "{ wait = \"11s\" }",
            "a span of time from 1ms to 10s",
        ),
        (
            "{ http = \"http://x/\" }",
            "{ transaction = true }",
            "batch.transaction`: what a handler of the configuration does is not part",
        ),
        (
            "{ http = \"http://x/\" }",
            "{ size = 5 }",
            "unknown key `subscriptions[0].batch.size`",
        ),
        ("{ http = \"http://x/\" }", "5", "`subscriptions[0].batch`"),
    ] {
        worker_says(
            &format!("{SUBSCRIPTION}handler = {handler}\nbatch = {batch}\n"),
            &["kafkaesk.toml:5: ", said],
        );
    }
}

#[test]
fn manual_commit_needs_a_handler_that_may_answer_at_any_time() {
    for handler in ["{ http = \"http://x/\" }", "\"stdout\""] {
        worker_says(
            &format!("{SUBSCRIPTION}handler = {handler}\ncommit = \"manual\"\n"),
            &[
                "kafkaesk.toml:5: `subscriptions[0].commit`: ",
                "use an exec handler, which may answer at any time",
            ],
        );
    }
    worker_says(
        &format!("{SUBSCRIPTION}handler = {{ exec = [\"x\"] }}\nmax-uncommitted = 5\n"),
        &[
            "kafkaesk.toml:5: `subscriptions[0].max-uncommitted`: it bounds what a `Committer` has not finished",
        ],
    );
    worker_says(
        &format!("{SUBSCRIPTION}handler = {{ exec = [\"x\"] }}\ncommit = \"now\"\n"),
        &["kafkaesk.toml:5: ", "commit"],
    );
}

#[test]
fn patterns_groups_and_overlaps_are_checked_before_kafka_is_asked() {
    worker_says(
        "[[subscriptions]]\npattern = \"\"\ngroup = \"g\"\nhandler = { stdout = true }\n",
        &["kafkaesk.toml:2: `subscriptions[0].pattern`: the pattern is empty"],
    );
    let first = format!("{SUBSCRIPTION}handler = {{ stdout = true }}\n");
    worker_says(
        &format!("{first}{}", first.replace("a.*", "*.b")),
        &[
            "error: kafkaesk.toml:1 and kafkaesk.toml:5: subscriptions to \"a.*\" and \"*.b\" overlap in group \"g\"",
        ],
    );
    let project = Project::new();
    project.toml(&first);
    project.run(&["worker", "nobody"]).fails(
        64,
        &["no subscription has the group \"nobody\"; there are: g"],
    );
    project.toml("");
    project
        .run(&["worker"])
        .fails(64, &["error: there is nothing to run"]);
}

#[test]
fn usage_errors_exit_with_64_and_suggest() {
    let project = Project::new();
    project
        .run(&["dead-leters"])
        .fails(64, &["a similar subcommand exists: 'dead-letters'"]);
    project
        .run(&["publish", "a", "--schema", "A:1"])
        .fails(64, &["error: say what to publish: --data JSON"]);
    project
        .run(&[
            "publish", "a", "--schema", "A:1", "--data", "1", "--header", "x",
        ])
        .fails(64, &["--header \"x\" has no `=`"]);
    for (arguments, said) in [
        (
            &["publish", "a", "--schema", "A", "--data", "1"][..],
            "schema id \"A\" has no version",
        ),
        (
            &["publish", "a b", "--schema", "A:1", "--data", "1"],
            "stream id \"a b\" has ' ' at byte 1",
        ),
        (
            &["publish", "a", "--schema", "A:1", "--data", "@a.json"],
            "a file is --file FILE",
        ),
        (&["tail", ""], "the pattern is empty"),
        (&["schema", "show", "A:01"], "version \"01\""),
        (&["streams", "list", "["], "pattern"),
        (
            &[
                "schema",
                "push",
                "a.json",
                "--name",
                "X Y",
                "--version",
                "1",
            ],
            "\"X Y\"",
        ),
        (
            &[
                "publish",
                "a",
                "--schema",
                "A:1",
                "--data",
                "1",
                "--header",
                "Kafkaesk-foo=x",
            ],
            "\"Kafkaesk-foo\" is reserved",
        ),
        (&["dev", "nowhere"], "nowhere has no kafkaesk.toml"),
        (&["config", "show", "--profile", "nope"], "profile"),
        (
            &["streams", "list", "--partitions", "many"],
            "flag --partitions: `partitions`",
        ),
        (
            &["streams", "list", "--connect-timeout", "0s"],
            "flag --connect-timeout: `connect-timeout`",
        ),
    ] {
        project.run(arguments).fails(64, &[said]);
    }
    let help = project.run(&["--help"]).succeeds();
    assert!(
        help.contains("Exit statuses:") && help.contains("64"),
        "{help}"
    );
}

#[test]
fn an_empty_input_is_an_error() {
    let project = Project::new();
    project.file("empty.ndjson", "\n\n");
    project
        .run(&["publish", "--ndjson", "-"])
        .fails(1, &["error: standard input holds no line to publish"]);
    project
        .run(&["publish", "--ndjson", "empty.ndjson"])
        .fails(1, &["error: empty.ndjson holds no line to publish"]);
    project.file("one.ndjson", "{}\n");
    project
        .run(&["publish", "--ndjson", "one.ndjson", "--from-line", "100"])
        .fails(
            1,
            &["error: one.ndjson has 1 line(s), and from line 100 on none to publish"],
        );
    project
        .run(&["publish", "a", "--schema", "A:1", "-"])
        .fails(1, &["error: standard input is empty; nothing was done"]);
    project
        .run(&["publish", "--ndjson", "none.ndjson"])
        .fails(1, &["error: reading none.ndjson", "No such file"]);
}

#[test]
fn documents_and_data_are_validated_without_kafka() {
    let project = Project::new();
    project.file("Order.1.json", crate::support::ORDER);
    let fits = project
        .run(&["schema", "validate", "Order.1.json", "--data", "{\"id\":1}"])
        .succeeds();
    assert_eq!(fits, "the data fits Order.1.json\n");
    project
        .run(&[
            "schema",
            "validate",
            "Order.1.json",
            "--data",
            "{\"id\":\"x\"}",
        ])
        .fails(
            1,
            &[
                "error: the data does not fit Order.1.json\n  /id: \"x\" is not of type \"integer\"   (rule /properties/id/type)",
            ],
        );
    project
        .run(&["schema", "validate", "Order.1.json", "--data", "{'id':1}"])
        .fails(
            1,
            &["the data is malformed at byte 1: '\\'' where a member name in quotes was expected"],
        );
    project.file("Bad.1.json", "{\"type\":\"strin\"}");
    project
        .run(&["schema", "validate", "Bad.1.json"])
        .fails(1, &["Bad.1.json", "/type"]);
    project.file("order.json", "{}");
    project.run(&["schema", "push", "order.json"]).fails(
        1,
        &["order.json: the name has no version", "`Order.1.json`"],
    );
}

#[test]
fn broken_rules_are_part_of_the_json_that_is_printed() {
    let project = Project::new();
    project
        .file("Order.1.json", crate::support::ORDER)
        .file("data.json", "{\"id\":\"x\"}");
    let ran = project.run(&[
        "schema",
        "validate",
        "Order.1.json",
        "--file",
        "data.json",
        "--output",
        "json",
    ]);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["valid"], false);
    assert_eq!(
        answer["violations"],
        serde_json::json!([{
            "pointer": "/id", "rule": "/properties/id/type",
            "message": "\"x\" is not of type \"integer\"",
        }])
    );
}

#[test]
fn every_line_of_standard_error_is_json_when_the_log_is() {
    let project = Project::new().variable("RUST_LOG", "foo=bar=baz");
    project.toml("topic-prefx = 1\n");
    let ran = project.run(&["config", "show", "--log-format", "json"]);
    ran.fails(1, &["RUST_LOG", "topic-prefx"]);
    let levels: Vec<String> = ran
        .stderr
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line["fields"]["message"].is_string() && line["timestamp"].is_string());
            line["level"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(levels, ["WARN", "ERROR"]);
}

#[test]
fn an_empty_filter_of_the_log_is_none() {
    let project = Project::new()
        .variable("RUST_LOG", "")
        .variable("KAFKAESK_TOPIC_PREFX", "x");
    let ran = project.run(&["config", "show"]);
    ran.fails(0, &["unknown environment variable KAFKAESK_TOPIC_PREFX"]);
}

#[test]
fn secrets_are_not_shown() {
    let project = Project::new();
    project
        .file("password", "s3cret\n")
        .toml("topic-prefix = \"shop.\"\n[kafka-settings]\nsasl.password = { file = \"password\" }\nsasl.username = \"u\"\n");
    let shown = project.run(&["config", "show"]).succeeds();
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("kafkaesk.toml:1"), "{shown}");
    let json = project
        .run(&["config", "show", "--output", "json", "--topic-prefix", "x."])
        .succeeds();
    assert!(
        json.lines()
            .any(|line| line
                == r#"{"key":"topic-prefix","source":"flag --topic-prefix","value":"x."}"#),
        "{json}"
    );
}

#[test]
fn secrets_of_a_handler_are_neither_shown_nor_logged() {
    for handler in [
        r#"{ exec = ["sh", "-c", "exit 3", { env = "U" }, { file = "secret" }, "http://u:s3cret@h/"] }"#,
        r#"{ http = { env = "U" } }"#,
        r#"{ http = "http://u:s3cret@127.0.0.1:1/?token=s3cret", headers = { Authorization = "s3cret" } }"#,
    ] {
        let project = Project::new().variable("U", "http://127.0.0.1:1/s3cret?s3cret");
        project.file("secret", "s3cret").toml(&format!(
            "kafka-servers = [\"{}\"]\n{SUBSCRIPTION}handler = {handler}\n",
            crate::dev::free()
        ));
        let shown = project.run(&["config", "show"]).succeeds();
        assert!(shown.contains("subscriptions[0].handler."), "{shown}");
        let mut dev = project.start(&["dev"]);
        dev.until("the worker", |dev| {
            dev.stdout()
                .iter()
                .any(|line| line.starts_with("worker  g  a.*"))
                && (handler.contains("http =") || dev.stderr().contains("it is started again"))
        });
        dev.signal("TERM");
        let ran = dev.end();
        let all = [shown, ran.stdout, ran.stderr].join("\n");
        assert!(!all.contains("s3cret"), "{all}");
    }
}

#[test]
fn a_handlers_headers_and_certificates_are_checked_where_they_stand() {
    let project = Project::new();
    for (more, said) in [
        (
            r#"headers = { "a b" = "x" }"#,
            "headers`: \"a b\" is not a valid name",
        ),
        (
            r#"headers = { a = "x\ny" }"#,
            "headers`: \"a\" has no valid value",
        ),
        (
            r#"headers = { kafkaesk-key = "x" }"#,
            "headers`: \"kafkaesk-key\" is reserved",
        ),
        (r#"ca = "nofile""#, "ca`: cannot read the file"),
        (
            r#"ca = "kafkaesk.toml""#,
            "kafkaesk.toml holds no PEM certificates",
        ),
    ] {
        project.toml(&format!(
            "{SUBSCRIPTION}handler = {{ http = \"http://x/\", {more} }}\n"
        ));
        let place = "error: kafkaesk.toml:4: `subscriptions[0].handler.";
        project.run(&["config", "show"]).fails(1, &[place, said]);
    }
}

#[test]
fn each_value_of_a_subscription_is_shown_with_its_own_line() {
    let project = Project::new();
    project.toml(&format!(
        "{SUBSCRIPTION}handler = {{ stdout = true }}\nmax-partitions = 3\n{}handler = {{ stdout = true }}\nstart = \"2h\"\n",
        SUBSCRIPTION.replace("a.*", "b.*")
    ));
    let shown = project
        .run(&["config", "show", "--output", "json"])
        .succeeds();
    for row in [
        r#"{"key":"subscriptions[0].max-partitions","source":"kafkaesk.toml:5","value":"3"}"#,
        r#"{"key":"subscriptions[1].start","source":"kafkaesk.toml:10","value":"2h"}"#,
    ] {
        assert!(shown.lines().any(|line| line == row), "{shown}");
    }
}

#[test]
fn completions_are_printed() {
    let script = Project::new().run(&["completions", "bash"]).succeeds();
    assert!(script.contains("kafkaesk-cli"), "{script}");
}

#[test]
fn a_concurrency_that_holds_nothing_is_refused_with_its_line() {
    let with = |concurrency: &str| {
        format!("{SUBSCRIPTION}handler = {{ stdout = true }}\nconcurrency = {concurrency}\n")
    };
    for (written, said) in [
        ("0", "from 1 to 100000"),
        (
            "\"many\"",
            "\"auto\", or bounds such as { min = 1, max = 64 }",
        ),
        ("{ min = 8, max = 4 }", "min is 8 and max is 4"),
        ("{ min = 0 }", "from 1 to 100000"),
        ("{ most = 4 }", "most"),
        ("true", "from 1 to 100000"),
    ] {
        worker_says(&with(written), &["kafkaesk.toml:5:", said]);
    }
}
