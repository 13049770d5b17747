//! The completion scripts, run in their shells: bash, zsh and fish must be installed.

use kafkaesk_client::testing::kafka;

use crate::support::{ORDER, Project};

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// What a shell offers for a line that is being written, sorted. `:files` stands for the shell's own files.
fn offered(project: &Project, shell: &str, line: &str) -> Vec<String> {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_kafkaesk-cli"));
    let folder = program.parent().unwrap().display();
    let script = project.run(&["completions", shell]).succeeds();
    project.file("script", script);
    let asked = match shell {
        "bash" => format!(
            r#"source ./script
               COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
               COMP_LINE="$LINE"; COMP_POINT=${{#COMP_LINE}}
               compopt() {{ :; }}
               compgen() {{ echo :files; }}
               PATH="{folder}:$PATH"
               _kafkaesk_cli kafkaesk-cli
               printf '%s\n' "${{COMPREPLY[@]}}""#
        ),
        // Outside of its line editor zsh has no completion to add to.
        "zsh" => format!(
            r#"compdef() {{ :; }}
               compset() {{ :; }}
               _files() {{ print :files; }}
               _describe() {{ print -rl -- ${{(P)2}}; }}
               source ./script
               path=({folder} $path)
               words=("${{(@s: :)LINE}}"); CURRENT=${{#words}}
               _kafkaesk_cli"#
        ),
        _ => format!(
            r#"set PATH {folder} $PATH
               source ./script
               complete -C "$LINE" | string replace -r '\t.*' ''"#
        ),
    };
    let mut command = std::process::Command::new(shell);
    if shell == "zsh" {
        command.arg("-f");
    }
    let output = command
        .args(["-c", &asked])
        .env("LINE", line)
        .env("HOME", project.path())
        .current_dir(project.path())
        .env_remove("KAFKAESK_TEST_SERVERS")
        .output()
        .unwrap_or_else(|error| panic!("{shell} cannot be started: {error}"));
    assert!(
        output.stderr.is_empty(),
        "{shell}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let mut words: Vec<String> = text
        .lines()
        .filter(|word| !word.is_empty())
        .map(|word| match shell {
            // A word, its colons escaped, and its help.
            "zsh" => {
                let escaped = word.replace("\\:", "\0");
                let word = escaped.split(':').next().unwrap_or_default();
                word.replace('\0', ":")
            }
            _ => word.to_owned(),
        })
        .collect();
    words.sort();
    words
}

/// As [`offered`], and the same from each shell.
#[track_caller]
fn in_every_shell(project: &Project, line: &str, expected: &[&str]) {
    for shell in SHELLS {
        let mut offered = offered(project, shell, line);
        if shell == "bash" {
            // What stands before the word break is not repeated.
            let word = line.rsplit(' ').next().unwrap();
            let before = word.rfind([':', '=']).map_or("", |at| &word[..=at]);
            for word in &mut offered {
                *word = format!("{before}{word}");
            }
        }
        assert_eq!(offered, expected, "{shell}: {line:?}");
    }
}

fn project() -> Project {
    let project = Project::new();
    project.file("schemas/Order.1.json", ORDER).file("schemas/Order.2.json", ORDER).toml(&format!(
        "kafka-servers = [\"{}\"]\nschemas = [\"schemas/*.json\"]\n[[streams]]\nname = \"orders.placed\"\nschema = \"Order\"\n[[streams]]\nname = \"orders.gone\"\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"billing\"\nhandler = {{ stdout = true }}\n[profile.dev]\n[profile.production]\n",
        crate::dev::free()
    ));
    project
}

#[test]
fn every_shell_completes_commands_options_and_values_after_the_first_word() {
    let project = project();
    in_every_shell(&project, "kafkaesk-cli sch", &["schema"]);
    in_every_shell(&project, "kafkaesk-cli schema sh", &["show"]);
    in_every_shell(&project, "kafkaesk-cli schema push --dr", &["--dry-run"]);
    in_every_shell(&project, "kafkaesk-cli publish --sche", &["--schema"]);
    in_every_shell(
        &project,
        "kafkaesk-cli tail --fr",
        &["--from", "--from-offset"],
    );
    in_every_shell(&project, "kafkaesk-cli tail x --output ", &["json", "text"]);
    in_every_shell(
        &project,
        "kafkaesk-cli tail x --output=j",
        &["--output=json"],
    );
    in_every_shell(&project, "kafkaesk-cli --strict t", &["true"]);
    in_every_shell(&project, "kafkaesk-cli completions z", &["zsh"]);
    in_every_shell(&project, "kafkaesk-cli nonsense --x --fo", &[]);
}

#[test]
fn profiles_groups_streams_and_schemas_of_the_configuration_are_values() {
    let project = project();
    in_every_shell(
        &project,
        "kafkaesk-cli config show --profile ",
        &["dev", "production"],
    );
    in_every_shell(
        &project,
        "kafkaesk-cli --profile=pro",
        &["--profile=production"],
    );
    in_every_shell(&project, "kafkaesk-cli worker b", &["billing"]);
    in_every_shell(
        &project,
        "kafkaesk-cli publish orders.",
        &["orders.gone", "orders.placed"],
    );
    in_every_shell(
        &project,
        "kafkaesk-cli publish orders.placed --schema Ord",
        &["Order:1", "Order:2"],
    );
    in_every_shell(
        &project,
        "kafkaesk-cli publish orders.placed --schema Order:",
        &["Order:1", "Order:2"],
    );
    in_every_shell(
        &project,
        "kafkaesk-cli config show --config none --profile ",
        &[],
    );
}

#[tokio::test]
async fn streams_and_schemas_of_the_cluster_are_values() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    project
        .run_with(&["publish", "--ndjson", "-"], &crate::support::orders(1))
        .succeeds();
    let options = format!(
        "--kafka-servers {} --topic-prefix {}",
        kafka.servers(),
        kafka.prefix()
    );
    in_every_shell(
        &project,
        &format!("kafkaesk-cli {options} tail ord"),
        &["orders.placed"],
    );
    in_every_shell(
        &project,
        &format!("kafkaesk-cli schema {options} show O"),
        &["Order:1"],
    );
}
