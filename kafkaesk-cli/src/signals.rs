//! Ctrl-C and SIGTERM: the first asks for a clean end, the second ends the process at once, children included.

use std::future::Future;

use tracing::info;

use crate::handlers::exec;

/// Resolves at the first signal; from then on a second one exits with 130 (Ctrl-C) or 143 (SIGTERM).
///
/// # Errors
/// The signals cannot be listened to.
#[cfg(unix)]
pub(crate) fn shutdown() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "Ctrl-C",
            _ = terminate.recv() => "SIGTERM",
        };
        info!(
            "{name}: finishing what is in flight, committing, leaving; a second signal ends at once"
        );
        tokio::spawn(async move {
            let status = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            };
            exec::kill_all();
            std::process::exit(status);
        });
    })
}

/// Resolves at the first Ctrl-C; from then on a second one exits with 130.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub(crate) fn shutdown() -> std::io::Result<impl Future<Output = ()> + Send> {
    Ok(async move {
        let _ = tokio::signal::ctrl_c().await;
        info!(
            "Ctrl-C: finishing what is in flight, committing, leaving; a second one ends at once"
        );
        tokio::spawn(async move {
            let _ = tokio::signal::ctrl_c().await;
            exec::kill_all();
            std::process::exit(130);
        });
    })
}
