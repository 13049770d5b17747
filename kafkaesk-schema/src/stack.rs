//! Stack: runs deep work on a thread whose stack is large enough.

use std::panic::resume_unwind;

/// Enough for the deepest data under the longest chain of schemas, at some 2 KiB a step.
const ROOMY: usize = 64 << 20;
/// The part of a caller's stack that we use: about 1 MiB, half of a tokio worker's.
const STEPS_IN_PLACE: usize = 400;

/// Runs `work` here if it takes few steps, otherwise on its own thread, and waits for it.
pub(crate) fn run<T: Send>(steps: usize, work: impl Fn() -> T + Sync) -> T {
    if steps <= STEPS_IN_PLACE {
        return work();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(ROOMY)
            .spawn_scoped(scope, &work);
        match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // No thread could be started: use the current stack.
            Err(_) => work(),
        }
    })
}
