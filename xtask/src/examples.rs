//! Every example, run as its reader would run it, against the Kafka of this run. Ends each process that it starts.

use std::{
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use xtask::{broker::free_port, command, kafka::Kafka, paths};

use crate::{
    cargo::build_all,
    running::{LIMIT, Running},
    walk,
};

/// What each prints of the content that `publisher` publishes.
const OF_CONTENT: [(&str, &str); 2] = [("first", "bar"), ("versions", "bar by nobody")];
/// What each prints of the order that is published for `worker`.
const OF_ORDERS: [(&str, &str); 3] = [
    ("raw_json", r#"Order:1 {"id":7}"#),
    ("raw_json", " bytes"),
    ("state", "1 so far"),
];

/// Builds and runs them.
///
/// # Errors
/// One does not do what it shows.
pub(crate) fn run(kafka: &Kafka) -> Result<()> {
    build_all()?;
    let (servers, _broker) = kafka.running("examples")?;
    let examples = Examples {
        servers,
        prefix: format!("examples-{}-{}.", std::process::id(), free_port()?),
    };
    examples.rust()?;
    examples.own_prefix("polyglot").polyglot()?;
    println!("dead-letters, by its README");
    walk::example(&examples.own_prefix("dead").place(), "dead-letters")?;
    println!("sink, by its README");
    walk::example(&examples.own_prefix("sink").place(), "sink")?;
    examples.own_prefix("dead-rust").dead_letters()?;
    examples.dev()
}

struct Examples {
    servers: String,
    prefix: String,
}

impl Examples {
    /// The same Kafka, other topics.
    fn own_prefix(&self, name: &str) -> Self {
        Self {
            servers: self.servers.clone(),
            prefix: format!("{}{name}.", self.prefix),
        }
    }

    fn place(&self) -> walk::Place {
        walk::Place {
            servers: self.servers.clone(),
            prefix: self.prefix.clone(),
        }
    }

    fn rust(&self) -> Result<()> {
        println!("publisher");
        let receipt = command::output(&mut self.program("publisher"))?;
        if !receipt.contains("content.edited.Resource[") {
            bail!("publisher printed no receipt: {receipt}");
        }
        self.follow(&OF_CONTENT)?;
        println!("worker");
        let orders = paths::root().join("examples/orders");
        command::output(self.cli(&["schema", "push"]).current_dir(&orders))?;
        let mut publish = self.cli(&["publish", "orders.placed", "--schema", "Order:1"]);
        command::output(publish.args(["--data", r#"{"id":7}"#]))?;
        let mut worker = Running::start(&mut self.program("worker"))?;
        worker.wait_for("bill 7, attempt 1")?;
        worker.end_with("INT")?;
        self.follow(&OF_ORDERS)
    }

    /// Programs with the command line inside, as workers.
    fn follow(&self, programs: &[(&str, &str)]) -> Result<()> {
        for (name, says) in programs {
            println!("{name}");
            // Each run is a new group's: two of one program read the same messages.
            let mut program = self.program(name);
            program.env(
                "KAFKAESK_GROUP_PREFIX",
                format!("{}{}.", self.prefix, free_port()?),
            );
            let mut worker = Running::start(program.arg("worker"))?;
            worker.wait_for(says)?;
            worker.end()?;
        }
        Ok(())
    }

    fn polyglot(&self) -> Result<()> {
        println!("polyglot");
        let folder = paths::root().join("examples/polyglot");
        let mut handler = Running::start(
            Command::new("python3")
                .arg(folder.join("handlers/billing.py"))
                .env("PYTHONUNBUFFERED", "1"),
        )?;
        command::output(self.cli(&["schema", "push"]).current_dir(&folder))?;
        let mut publish = self.cli(&["publish", "orders.placed", "--schema", "Order:1"]);
        command::output(publish.args(["--data", r#"{"id":9}"#]).current_dir(&folder))?;
        let mut worker = Running::start(self.cli(&["worker"]).current_dir(&folder))?;
        handler.wait_for("bill 9")?;
        worker.wait_for("audit orders.placed 9")?;
        worker.end()
    }

    /// Two workers in turn: without the address the order becomes a dead letter, with it a redrive brings it back.
    fn dead_letters(&self) -> Result<()> {
        println!("dead_letters");
        let run = |arguments: &[&str]| {
            let mut program = self.program("dead_letters");
            command::output(program.args(arguments))
        };
        run(&["schema", "push"])?;
        let order = r#"{"id":2,"customer":"acme"}"#;
        let publish = ["publish", "purchases.made", "--schema", "Purchase:1"];
        run(&[&publish[..], &["--data", order]].concat())?;
        let mut worker = Running::start(self.program("dead_letters").arg("worker"))?;
        worker.wait_for("reason=attempts attempts=3")?;
        worker.end()?;
        let listed = run(&["dead-letters", "list"])?;
        if !listed.contains("acme has no address") {
            bail!("`dead-letters list` does not show the error: {listed}");
        }
        let mut fixed = self.program("dead_letters");
        let fixed = fixed.env("ACME_ADDRESS", "1 Desert Road").arg("worker");
        let mut worker = Running::start(fixed)?;
        run(&["dead-letters", "redrive"])?;
        worker.wait_for("bill 2 acme")?;
        worker.end()?;
        match run(&["dead-letters", "list"])?.as_str().trim() {
            "" => Ok(()),
            left => bail!("after the redrive `dead-letters list` still shows {left}"),
        }
    }

    fn dev(&self) -> Result<()> {
        println!("orders, by dev");
        let address = format!("127.0.0.1:{}", free_port()?);
        let folder = paths::root().join("examples/orders");
        let mut dev = Running::start(
            Command::new(binary("kafkaesk-cli"))
                .args(["dev", "--kafka-servers", &address])
                .arg(&folder),
        )?;
        dev.wait_for("dev broker ready")?;
        let mut publish = Command::new(binary("kafkaesk-cli"));
        publish
            .args(["publish", "orders.placed", "--schema", "Order:1"])
            .args(["--kafka-servers", &address, "--data", r#"{"id":11}"#]);
        retry(|| command::output(&mut publish).map(drop))?;
        dev.wait_for(r#""data":{"id":11}"#)?;
        dev.end()
    }

    fn program(&self, name: &str) -> Command {
        self.on_this_kafka(Command::new(binary(name)))
    }

    /// With the settings of this run.
    fn on_this_kafka(&self, mut command: Command) -> Command {
        command
            .env("KAFKAESK_KAFKA_SERVERS", &self.servers)
            .env("KAFKAESK_TOPIC_PREFIX", &self.prefix)
            .env("KAFKAESK_GROUP_PREFIX", &self.prefix);
        command
    }

    fn cli(&self, arguments: &[&str]) -> Command {
        let mut command = self.program("kafkaesk-cli");
        command.args(arguments);
        command
    }
}

fn binary(name: &str) -> PathBuf {
    paths::target().join("debug").join(name)
}

/// Tries until it works or [`LIMIT`] is over.
fn retry(mut work: impl FnMut() -> Result<()>) -> Result<()> {
    let end = Instant::now() + LIMIT;
    loop {
        match work() {
            Err(_) if Instant::now() < end => thread::sleep(Duration::from_millis(500)),
            verdict => return verdict,
        }
    }
}
