//! `init`: the project that it writes, run as its reader runs it. Needs python3 and node, and no Kafka.

use std::path::Path;

use crate::{
    dev::{free, printed},
    support::{Project, Running},
};

/// A folder whose commands reach a dev broker of its own.
fn place() -> Project {
    Project::new().variable("KAFKAESK_KAFKA_SERVERS", &free())
}

fn until_handled(dev: &mut Running, id: u32) {
    for handler in ["bill", "audit"] {
        dev.until("both handlers", |dev| {
            dev.stderr().contains(&format!("{handler} order {id} "))
        });
    }
}

/// How often each group has assigned partitions.
fn assignments(of: &Running) -> [usize; 2] {
    let stderr = of.stderr();
    ["billing", "audit"].map(|group| {
        let line = format!("assigned group=\"{group}\"");
        stderr.matches(&line).count()
    })
}

fn until_hint(dev: &mut Running) {
    dev.until("the hint", |dev| {
        dev.stdout().iter().any(|line| line.contains(" publish "))
    });
}

#[test]
fn the_printed_commands_run_the_project_and_both_handlers_handle_an_order() {
    let place = place();
    let said = place.run(&["init", "my shop"]).succeeds();
    let command = said.lines().last().unwrap().trim();
    let mut dev = place.start_shell(command);
    until_hint(&mut dev);
    let publish = printed(&dev);
    place.shell(&publish).succeeds();
    until_handled(&mut dev, 1);
    // Only LF ends a line; other separators may stand in a string.
    let odd = publish.replace(r#""id":1"#, "\"id\":2,\"note\":\"a\u{2028}b\u{85}c\"");
    place.shell(&odd).succeeds();
    until_handled(&mut dev, 2);
    dev.signal("TERM");
    assert_eq!(dev.end().status, 0);
}

#[test]
fn its_readme_is_true() {
    let place = place();
    place.run(&["init"]).succeeds();
    let program = Path::new(env!("CARGO_BIN_EXE_kafkaesk-cli"));
    let path = format!("export PATH={}:$PATH;", program.parent().unwrap().display());
    let readme = std::fs::read_to_string(place.path().join("README.md")).unwrap();
    let mut console = false;
    let mut said = String::new();
    let mut background = Vec::new();
    let mut commands = 0;
    for line in readme.lines() {
        if line.starts_with("```") {
            console = line == "```console";
        } else if !console {
            continue;
        } else if let Some(command) = line.strip_prefix("$ ") {
            commands += 1;
            if command.ends_with(" dev") || command.ends_with(" worker") {
                let mut started = place.start_shell(&format!("{path} exec {command}"));
                if command.ends_with(" dev") {
                    until_hint(&mut started);
                } else {
                    started.until("partitions of both groups", |it| {
                        assignments(it).iter().all(|count| *count > 0)
                    });
                }
                background.push(started);
                continue;
            }
            let ran = place.shell(&format!("{path} {command}"));
            let shows_error = readme.contains(&format!("{command}\nerror: "));
            assert_eq!(
                ran.status,
                i32::from(shows_error),
                "{command}: {}",
                ran.stderr
            );
            said = ran.stderr;
        } else {
            assert!(said.contains(line), "{line:?} is missing in:\n{said}");
        }
    }
    assert_eq!(commands, 5);
    until_handled(&mut background[0], 1);
    // The worker first: `dev` is its broker.
    let end = |started: Running| {
        started.signal("TERM");
        let ended = started.end();
        assert_eq!(ended.status, 0, "{}", ended.stderr);
    };
    let (worker, mut dev) = (background.pop().unwrap(), background.pop().unwrap());
    let [billing, audit] = assignments(&dev);
    end(worker);
    // `dev`'s broker refuses the commit of a member that ends while its group is divided again.
    dev.until("the worker's partitions", |dev| {
        let now = assignments(dev);
        now[0] > billing && now[1] > audit
    });
    end(dev);
}

#[test]
fn what_exists_is_named_and_stays() {
    let place = place();
    place.file("shop/README.md", "mine");
    place
        .run(&["init", "shop"])
        .fails(1, &["shop/README.md exists", "nothing was written"]);
    assert_eq!(
        std::fs::read_dir(place.path().join("shop"))
            .unwrap()
            .count(),
        1
    );
    place
        .run(&["init", "shop/README.md"])
        .fails(1, &["cannot write shop/README.md/kafkaesk.toml"]);
    // A folder with other files is as good as an empty one.
    place.file("other/.git/HEAD", "");
    place.run(&["init", "other"]).succeeds();
}

#[test]
fn a_missing_interpreter_is_named_with_what_to_do() {
    let place = place().variable("PATH", "/nonexistent");
    let ran = place.run(&["init", "a/b"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    for program in ["python3", "node"] {
        let note = format!("{program} is not in the PATH");
        assert!(ran.stderr.contains(&note), "{}", ran.stderr);
    }
}
