//! `publish --ndjson` and `tail`: lines in, lines out, byte for byte.

use kafkaesk_client::testing::kafka;

use crate::support::Project;

fn lines(ids: &[&str]) -> String {
    ids.iter()
        .map(|id| {
            format!(
                "{{\"stream\":\"orders.placed\",\"schema\":\"Order:1\",\"key\":\"k\",\"data\":{{\"id\":{id}}}}}\n"
            )
        })
        .collect()
}

#[tokio::test]
async fn the_first_invalid_line_stops_and_says_how_to_resume() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let input = lines(&["1", "2", "\"x\"", "4"]);
    let stopped = project.run_with(&["publish", "--ndjson", "-"], &input);
    stopped.fails(
        1,
        &[
            "error: -:3: the event does not fit Order:1; nothing was published\n  /id: \"x\" is not of type \"integer\"   (rule /properties/id/type)",
            "2 published, 1 refused",
            "--from-line 3",
        ],
    );
    project
        .run_with(&["publish", "--ndjson", "-", "--from-line", "4"], &input)
        .succeeds();
    let all = project
        .run(&[
            "tail",
            "orders.*",
            "--from",
            "earliest",
            "--until-end",
            "--output",
            "json",
        ])
        .succeeds();
    let ids: Vec<&str> = all
        .lines()
        .map(|line| {
            line.split("\"id\":")
                .nth(1)
                .unwrap()
                .split('}')
                .next()
                .unwrap()
        })
        .collect();
    assert_eq!(ids, ["1", "2", "4"]);
}

#[tokio::test]
async fn another_program_gets_an_answer_for_every_line_in_order() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let mut input = lines(&["1", "\"x\""]);
    input.push_str(
        "{\"stream\":\"orders.placed\",\"schema\":\"Order:1\",\"keyy\":1,\"data\":1}\nnonsense\n\n",
    );
    input.push_str(&lines(&["5"]));
    let ran = project.run_with(
        &[
            "publish",
            "--ndjson",
            "-",
            "--skip-invalid",
            "--output",
            "json",
        ],
        &input,
    );
    ran.fails(
        2,
        &[
            "skipped: -:2: the event does not fit",
            "skipped: -:3: member \"keyy\"",
            "did you mean `key`?",
            "skipped: -:4: ",
            "2 published, 3 refused",
        ],
    );
    let answers: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let numbers: Vec<_> = answers
        .iter()
        .map(|a| a["line"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 6]);
    assert_eq!(answers[0]["offset"], 0);
    assert_eq!(answers[1]["violations"][0]["pointer"], "/id");
    assert_eq!(answers[4]["offset"], 1);
}

#[tokio::test]
async fn a_copied_stream_is_the_same_byte_for_byte() {
    let from = kafka().await;
    let to = kafka().await;
    let source = Project::on(&from).with_order();
    let target = Project::on(&to).with_order();
    let line = r#"{"stream":"orders.placed","schema":"Order:1","key":{"base64":"/w=="},"headers":{"a":["1",null],"b":"é"},"id":"e-1","data":{ "id" : 100000000000000000000 },"timestamp":"2026-11-24T10:00:00.123Z"}"#;
    let arguments = ["publish", "--ndjson", "-", "--keep-timestamps"];
    source.run_with(&arguments, &format!("{line}\n")).succeeds();
    let tail = [
        "tail",
        "*",
        "--from",
        "earliest",
        "--until-end",
        "--output",
        "json",
    ];
    let first = source.run(&tail).succeeds();
    target.run_with(&arguments, &first).succeeds();
    let second = target.run(&tail).succeeds();
    assert_eq!(first, second);
    assert!(
        first.contains(r#""data":{ "id" : 100000000000000000000 },"#),
        "{first}"
    );
    assert!(
        first.contains(r#""headers":{"a":["1",null],"b":"é"},"id":"e-1""#),
        "{first}"
    );
    assert!(first.contains("2026-11-24T10:00:00.123Z"), "{first}");
}

#[tokio::test]
async fn the_recipe_of_the_readme_copies_streams_with_their_schemas() {
    let from = kafka().await;
    let to = kafka().await;
    let source = Project::on(&from).with_order();
    source
        .run_with(&["publish", "--ndjson", "-"], &lines(&["1", "2"]))
        .succeeds();
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("## Copying streams").unwrap();
    let recipe = section.split("```").nth(1).unwrap();
    let other = format!("{} --topic-prefix {}", to.servers(), to.prefix());
    let script = recipe
        .trim_start_matches("sh")
        .replace("kafkaesk-cli", env!("CARGO_BIN_EXE_kafkaesk-cli"))
        .replace("other:9092", &other);
    let folder = Project::new()
        .variable("KAFKAESK_KAFKA_SERVERS", from.servers())
        .variable("KAFKAESK_TOPIC_PREFIX", from.prefix());
    folder
        .shell(&format!("set -eo pipefail\n{script}"))
        .succeeds();
    let tail = ["tail", "*", "--until-end", "--output", "json"];
    let copied = Project::on(&to).run(&tail).succeeds();
    assert_eq!(copied, source.run(&tail).succeeds());
    assert_eq!(copied.lines().count(), 2);
    let help = source.run(&["tail", "--help"]).succeeds();
    for line in recipe.lines().skip(1) {
        assert!(help.contains(line.trim()), "{line}");
    }
}

#[tokio::test]
async fn a_tail_whose_reader_went_away_ends_quietly() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project
        .run_with(&["publish", "--ndjson", "-"], &lines(&["1"]))
        .succeeds();
    let script = format!(
        "set -o pipefail; {} tail 'orders.*' --from earliest --output json --kafka-servers {} --topic-prefix {} | head -1",
        env!("CARGO_BIN_EXE_kafkaesk-cli"),
        kafka.servers(),
        kafka.prefix()
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(project.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.stdout.starts_with(b"{\"stream\":\"orders.placed\""));
}
