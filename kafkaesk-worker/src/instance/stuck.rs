//! Names attempts that run for long: a warning at one, two, four, eight … times `stuck-after`.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::Instance;
use crate::judge::Key;

/// The longest interval between two checks of the running attempts.
const EVERY: Duration = Duration::from_secs(5);

/// How often those of a subscription are looked at.
pub(super) fn every(stuck_after: Duration) -> Duration {
    stuck_after.min(EVERY)
}

impl Instance {
    /// Warns of attempts whose age has reached their next multiple of `stuck-after`.
    pub(super) fn name_stuck(&mut self, now: Instant) {
        if now < self.stuck_at {
            return;
        }
        let after = self.context.options.stuck_after;
        self.stuck_at = now + every(after);
        for running in self.running.values_mut() {
            let age = now.saturating_duration_since(running.began);
            let Some(times) = running
                .named
                .filter(|times| age >= after.saturating_mul(*times))
            else {
                continue;
            };
            running.named = Some(times.saturating_mul(2));
            warn!(
                group = self.context.group,
                stream = running.source.stream.as_str(),
                partition = running.source.partition,
                offset = running.offset,
                key = %Key(running.key.as_deref()),
                attempt = running.attempt,
                age = ?Duration::from_millis(age.as_millis() as u64),
                "a handler has been running for longer than stuck-after; its lane waits for it"
            );
        }
    }
}
