//! `dev --watch`: starts the worker again when a file of the project changes. The broker stays, so no message is lost: what the
//! former worker did not finish goes to the next one. What is wrong after a change is shown, and the next change is waited for.

use anyhow::Context as _;
use kafkaesk_client::dev::DevBroker;
use kafkaesk_schema::EventSchema;
use kafkaesk_worker::App;

use super::{files::Files, said::Said, start::Start};
use crate::{Options, errors, exit::Exit, output, signals};

/// Runs until a signal. A project whose first start fails ends the program, as without `--watch`.
pub(super) async fn run(
    options: &Options,
    own: &[EventSchema],
    mut files: Files,
    first: Start,
    broker: &DevBroker,
    mut said: Said,
) -> anyhow::Result<Exit> {
    let mut shutdown = signals::shutdown().context("listening to signals")?;
    let mut seen = files.look();
    let address = first.isolated.address.clone();
    let mut start = Some(first);
    let mut is_first = true;
    loop {
        let mut found = files.watch(seen).context("watching the project's files")?;
        let mut change = None;
        if let Some(start) = start.take() {
            let Some(ready) = shutdown.unless(start.prepare(broker, &mut said)).await else {
                return Ok(Exit::Done);
            };
            let ended = match ready {
                Ok(ready) => {
                    if is_first {
                        output::line(
                            "watching the project's files; a change starts the worker again",
                        )?;
                    }
                    let stop = async {
                        change = shutdown.unless(&mut found).await;
                    };
                    let ended = ready.work(&mut said, stop).await;
                    if change.is_none() && (shutdown.is_asked() || ended.is_ok()) {
                        return ended;
                    }
                    ended.map(drop)
                }
                Err(error) if is_first => return Err(error),
                Err(error) => {
                    said.fail();
                    Err(error)
                }
            };
            is_first = false;
            if let Err(error) = ended {
                output::error(errors::describe(&error));
            }
        }
        if change.is_none() {
            output::note("waiting for a change of the project's files");
            change = shutdown.unless(&mut found).await;
        }
        let Some(change) = change else {
            return Ok(Exit::Done);
        };
        let change = change.context("watching the project's files")?;
        output::line(format!("changed {change}; starting again"))?;
        match Start::read(options, own, App::new(), &mut files).await {
            Ok(mut next) => {
                if next.isolated.address != address {
                    next.isolated.notes.push(format!(
                        "note: the dev broker stays at {address}; end `dev` and start it again to move it to {}",
                        next.isolated.address
                    ));
                }
                start = Some(next);
            }
            Err(error) => output::error(errors::describe(&error)),
        }
        seen = files.look_since(&change.now);
    }
}
