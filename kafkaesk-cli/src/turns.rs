//! Turns: where standard output and standard error lead to one terminal, pipe or file, their writers take turns, so that no
//! line breaks another. Elsewhere neither waits for the other. Writes nothing.

use std::{
    io::{self, IsTerminal as _},
    sync::LazyLock,
};

use parking_lot::{Mutex, MutexGuard};

/// A writer's turn; nothing where the two go apart. Held for one write: a reader that stalls one of them stalls both.
pub(crate) fn take() -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    static TOGETHER: LazyLock<bool> = LazyLock::new(go_together);
    TOGETHER.then(|| TURN.lock())
}

fn go_together() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal() || is_one_file()
}

#[cfg(unix)]
fn is_one_file() -> bool {
    use std::{
        fs::File,
        os::{
            fd::{AsFd as _, BorrowedFd},
            unix::fs::MetadataExt as _,
        },
    };
    let identity = |stream: BorrowedFd<'_>| {
        let file = File::from(stream.try_clone_to_owned().ok()?);
        let metadata = file.metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let stdout = identity(io::stdout().as_fd());
    stdout.is_some() && stdout == identity(io::stderr().as_fd())
}

#[cfg(not(unix))]
fn is_one_file() -> bool {
    false
}
