//! The child processes of an exec handler: what they get, what of their words is logged, and that none outlives its
//! worker. Needs no Kafka: `dev` brings a broker.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    dev::{free, printed},
    support::{ORDER, Project, Running, ending_signals, has_signal, until},
};

/// A project whose one subscription runs `child.py`, and `dev` with its child started.
fn dev(project: &Project, script: &str, handler: &str) -> Running {
    project
        .file("schemas/Order.1.json", ORDER)
        .file("child.py", script)
        .toml(&format!(
            "kafka-servers = [\"{}\"]\nschemas = [\"schemas/*.json\"]\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"g\"\nhandler = {{ exec = [\"python3\", \"child.py\"]{handler} }}\n[kafka-settings]\nsasl.password = {{ env = \"KAFKA_PW\" }}\n",
            free()
        ));
    let mut dev = project.start(&["dev"]);
    dev.until("the child", |dev| dev.stderr().contains("started `python3"));
    dev
}

fn is_there(pid: &str) -> bool {
    // A process that ended and that nobody has waited for is not a process any more.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
    })
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn no_child_and_no_grandchild_outlives_a_killed_worker() {
    for stubborn in [false, true] {
        let project = Project::new();
        let ignore = match stubborn {
            true => "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n",
            false => "",
        };
        let script = format!(
            "import os, signal, subprocess, time\n{ignore}below = subprocess.Popen(['sleep', '1000'])\nwith open('new', 'w') as pids:\n    pids.write('%d %d' % (os.getpid(), below.pid))\nos.rename('new', 'pids')\ntime.sleep(1000)\n"
        );
        let dev = dev(&project, &script, "");
        let file = project.path().join("pids");
        until("both processes", || file.exists());
        let pids = read(&file);
        assert!(pids.split(' ').all(is_there), "{pids}");
        dev.signal("KILL");
        dev.end();
        let killed = Instant::now();
        until("the end of both processes", || {
            !pids.split(' ').any(is_there)
        });
        let took = killed.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[test]
fn a_worker_that_ends_leaves_neither_child_nor_watchdog() {
    for signal in ending_signals() {
        let project = Project::new();
        let script = "import os, sys\nopen('new', 'w').write(str(os.getpid()))\nos.rename('new', 'pids')\nfor line in sys.stdin: pass\n";
        let dev = dev(&project, script, "");
        let file = project.path().join("pids");
        until("the child", || file.exists());
        let pid = read(&file);
        let watchdogs = || {
            let wanted = format!("kafkaesk-watchdog\0{pid}\0");
            let processes = std::fs::read_dir("/proc").unwrap().flatten();
            processes
                .filter(|process| read(&process.path().join("cmdline")).ends_with(&wanted))
                .count()
        };
        until("the watchdog", || watchdogs() == 1);
        dev.signal(signal);
        assert_eq!(dev.end().status, 0);
        assert!(!is_there(&pid));
        until("the watchdog's end", || watchdogs() == 0);
    }
}

#[test]
fn a_hangup_ends_nothing_that_was_started_to_survive_it() {
    let project = Project::new();
    project.toml("");
    let command = project.command(&["dev", "--kafka-servers", &free()]);
    let program = command.get_program().to_owned();
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut nohup = Command::new("nohup");
    nohup
        .arg(program)
        .args(arguments)
        .current_dir(project.path())
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(project.path().join("out")).unwrap())
        .stderr(std::fs::File::create(project.path().join("err")).unwrap());
    let mut child = nohup.spawn().unwrap();
    let out = project.path().join("out");
    until("the broker", || read(&out).contains("no subscriptions yet"));
    let signal = |name: &str| {
        let sent = Command::new("kill")
            .args([format!("-{name}"), child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    };
    assert!(has_signal(child.id(), "SigIgn", "HUP"));
    signal("HUP");
    signal("TERM");
    until("its end", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_child_gets_no_secret_of_the_worker_but_what_it_is_given() {
    let project = Project::new()
        .variable("KAFKAESK_SECRET", "s3cret")
        .variable("KAFKAESK_DELIVERY_TIMEOUT", "60s")
        .variable("KAFKA_PW", "s3cret")
        .variable("HOOK", "s3cret")
        .variable("PLAIN", "kept");
    let script = "import json, os\nopen('new', 'w').write(json.dumps(dict(os.environ)))\nos.rename('new', 'environment')\nimport sys\nfor line in sys.stdin: pass\n";
    let dev = dev(
        &project,
        script,
        r#", env = { GIVEN = "given", TOKEN = { env = "HOOK" }, KAFKAESK_CONFIG = "mine" }"#,
    );
    let file = project.path().join("environment");
    until("its environment", || file.exists());
    let environment: serde_json::Value = serde_json::from_str(&read(&file)).unwrap();
    let of = |name: &str| environment.get(name).and_then(|value| value.as_str());
    assert_eq!(of("KAFKAESK_SECRET"), None);
    assert_eq!(of("KAFKAESK_DELIVERY_TIMEOUT"), None);
    assert_eq!(of("KAFKA_PW"), None);
    assert_eq!(of("HOOK"), None);
    assert_eq!(of("PLAIN"), Some("kept"));
    assert_eq!(of("GIVEN"), Some("given"));
    assert_eq!(of("TOKEN"), Some("s3cret"));
    assert_eq!(of("KAFKAESK_CONFIG"), Some("mine"));
    drop(dev);
}

#[test]
fn a_line_too_long_for_the_log_is_said_and_the_next_one_follows() {
    let project = Project::new();
    let script = "import sys\nsys.stderr.write('x' * 20_000_000 + '\\n')\nsys.stderr.write('next\\n')\nfor line in sys.stdin: pass\n";
    let mut dev = dev(&project, script, "");
    dev.until("both lines", |dev| {
        let said = dev.stderr();
        said.contains("a line of 20000000 bytes was left out") && said.contains("stderr: next")
    });
}

#[test]
fn a_child_that_floods_its_standard_error_is_thinned_and_the_log_counts_what_it_left_out() {
    let project = Project::new();
    let lines = 200_000;
    let script = format!(
        "import sys\nsys.stderr.write('flood\\n' * {lines})\nsys.stderr.flush()\nopen('over', 'w').close()\nfor line in sys.stdin: pass\n"
    );
    let mut dev = dev(&project, &script, "");
    let file = project.path().join("over");
    let left_out = |said: &str| -> usize {
        said.lines()
            .filter_map(|line| line.split_once(" lines of the child's standard error"))
            .filter_map(|(before, _)| before.rsplit(' ').next()?.parse::<usize>().ok())
            .sum()
    };
    let logged = |said: &str| said.matches("stderr: flood").count();
    dev.until("every line, logged or counted", |dev| {
        let said = dev.stderr();
        file.exists() && logged(&said) + left_out(&said) == lines
    });
    assert!(left_out(&dev.stderr()) > lines / 2);
}

#[test]
fn a_shutdown_keeps_within_its_timeout_whether_or_not_a_stubborn_child_has_a_message() {
    for has_message in [false, true] {
        let project = Project::new()
            .variable("KAFKAESK_SHUTDOWN_TIMEOUT", "4s")
            .variable("KAFKA_PW", "unused");
        let script = "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('ready', 'w').close()\nsys.stdin.readline()\nopen('taken', 'w').close()\nwhile True: time.sleep(1)\n";
        let mut dev = dev(&project, script, "");
        let file = |name| project.path().join(name);
        until("the child", || file("ready").exists());
        if has_message {
            dev.until("the hint", |dev| {
                dev.stdout().iter().any(|line| line.contains(" publish "))
            });
            project.shell(&printed(&dev)).succeeds();
            until("the message in the child", || file("taken").exists());
        }
        dev.signal("TERM");
        let asked = Instant::now();
        // A handler that was interrupted shows in the status.
        assert_eq!(dev.end().status, if has_message { 2 } else { 0 });
        let took = asked.elapsed();
        assert!(
            took < Duration::from_millis(5_500),
            "{has_message}: {took:?}"
        );
    }
}
