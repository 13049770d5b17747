//! Input: reads a file, a pipe or standard input to its end, bounded; asks a person at a terminal.

use std::io::BufRead as _;

use anyhow::{Context as _, ensure};
use kafkaesk_client::settings::read_file;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{
    lines::{Input, MAX_LINE_BYTES},
    output,
};

/// Reads all of the input. An empty input is an error: a pipe broke, or a file was not written.
///
/// # Errors
/// As reading fails, when there is nothing, or more than [`MAX_LINE_BYTES`].
pub(crate) async fn read(input: &Input) -> anyhow::Result<Vec<u8>> {
    let bytes = match input {
        Input::Stdin => bounded(tokio::io::stdin()).await,
        Input::File(path) => read_file(path, MAX_LINE_BYTES as u64),
    }
    .with_context(|| format!("reading {}", named(input)))?;
    ensure!(
        !bytes.trim_ascii().is_empty(),
        "{} is empty; nothing was done",
        named(input)
    );
    ensure!(
        bytes.len() <= MAX_LINE_BYTES,
        "{} is larger than {MAX_LINE_BYTES} bytes",
        named(input)
    );
    Ok(bytes)
}

/// `standard input`, or the file's name.
pub(crate) fn named(input: &Input) -> String {
    match input {
        Input::Stdin => "standard input".into(),
        Input::File(path) => path.display().to_string(),
    }
}

/// Puts a question on standard error, and reads the line that is the answer, without the white space around it.
///
/// # Errors
/// As reading standard input fails.
pub(crate) fn ask(question: impl Into<String>) -> anyhow::Result<String> {
    output::note(question.into());
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("reading the answer")?;
    Ok(answer.trim().to_owned())
}

/// As [`ask`], for a question whose answer is yes or no; anything but yes is no.
///
/// # Errors
/// As [`ask`].
pub(crate) fn confirm(question: &str) -> anyhow::Result<bool> {
    let answer = ask(format!("{question} [y/N]"))?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

async fn bounded(reader: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = MAX_LINE_BYTES as u64 + 1;
    reader.take(limit).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
