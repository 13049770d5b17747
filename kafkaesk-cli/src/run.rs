//! The library's entry: runs the whole command line for an application and returns an exit status.

use std::{ffi::OsString, path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _};
use kafkaesk_worker::App;

use crate::{
    Command, Options,
    arguments::Line,
    colour,
    commands::{
        complete, completions, config, dead_letters, dev, groups, init, lag, man, pause, probe,
        publish, scale, schema, streams, tail, top, worker,
    },
    context::Context,
    errors,
    exit::Exit,
    logging, output, signals, stderr,
};

/// Gives an application the whole command line: `worker`, `schema …`, `publish`, `tail`, `streams`, `lag`, `top`, `scale`, `probe`, `pause`,
/// `resume`, `groups`, `dead-letters`, `config`, `init`, `dev`, `completions`, `man`. Reads the process's arguments.
///
/// Returns the exit status: 0 done, 1 failed, 2 done in part or changes pending, 64 usage. Errors are printed to
/// standard error. A second Ctrl-C, SIGTERM or SIGHUP during `worker`, `dev`, `tail` or
/// `publish --ndjson` ends the process at once.
///
/// Log lines are queued, up to 4 MiB, and written by a thread of their own. The end waits for them for 1 s if none can
/// be written, for 5 s in all.
///
/// ```no_run
/// use kafkaesk_worker::prelude::*;
///
/// #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// #[event(name = "Content", version = 1, retention = "24h")]
/// struct Content { foo: String }
///
/// #[subscribe("content.*", group = "printer")]
/// async fn get_messages(data: Content) {
///     println!("{}", data.foo);
/// }
///
/// #[tokio::main]
/// async fn main() -> ExitCode {
///     kafkaesk_cli::run(App::new().subscribe(get_messages)).await
/// }
/// ```
pub async fn run(app: App) -> ExitCode {
    run_arguments(app, std::env::args_os()).await
}

/// As [`run`], with these arguments; the first is the program's name.
pub async fn run_arguments<I, A>(app: App, arguments: I) -> ExitCode
where
    I: IntoIterator<Item = A>,
    A: Into<OsString> + Clone,
{
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    colour::set(colour::of_arguments(&arguments));
    let line = command(arguments.first())
        .try_get_matches_from(arguments)
        .and_then(|matches| Line::from_arg_matches(&matches));
    match line {
        Ok(line) => execute(app, line.options, line.command).await,
        Err(error) => usage(&error).into(),
    }
}

/// The command line under the name of the program that has it.
fn command(program: Option<&OsString>) -> clap::Command {
    let command = Line::command();
    match program.and_then(|path| Path::new(path).file_stem()) {
        Some(name) if name != command.get_name() => command
            .name(name.to_string_lossy().into_owned())
            .version(concat!("(kafkaesk-cli ", env!("CARGO_PKG_VERSION"), ")")),
        _ => command,
    }
}

/// The command line of this process, as this program or an application parsed it.
fn own_command() -> clap::Command {
    command(std::env::args_os().next().as_ref())
}

/// Runs one command of a program with arguments of its own, which flattens [`Options`] and [`Command`] into them.
///
/// ```no_run
/// use clap::{Parser, Subcommand};
/// use kafkaesk_worker::prelude::*;
///
/// #[derive(Parser)]
/// struct Arguments {
///     #[command(flatten)]
///     options: kafkaesk_cli::Options,
///     #[command(subcommand)]
///     command: MyCommand,
/// }
///
/// #[derive(Subcommand)]
/// enum MyCommand {
///     /// Something of this program's own
///     Greet,
///     #[command(flatten)]
///     Kafkaesk(kafkaesk_cli::Command),
/// }
///
/// # #[tokio::main]
/// # async fn main() -> ExitCode {
/// let arguments = Arguments::parse();
/// match arguments.command {
///     MyCommand::Greet => ExitCode::SUCCESS,
///     MyCommand::Kafkaesk(command) => {
///         kafkaesk_cli::execute(App::new(), arguments.options, command).await
///     }
/// }
/// # }
/// ```
pub async fn execute(app: App, mut options: Options, command: Command) -> ExitCode {
    match &command {
        Command::Worker(arguments) => options.operate.clone_from(&arguments.operate),
        Command::Dev(arguments) => options.operate.clone_from(&arguments.operate),
        _ => {}
    }
    let default_level = match command {
        Command::Worker(_) | Command::Dev(_) => "info",
        // The log must show a stream that a misspelt name created.
        Command::Publish(_) => "warn,kafkaesk_client::catalog=info",
        Command::Complete(_) => "off",
        _ => "warn",
    };
    colour::set(options.color.unwrap_or_default());
    logging::start(options.log_format.unwrap_or_default(), default_level);
    let exit = match start_listening(&command) {
        Ok(()) => dispatch(Context::new(app, options), command).await,
        Err(error) => Err(error),
    };
    let exit = exit.unwrap_or_else(|error| failed(&error));
    stderr::finish();
    exit.into()
}

/// Commands that end by a signal listen before they do anything else; every other ends at once, as by default.
fn start_listening(command: &Command) -> anyhow::Result<()> {
    let listens = match command {
        Command::Worker(_) | Command::Dev(_) | Command::Tail(_) => true,
        Command::Publish(arguments) => arguments.ndjson.is_some(),
        Command::DeadLetters(arguments) => arguments.listens(),
        Command::Lag(arguments) => arguments.listens(),
        _ => false,
    };
    if listens {
        signals::shutdown().context("listening to signals")?;
    }
    Ok(())
}

async fn dispatch(context: Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Worker(arguments) => worker::run(context, &arguments).await,
        Command::Schema(arguments) => schema::run(&context, &arguments).await,
        Command::Publish(arguments) => publish::run(&context, &arguments).await,
        Command::Tail(arguments) => tail::run(&context, &arguments).await,
        Command::Streams(arguments) => streams::run(&context, &arguments).await,
        Command::Lag(arguments) => lag::run(&context, &arguments).await,
        Command::Top(arguments) => top::run(&context, &arguments).await,
        Command::Probe(arguments) => probe::run(&context, &arguments).await,
        Command::Scale(arguments) => scale::run(&context, &arguments).await,
        Command::Pause(arguments) => pause::pause(&context, &arguments).await,
        Command::Resume(arguments) => pause::resume(&context, &arguments).await,
        Command::Groups(arguments) => groups::run(&context, &arguments).await,
        Command::DeadLetters(arguments) => dead_letters::run(&context, &arguments).await,
        Command::Config(arguments) => config::run(&context, &arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Dev(arguments) => dev::run(context, &arguments).await,
        Command::Completions(arguments) => completions::run(&arguments, own_command()),
        Command::Man(arguments) => man::run(&arguments, own_command()),
        Command::Complete(arguments) => complete::run(&context, &arguments, own_command()).await,
    }
}

fn failed(error: &anyhow::Error) -> Exit {
    if errors::is_closed_output(error) {
        return Exit::Done;
    }
    output::error(errors::describe(error));
    errors::exit(error)
}

/// clap's own words, with our exit status: its 2 would read as "done in part".
fn usage(error: &clap::Error) -> Exit {
    let text = error.render();
    let text = |coloured: bool| match coloured {
        true => text.ansi().to_string(),
        false => text.to_string(),
    };
    let exit = if error.use_stderr() {
        stderr::push(text(colour::stderr()).into_bytes());
        Exit::Usage
    } else {
        let text = text(colour::stdout());
        match output::write_stdout(text.trim_end().as_bytes()) {
            Ok(()) => Exit::Done,
            Err(error) => failed(&error.into()),
        }
    };
    stderr::finish();
    exit
}
