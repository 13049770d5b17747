//! Container: the image of `deploy/docker/Dockerfile`, with the program of this release, run against a real Kafka. The base
//! is a file system with a few libraries of glibc and nothing else, so nothing can lean on a shell.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use xtask::{broker::free_port, command, kafka::Kafka, paths};

use super::{folder, program::Program};
use crate::running::LIMIT;

/// Debian with a shell, Perl and Java; the recipe of the Kafka image makes it where no registry answers.
const DEBIAN: &str = "kafka-image-base";
/// Debian with a shell and Perl.
const PUBLIC_DEBIAN: &str = "debian:bookworm-slim";
/// What the program needs of a system, and nothing else.
const BARE: &str = "kafkaesk-bare";
const IMAGE: &str = "kafkaesk-cli-trial";
/// The stage that holds the program; named, so that it can be removed.
const STAGE: &str = "kafkaesk-cli-trial-build";
/// An `exec` handler in the one language that Debian's minimal system has.
const HANDLER: &str = r#"$| = 1;
while (my $line = <STDIN>) {
    my ($delivery) = $line =~ /"delivery":"([^"]+)"/;
    my ($id) = $line =~ /"data":\{"id":(\d+)/;
    print STDERR "perl handled $id\n";
    print qq({"delivery":"$delivery","outcome":"done"}\n);
}
"#;

/// Builds and runs the image: once on a bare base with an `http` handler, once on Debian with an `exec` handler.
///
/// # Errors
/// It does not build, does not handle an event, is not healthy, or does not end cleanly when asked to.
pub(super) fn check(program: &Program, dist: &Path, kafka: &Kafka) -> Result<()> {
    let debian = debian()?;
    bare(debian)?;
    let (servers, _broker) = kafka.running("container")?;
    let trial = Trial {
        servers,
        prefix: format!("container-{}-{}.", std::process::id(), free_port()?),
        project: env::temp_dir().join(format!("kafkaesk-container-{}", std::process::id())),
    };
    let context = folder::path(program, dist);
    build(&context, debian, BARE, &["--target=build", "--tag", STAGE])?;
    for (base, handler) in [(BARE, Handler::Http), (debian, Handler::Exec)] {
        build(&context, debian, base, &["--tag", IMAGE])?;
        trial.run(handler)?;
        if base == BARE {
            let size = ["image", "inspect", "--format", "{{.Size}}"];
            let sizes = [BARE, IMAGE].map(|image| docker(&[&size[..], &[image]].concat()));
            let [of_base, all] = sizes.map(|it| Ok::<u64, anyhow::Error>(it?.trim().parse()?));
            println!(
                "the image adds {} MB to its base",
                (all? - of_base?).div_ceil(1_000_000)
            );
        }
        docker(&["image", "rm", "--force", IMAGE])?;
    }
    docker(&["image", "rm", "--force", STAGE, BARE])?;
    Ok(())
}

/// Debian as an image: what the recipe of the Kafka image left, or what a registry gives.
///
/// # Errors
/// Neither is there.
fn debian() -> Result<&'static str> {
    let there = |image: &str| docker(&["image", "inspect", image]).is_ok();
    if there(DEBIAN) {
        return Ok(DEBIAN);
    }
    if !there(PUBLIC_DEBIAN) {
        docker(&["pull", "--quiet", PUBLIC_DEBIAN]).with_context(|| {
            format!("the Docker engine has no image {DEBIAN} and no registry gives {PUBLIC_DEBIAN}; `docker image rm apache/kafka:4.3.1 && bash xtask/kafka-image/ensure.sh` makes the first")
        })?;
    }
    Ok(PUBLIC_DEBIAN)
}

/// Makes the bare base from Debian's libraries.
fn bare(debian: &str) -> Result<()> {
    let libraries = "lib64/ld-linux-*.so.* lib/ld-linux-*.so.* lib/*/libc.so.6 lib/*/libm.so.6 lib/*/libgcc_s.so.1";
    let make = format!(
        "docker run --rm --entrypoint sh {debian} -c 'cd / && tar --dereference --ignore-failed-read -cf - $(ls -d {libraries} 2>/dev/null)' | docker import - {BARE}"
    );
    command::output(Command::new("bash").args(["-o", "pipefail", "-c", &make]))?;
    Ok(())
}

fn build(context: &Path, builder: &str, base: &str, more: &[&str]) -> Result<()> {
    let dockerfile = paths::root().join("deploy/docker/Dockerfile");
    let mut build = Command::new("docker");
    build
        // Debian's engine comes without buildx.
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "--quiet", "--file"])
        .arg(dockerfile)
        .args(["--build-arg", &format!("BUILD={builder}")])
        .args(["--build-arg", &format!("BASE={base}")])
        .args(more)
        .arg(context);
    command::output(&mut build)?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Handler {
    Http,
    Exec,
}

struct Trial {
    servers: String,
    prefix: String,
    /// What is mounted at /app.
    project: PathBuf,
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.project);
    }
}

impl Trial {
    fn run(&self, handler: Handler) -> Result<()> {
        let (service, port) = listen()?;
        let (group, declared, handled) = match handler {
            Handler::Http => (
                "by-http",
                format!("{{ http = \"http://127.0.0.1:{port}/orders\" }}"),
                "{\"id\":1}",
            ),
            Handler::Exec => (
                "by-exec",
                "{ exec = [\"perl\", \"handler.pl\"] }".into(),
                "perl handled 1",
            ),
        };
        fs::create_dir_all(self.project.join("schemas"))?;
        fs::write(
            self.project.join("schemas/Order.1.json"),
            r#"{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}"#,
        )?;
        fs::write(self.project.join("handler.pl"), HANDLER)?;
        fs::write(
            self.project.join("kafkaesk.toml"),
            format!(
                "schemas = [\"schemas/*.json\"]\n[[streams]]\nname = \"orders.placed\"\nschema = \"Order\"\npartitions = 1\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{group}\"\nhandler = {declared}\n"
            ),
        )?;
        self.once(&["schema", "push"])?;
        let publish = ["publish", "orders.placed", "--schema", "Order:1"];
        self.once(&[&publish[..], &["--data", "{\"id\":1}"]].concat())?;
        let operate = format!("KAFKAESK_OPERATE_LISTEN=127.0.0.1:{}", free_port()?);
        let worker = Container::start(&self.options(&["--env", &operate, "--health-interval=1s"]))?;
        match handler {
            Handler::Http => {
                let body = service.recv_timeout(LIMIT).with_context(|| {
                    format!(
                        "the http handler got no message; the worker says:\n{}",
                        worker.log()
                    )
                })?;
                anyhow::ensure!(body == handled, "the http handler got {body}");
            }
            Handler::Exec => worker.wait("the exec handler", |it| it.log().contains(handled))?,
        }
        worker.wait("the health check", |it| {
            it.inspect("{{.State.Health.Status}}") == "healthy"
        })?;
        println!("{group}: handled {handled}, healthy");
        worker.stop()
    }

    /// How every container is run: as in production, and with this machine's network, since Kafka says that it is there.
    fn options(&self, more: &[&str]) -> Vec<String> {
        let mount = format!("{}:/app:ro", self.project.display());
        let mut options: Vec<String> = [
            "--read-only",
            "--cap-drop=ALL",
            "--network=host",
            "--volume",
            &mount,
        ]
        .map(String::from)
        .to_vec();
        options.push("--security-opt=no-new-privileges".into());
        for (name, value) in [
            ("KAFKAESK_KAFKA_SERVERS", &self.servers),
            ("KAFKAESK_TOPIC_PREFIX", &self.prefix),
            ("KAFKAESK_GROUP_PREFIX", &self.prefix),
            // Brokers bear only so many partitions.
            ("KAFKAESK_DEAD_LETTER_PARTITIONS", &"1".to_owned()),
        ] {
            options.extend(["--env".into(), format!("{name}={value}")]);
        }
        options.extend(more.iter().map(|it| (*it).to_owned()));
        options
    }

    /// Runs one command to its end.
    fn once(&self, arguments: &[&str]) -> Result<()> {
        let mut run = Command::new("docker");
        run.args(["run", "--rm", "--no-healthcheck"]);
        run.args(self.options(&[])).arg(IMAGE).args(arguments);
        print!("{}", command::output(&mut run)?);
        Ok(())
    }
}

/// A container in the background; removed when dropped.
struct Container(String);

impl Container {
    fn start(options: &[String]) -> Result<Self> {
        let mut run = Command::new("docker");
        run.args(["run", "--detach"]).args(options).arg(IMAGE);
        Ok(Self(command::output(&mut run)?.trim().to_owned()))
    }

    fn log(&self) -> String {
        let output = Command::new("docker").args(["logs", &self.0]).output();
        output.map_or_else(
            |error| error.to_string(),
            |it| String::from_utf8_lossy(&[it.stdout, it.stderr].concat()).into_owned(),
        )
    }

    fn inspect(&self, what: &str) -> String {
        let said = docker(&["inspect", "--format", what, &self.0]);
        said.unwrap_or_default().trim().to_owned()
    }

    fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<()> {
        let end = Instant::now() + LIMIT;
        while !holds(self) {
            if Instant::now() > end || self.inspect("{{.State.Running}}") != "true" {
                bail!(
                    "{what} did not get there; the container says:\n{}",
                    self.log()
                );
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// As an orchestrator does. The status 137 would mean that it had to be killed.
    fn stop(&self) -> Result<()> {
        docker(&["stop", "--time=40", &self.0])?;
        match self.inspect("{{.State.ExitCode}}").as_str() {
            "0" => Ok(()),
            other => bail!("it ended with status {other}:\n{}", self.log()),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", "--volumes", &self.0]);
    }
}

fn docker(arguments: &[&str]) -> Result<String> {
    command::output(Command::new("docker").args(arguments))
}

/// A service for the `http` handler: says which bodies it got.
fn listen() -> Result<(Receiver<String>, u16)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let (sender, bodies) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Ok(reading) = stream.try_clone() else {
                continue;
            };
            let mut reader = BufReader::new(reading);
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                let header = line.to_ascii_lowercase();
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or_default();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() || length == 0 {
                continue;
            }
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            if stream.write_all(answer).is_err()
                || sender
                    .send(String::from_utf8_lossy(&body).into_owned())
                    .is_err()
            {
                return;
            }
        }
    });
    Ok((bodies, port))
}
