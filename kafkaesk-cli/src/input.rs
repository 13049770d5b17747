//! One whole input: reads a file, a pipe or standard input to its end, bounded.

use anyhow::{Context as _, ensure};
use kafkaesk_client::settings::read_file;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::lines::{Input, MAX_LINE_BYTES};

/// Reads it all. An empty one is an error: somebody's pipe broke, or a file was not written.
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

async fn bounded(reader: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = MAX_LINE_BYTES as u64 + 1;
    reader.take(limit).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
