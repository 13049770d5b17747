//! Colour: on a terminal unless something says no, in pipes only if asked for, in JSON never.

use crate::{
    support::{Project, Ran},
    terminal::on_a_terminal_with,
};

const ESCAPE: char = '\u{1b}';
/// `error:`, bold and red.
const RED: &str = "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m";
/// Advice, in cyan.
const ADVICE: &str = "\u{1b}[36mnothing";

/// A command that fails with advice, after a line of the log: RUST_LOG is not a filter.
const FAILS: [&str; 2] = ["dev", "nowhere"];
const LOGS: (&str, &str) = ("RUST_LOG", "a=b=c");

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

fn piped(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let project = variables.iter().fold(
        Project::new().variable(LOGS.0, LOGS.1),
        |project, (name, value)| project.variable(name, value),
    );
    project.run(arguments)
}

#[test]
fn a_terminal_gets_colours_in_errors_hints_and_logs() {
    let project = Project::new();
    let said = on_a_terminal_with(&project, &FAILS, &[LOGS]);
    assert!(said.contains(RED), "{said:?}");
    assert!(
        said.contains("; \u{1b}[36mname a project's folder"),
        "{said:?}"
    );
    assert!(said.contains("\u{1b}[33m WARN"), "{said:?}");
    assert!(!said.contains(ADVICE), "{said:?}");
    let usage = on_a_terminal_with(&project, &["tail", "--nonsense"], &[]);
    assert!(usage.contains(ESCAPE), "{usage:?}");
    let unset = on_a_terminal_with(&project, &FAILS, &[LOGS, ("NO_COLOR", "")]);
    assert!(unset.contains(RED), "{unset:?}");
}

#[test]
fn no_color_a_dumb_terminal_and_never_keep_a_terminal_plain() {
    let project = Project::new();
    let never = with(&FAILS, &["--color", "never"]);
    for (arguments, variable) in [
        (&FAILS[..], ("NO_COLOR", "1")),
        (&FAILS, ("TERM", "dumb")),
        (&never, ("TERM", "xterm")),
        (&["tail", "--nonsense", "--color=never"], ("TERM", "xterm")),
        (&["tail", "--nonsense"], ("NO_COLOR", "yes")),
    ] {
        let said = on_a_terminal_with(&project, arguments, &[LOGS, variable]);
        assert!(said.contains("error:"), "{said:?}");
        assert!(
            !said.contains(ESCAPE),
            "{arguments:?} {variable:?}: {said:?}"
        );
    }
    // The flag beats the variable.
    let always = with(&FAILS, &["--color", "always"]);
    let said = on_a_terminal_with(&project, &always, &[LOGS, ("NO_COLOR", "1")]);
    assert!(said.contains(RED), "{said:?}");
}

#[test]
fn a_pipe_is_plain_unless_colour_is_asked_for_and_json_is_plain_in_any_case() {
    for plain in [
        piped(&FAILS, &[]),
        piped(
            &with(&FAILS, &["--color", "always", "--log-format", "json"]),
            &[],
        ),
        piped(
            &with(&FAILS, &["--log-format", "json"]),
            &[("CLICOLOR_FORCE", "1")],
        ),
    ] {
        assert_eq!(plain.status, 64);
        assert!(
            plain.stderr.contains("is not a filter"),
            "{:?}",
            plain.stderr
        );
        assert!(!plain.stderr.contains(ESCAPE), "{:?}", plain.stderr);
    }
    let shown = piped(
        &["config", "show", "--output", "json", "--color", "always"],
        &[],
    );
    assert!(!shown.succeeds().contains(ESCAPE));
    for coloured in [
        piped(&with(&FAILS, &["--color", "always"]), &[]),
        piped(&FAILS, &[("CLICOLOR_FORCE", "1")]),
    ] {
        assert!(coloured.stderr.contains(RED), "{:?}", coloured.stderr);
        assert!(
            coloured.stderr.contains("\u{1b}[33m WARN"),
            "{:?}",
            coloured.stderr
        );
    }
}
