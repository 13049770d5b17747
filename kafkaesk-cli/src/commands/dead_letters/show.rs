//! `dead-letters show`: prints each letter whole, as it is read. Keeps none.

use super::{
    ShowArguments, group,
    list::{Found, no_topic, nothing},
    shown,
};
use crate::{context::Context, exit::Exit, format::OutputFormat, output};

/// Shows.
pub(super) async fn run(context: &Context, arguments: &ShowArguments) -> anyhow::Result<Exit> {
    let filter = arguments.which.filter()?;
    let connection = context.connect().await?;
    let letters = group::find(context, &connection, arguments.which.group.as_deref()).await?;
    let Some(snapshot) = letters.snapshot().await? else {
        return no_topic(letters.group(), letters.topic().as_str());
    };
    let prefix = &connection.settings().topic_prefix;
    let limit = arguments.limit.unwrap_or(u64::MAX);
    let mut reading = letters.letters(&snapshot).await?;
    let (mut shown, mut found) = (0, Found::default());
    while shown < limit
        && let Some(letter) = reading.next().await?
    {
        if !letters.takes(&filter, &letter) {
            continue;
        }
        if letter.settled.is_some() && !arguments.all {
            found.settled += 1;
            continue;
        }
        match context.options.format() {
            OutputFormat::Json => output::line(shown::whole(&letter, prefix)?)?,
            OutputFormat::Text => {
                if shown > 0 {
                    output::line("")?;
                }
                output::line(shown::text(&letter, prefix))?;
            }
        }
        shown += 1;
    }
    match shown {
        0 => nothing(letters.group(), &arguments.which, found),
        _ => Ok(Exit::Done),
    }
}
