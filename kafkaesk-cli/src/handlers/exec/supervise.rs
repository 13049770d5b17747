//! Keeps one child running: restarts a dead one after a bounded backoff, which starts again once a child has answered.
//! Does this as long as the worker runs; messages wait in the worker, uncommitted. Once it stops, no child is started
//! again.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use kafkaesk_core::Occurrences;
use tokio::{process::Child, sync::watch, time::Instant};
use tracing::{error, info};

use super::{ExecSettings, Stage, child};

/// The first wait before a restart.
const FIRST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(30);
/// Ends of children are logged at the 1st, 2nd, 4th, 8th …; a child that lived for this long starts a new count.
const LIVED: Duration = Duration::from_secs(60);

/// Runs children, one after the other, until the worker stops.
pub(super) async fn supervise(
    settings: Arc<ExecSettings>,
    number: usize,
    first: Child,
    queue: child::Queue,
    answered: Arc<AtomicBool>,
    mut stage: watch::Receiver<Stage>,
) {
    let mut next = Some(first);
    let mut backoff = FIRST;
    let mut ends = Occurrences::default();
    loop {
        let begun = Instant::now();
        let started = match next.take() {
            Some(child) => Ok(child),
            None => child::spawn(&settings),
        };
        let how = match started {
            Ok(process) => {
                let ended = child::run(&settings, number, process, &queue, &answered, &stage).await;
                if *stage.borrow() != Stage::Running {
                    info!(
                        group = settings.group.as_str(),
                        process = number,
                        "`{}` ended: {}",
                        settings.shown,
                        ended.how
                    );
                    return;
                }
                if ended.worked {
                    backoff = FIRST;
                }
                ended.how
            }
            Err(error) => format!("{error:#}"),
        };
        if begun.elapsed() >= LIVED {
            ends = Occurrences::default();
        }
        if let Some(count) = ends.count() {
            error!(
                group = settings.group.as_str(),
                process = number,
                count,
                "`{}` ended: {how}; it is started again in {backoff:?}",
                settings.shown
            );
        }
        tokio::select! {
            _ = stage.wait_for(|stage| *stage != Stage::Running) => return,
            () = tokio::time::sleep(backoff) => {}
        }
        backoff = (backoff * 2).min(LONGEST);
    }
}
