//! What others wrote, on a terminal and beside one. The terminal is Python's pseudo terminal.

use std::process::{Command, Stdio};

use kafkaesk_client::testing::kafka;

use crate::support::{ORDER, Project};

/// What a terminal would act on: ESC, a C1 character, DEL, a mark that turns the direction.
const ACTS: [char; 4] = ['\u{1b}', '\u{9b}', '\u{7f}', '\u{202e}'];

/// Runs the program on a terminal without colours, and gives all that it wrote there.
fn on_a_terminal(project: &Project, arguments: &[&str]) -> String {
    on_a_terminal_with(project, arguments, &[("NO_COLOR", "1")])
}

/// Runs the program on a terminal with these variables, and gives all that it wrote there.
pub(crate) fn on_a_terminal_with(
    project: &Project,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> String {
    let program = project.command(arguments);
    let mut command = Command::new("python3");
    command
        .args([
            "-c",
            "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)",
        ])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(project.path())
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("CI")
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[track_caller]
fn is_safe(said: &str, escaped: &str) {
    assert!(!said.contains(ACTS), "{said:?}");
    assert!(said.contains(escaped), "{said:?}");
}

#[tokio::test]
async fn what_others_published_does_nothing_to_a_terminal_and_keeps_its_bytes_beside_one() {
    let kafka = kafka().await;
    let project = Project::on(&kafka);
    let hostile = "{\"description\":\"\u{9b}31m\u{202e}\u{7f}\"}";
    project
        .file("schemas/Order.1.json", ORDER)
        .file("schemas/Evil.1.json", hostile);
    project.run(&["schema", "push", "schemas"]).succeeds();
    let data = "{\"id\":1,\"x\":\"\u{9b}31m\u{202e}\u{7f}\"}";
    project
        .run(&["publish", "a.b", "--schema", "Order:1", "--data", data])
        .succeeds();
    let escaped = "\\u009b31m\\u202e\\u007f";
    for arguments in [
        &["tail", "a.b", "--until-end"][..],
        &["tail", "a.b", "--until-end", "--output", "json"],
        &["schema", "show", "Evil"],
        &["schema", "show", "Evil", "--output", "json"],
    ] {
        is_safe(&on_a_terminal(&project, arguments), escaped);
        let piped = project.run(arguments).succeeds();
        assert!(piped.contains("\u{9b}31m\u{202e}\u{7f}"), "{piped:?}");
    }
}

#[test]
fn errors_and_logs_do_nothing_to_a_terminal() {
    let project = Project::new();
    project.toml("\"\\u001b[31m\u{9b}topic\u{202e}\" = 1\n");
    is_safe(&on_a_terminal(&project, &["config", "show"]), "\\u009b");
    project.toml("\"a\u{9b}\u{202e}\u{7f}\" = x\n");
    let said = on_a_terminal(&project, &["config", "show"]);
    assert!(!said.contains(ACTS), "{said:?}");

    let mut script = "import sys\nsys.stderr.write('child \\u009b31m \\u202e \\u007f \\u001b[31m\\n')\nsys.stderr.flush()\n".to_owned();
    script.push_str("import os, signal, time\ntime.sleep(1)\nos.kill(os.getppid(), signal.SIGTERM)\nfor line in sys.stdin: pass\n");
    project.file("child.py", script).toml(&format!(
        "kafka-servers = [\"{}\"]\n[[subscriptions]]\npattern = \"a\"\ngroup = \"g\"\nhandler = {{ exec = [\"python3\", \"child.py\"] }}\n",
        crate::dev::free()
    ));
    for format in ["text", "json"] {
        let said = on_a_terminal(&project, &["dev", "--log-format", format]);
        assert!(said.contains("stderr: child"), "{said:?}");
        // The log's own colours are the only escapes.
        let told: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("stderr: child"))
            .collect();
        assert!(!told.concat().contains(&ACTS[1..]), "{told:?}");
        assert!(!told.concat().contains("\u{1b}[31m"), "{told:?}");
    }
}
