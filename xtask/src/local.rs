//! `cargo xtask kafka up|down|status`: one local Kafka for daily work, remembered in the cache folder. Never stops a
//! broker that it did not start.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use xtask::{
    broker::{self, Broker, BrokerSpec, Left},
    kafka::answers,
    paths,
};

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Starts it (by Docker where an engine answers, else from its jars) and prints how to use it
    Up {
        /// Its port on 127.0.0.1
        #[arg(long, default_value_t = 19092)]
        port: u16,
    },
    /// Ends it; what it held is gone
    Down,
    /// Says whether it runs
    Status,
}

pub(crate) fn run(action: &Action) -> Result<()> {
    match action {
        Action::Up { port } => up(*port),
        Action::Down => down(),
        Action::Status => {
            match remembered()? {
                Some((servers, _)) if answers(&servers) => println!("up at {servers}"),
                Some((servers, _)) => {
                    println!("started at {servers}, but nothing answers there now")
                }
                None => println!("down"),
            }
            Ok(())
        }
    }
}

fn up(port: u16) -> Result<()> {
    if let Some((servers, left)) = remembered()? {
        if answers(&servers) {
            return hint(&servers);
        }
        let _ = broker::stop(&left);
    }
    let servers = format!("127.0.0.1:{port}");
    if answers(&servers) {
        bail!("something else listens at {servers}; choose another with --port");
    }
    let broker = Broker::start(&BrokerSpec::plain("kafkaesk-kafka", port)?)?;
    let left = match broker.leave_running() {
        Left::Container(name) => json!({ "servers": servers, "container": name }),
        Left::Process(pid) => json!({ "servers": servers, "process": pid }),
    };
    fs::write(state()?, left.to_string())?;
    hint(&servers)
}

fn hint(servers: &str) -> Result<()> {
    println!(
        "Kafka is up at {servers}. \n  export KAFKAESK_TEST_SERVERS={servers}    # for the tests\n  export KAFKAESK_KAFKA_SERVERS={servers}   # for kafkaesk-cli and the examples"
    );
    Ok(())
}

fn down() -> Result<()> {
    let Some((servers, left)) = remembered()? else {
        println!("down");
        return Ok(());
    };
    broker::stop(&left)?;
    fs::remove_file(state()?)?;
    println!("ended the Kafka at {servers}");
    Ok(())
}

fn state() -> Result<PathBuf> {
    Ok(paths::cache("local")?.join("kafka.json"))
}

fn remembered() -> Result<Option<(String, Left)>> {
    let path = state()?;
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(None);
    };
    let value: Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged; remove it", path.display()))?;
    let servers = value["servers"].as_str().unwrap_or_default().to_owned();
    let left = match (value["container"].as_str(), value["process"].as_u64()) {
        (Some(name), _) => Left::Container(name.to_owned()),
        (None, Some(pid)) => Left::Process(u32::try_from(pid)?),
        (None, None) => bail!("{} is damaged; remove it", path.display()),
    };
    Ok(Some((servers, left)))
}
