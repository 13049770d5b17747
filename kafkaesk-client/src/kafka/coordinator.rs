//! Coordinator: asks a group's coordinator again while there is none yet.

use std::time::{Duration, Instant};

use rdkafka::{error::KafkaResult, types::RDKafkaErrorCode};

use super::errors::code_of;

/// Between two questions.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Asks again while the group's coordinator is being chosen or loads its groups, as for the first group of a young
/// cluster or after a broker went: librdkafka does so for members, not for calls such as these.
pub(super) fn while_coordinator_moves<T>(
    timeout: Duration,
    ask: impl Fn() -> KafkaResult<T>,
) -> KafkaResult<T> {
    let deadline = Instant::now() + timeout;
    loop {
        let answer = ask();
        let moves = answer.as_ref().err().and_then(code_of).is_some_and(|code| {
            matches!(
                code,
                RDKafkaErrorCode::NotCoordinator
                    | RDKafkaErrorCode::CoordinatorNotAvailable
                    | RDKafkaErrorCode::CoordinatorLoadInProgress
            )
        });
        if !moves || Instant::now() + ASK_AGAIN >= deadline {
            return answer;
        }
        std::thread::sleep(ASK_AGAIN);
    }
}
