//! Arguments: reads the command line into options and one command. Every option is an `Option`: an option that is not
//! given must not beat the file or the environment. Knows no defaults.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{
    colour::ColorWhen,
    commands::{
        complete::CompleteArguments,
        completions::CompletionsArguments,
        config::ConfigArguments,
        dead_letters::DeadLettersArguments,
        dev::DevArguments,
        groups::GroupsArguments,
        init::InitArguments,
        lag::LagArguments,
        man::ManArguments,
        pause::{PauseArguments, ResumeArguments},
        probe::ProbeArguments,
        publish::PublishArguments,
        scale::ScaleArguments,
        schema::SchemaArguments,
        streams::StreamsArguments,
        tail::TailArguments,
        top::TopArguments,
        worker::WorkerArguments,
    },
    exit::EXIT_HELP,
    format::{LogFormat, OutputFormat},
    operate_options::OperateOptions,
};

/// The whole command line of [`crate::run`].
#[derive(Debug, Parser)]
#[command(
    about = "Schema-checked events on Apache Kafka: publish, consume with any language, look around",
    version,
    after_help = EXIT_HELP,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Line {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command. A program with its own arguments flattens them: `#[command(flatten)]`.
#[derive(Args, Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The configuration file [default: kafkaesk.toml, searched upward]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Configuration"
    )]
    pub config: Option<PathBuf>,
    /// The profile of the configuration to apply
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help_heading = "Configuration"
    )]
    pub profile: Option<String>,
    /// Bootstrap brokers, comma separated [default: localhost:9092]
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT,…",
        help_heading = "Configuration"
    )]
    pub kafka_servers: Option<String>,
    /// Any librdkafka properties, as a JSON object; each goes to the clients that know it
    #[arg(
        long,
        global = true,
        value_name = "JSON",
        help_heading = "Configuration"
    )]
    pub kafka_settings: Option<String>,
    /// The start of every topic's name
    #[arg(
        long,
        global = true,
        value_name = "PREFIX",
        help_heading = "Configuration"
    )]
    pub topic_prefix: Option<String>,
    /// The start of every consumer group's name
    #[arg(
        long,
        global = true,
        value_name = "PREFIX",
        help_heading = "Configuration"
    )]
    pub group_prefix: Option<String>,
    /// The replication factor of topics that are created [default: min(brokers, 3)]
    #[arg(long, global = true, value_name = "N", help_heading = "Configuration")]
    pub replication_factor: Option<String>,
    /// The number of partitions of streams that are created without a declaration [default: 7]
    #[arg(long, global = true, value_name = "N", help_heading = "Configuration")]
    pub partitions: Option<String>,
    /// Register absent schemas of Rust event types [default: true]
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        help_heading = "Configuration"
    )]
    pub auto_register: Option<String>,
    /// Create and bind streams at the first publish [default: true; false where streams are declared]
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        help_heading = "Configuration"
    )]
    pub auto_create_streams: Option<String>,
    /// Refuse a stored schema that differs from the type's own [default: false]
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        help_heading = "Configuration"
    )]
    pub strict: Option<String>,
    /// How long a broker's first answer may take [default: 10s]
    #[arg(
        long,
        global = true,
        value_name = "SPAN",
        help_heading = "Configuration"
    )]
    pub connect_timeout: Option<String>,
    /// How long a publish may take while brokers are unreachable [default: 120s]
    #[arg(
        long,
        global = true,
        value_name = "SPAN",
        help_heading = "Configuration"
    )]
    pub delivery_timeout: Option<String>,
    /// How long the end of a worker, or the drain of revoked partitions, may take [default: 25s]
    #[arg(
        long,
        global = true,
        value_name = "SPAN",
        help_heading = "Configuration"
    )]
    pub shutdown_timeout: Option<String>,
    /// How often patterns look for new topics [default: 2s]
    #[arg(
        long,
        global = true,
        value_name = "SPAN",
        help_heading = "Configuration"
    )]
    pub discovery_interval: Option<String>,
    /// The largest record that a consumer takes, in bytes; a larger one is a mismatch [default: 16777216]
    #[arg(long, global = true, value_name = "N", help_heading = "Configuration")]
    pub max_message_bytes: Option<String>,
    /// Keep messages that a group gives up in its topic of dead letters [default: true]
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        help_heading = "Configuration"
    )]
    pub dead_letters: Option<String>,
    /// Partitions of a group's topic of dead letters [default: 7]
    #[arg(long, global = true, value_name = "N", help_heading = "Configuration")]
    pub dead_letter_partitions: Option<String>,
    /// How long dead letters are kept [default: 14d]
    #[arg(
        long,
        global = true,
        value_name = "SPAN",
        help_heading = "Configuration"
    )]
    pub dead_letter_retention: Option<String>,
    /// Headers of dead letters: kafkaesk, or spring for Spring Kafka's as well [default: kafkaesk]
    #[arg(
        long,
        global = true,
        value_name = "NAMES",
        help_heading = "Configuration"
    )]
    pub dead_letter_headers: Option<String>,
    /// Whether the number of instances follows the load: on, dry-run, or off [default: on]
    #[arg(
        long,
        global = true,
        value_name = "MODE",
        help_heading = "Configuration"
    )]
    pub scaling: Option<String>,
    /// Within how long scaling works off a backlog [default: 10m]
    #[arg(
        long,
        global = true,
        value_name = "SPAN",
        help_heading = "Configuration"
    )]
    pub catch_up: Option<String>,
    /// Those of `worker` and `dev` alone, from their own arguments.
    #[arg(skip)]
    pub(crate) operate: OperateOptions,
    /// How data is printed [default: text]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Output")]
    pub output: Option<OutputFormat>,
    /// The format of log lines on standard error [default: text]; RUST_LOG selects what is logged
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Output")]
    pub log_format: Option<LogFormat>,
    /// Colour errors, hints and the log [default: auto, which is on a terminal, unless NO_COLOR is set or TERM is dumb]
    #[arg(long, global = true, value_name = "WHEN", help_heading = "Output")]
    pub color: Option<ColorWhen>,
}

impl Options {
    /// How data is printed.
    pub(crate) fn format(&self) -> OutputFormat {
        self.output.unwrap_or_default()
    }

    /// The settings that were given as flags, by their one name.
    pub(crate) fn settings(&self) -> Vec<(&'static str, &str)> {
        [
            ("kafka-servers", &self.kafka_servers),
            ("kafka-settings", &self.kafka_settings),
            ("topic-prefix", &self.topic_prefix),
            ("group-prefix", &self.group_prefix),
            ("replication-factor", &self.replication_factor),
            ("partitions", &self.partitions),
            ("auto-register", &self.auto_register),
            ("auto-create-streams", &self.auto_create_streams),
            ("strict", &self.strict),
            ("connect-timeout", &self.connect_timeout),
            ("delivery-timeout", &self.delivery_timeout),
            ("shutdown-timeout", &self.shutdown_timeout),
            ("discovery-interval", &self.discovery_interval),
            ("max-message-bytes", &self.max_message_bytes),
            ("dead-letters", &self.dead_letters),
            ("dead-letter-partitions", &self.dead_letter_partitions),
            ("dead-letter-retention", &self.dead_letter_retention),
            ("dead-letter-headers", &self.dead_letter_headers),
            ("scaling", &self.scaling),
            ("catch-up", &self.catch_up),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .chain(self.operate.settings())
        .collect()
    }
}

/// The commands. A program with its own arguments flattens them into its own `Subcommand` and passes the parsed command
/// to [`crate::execute`].
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Run the subscriptions until Ctrl-C or SIGTERM
    Worker(WorkerArguments),
    /// Push, look at and check schemas
    Schema(SchemaArguments),
    /// Publish events
    Publish(PublishArguments),
    /// Print the messages of streams; leaves no consumer group behind
    Tail(TailArguments),
    /// Look at streams
    Streams(StreamsArguments),
    /// Show how far consumer groups are behind, from Kafka alone
    Lag(LagArguments),
    /// Show what running workers do, in the terminal
    Top(TopArguments),
    /// Ask a running worker whether it is well, for a container's health check
    Probe(ProbeArguments),
    /// Start no further handler of a group in running workers
    Pause(PauseArguments),
    /// End a pause of a group in running workers
    Resume(ResumeArguments),
    /// Say why running workers have as many handlers, instances and processes as they have
    Scale(ScaleArguments),
    /// Move a consumer group that has no members
    Groups(GroupsArguments),
    /// List the messages that a consumer group gave up, return them to the group, or discard them
    DeadLetters(DeadLettersArguments),
    /// Look at the configuration
    Config(ConfigArguments),
    /// Write a small project with handlers in Python and Node, which `dev` runs at once
    Init(InitArguments),
    /// Run a broker and a worker in one process: no Kafka, no Docker
    Dev(DevArguments),
    /// Print a shell's completion script
    Completions(CompletionsArguments),
    /// Write a man page for each command
    Man(ManArguments),
    /// Print the candidates for the next word; called by the completion scripts
    #[command(name = "__complete", hide = true)]
    Complete(CompleteArguments),
}
