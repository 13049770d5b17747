//! Standard error: lines are queued, and one thread writes them. A full disk, a closed pipe or a stalled reader blocks
//! no caller: if the queue is full or a line cannot be written, the line is left out and counted. The count is written
//! once lines can be written again.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, LazyLock},
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::{format, progress_bar::Bar, turns};

/// How many bytes may wait for the thread. One line is always taken, however long it is.
const QUEUE: usize = 4 * 1024 * 1024;
/// What a line costs beside its text, in bytes.
const OVERHEAD: usize = 64;
/// How many bytes are written at once, unless one line is longer.
const CHUNK: usize = 64 * 1024;
/// How often a progress bar is drawn.
const TICK: Duration = Duration::from_millis(100);
/// How long a write to standard output waits for earlier lines of standard error, so that both stay in order.
const ORDER: Duration = Duration::from_millis(100);
/// How long the end of a run waits while no line can be written.
const STALL: Duration = Duration::from_secs(1);
/// How long the end of a run waits in all.
const END: Duration = Duration::from_secs(5);

/// Queues one text with its line end. Never blocks, but for [`ORDER`] after [`finish`].
pub(crate) fn push(text: Vec<u8>) {
    if let Some(queue) = &*QUEUED {
        queue.push(text);
    }
}

/// Shows this progress bar below the lines, or takes the present one away.
pub(crate) fn show(bar: Option<Bar>) {
    if let Some(queue) = &*QUEUED {
        queue.add(Item::Bar(bar));
    }
}

/// Waits until everything queued is written, [`ORDER`] at most; not at all while standard error stalls.
pub(crate) fn settle() {
    if let Some(queue) = &*QUEUED {
        queue.settle(ORDER);
    }
}

/// Waits at the end of a run until everything queued is written, as long as lines can be written. A line that comes
/// later waits for its turn as well, since the process may end at any moment.
pub(crate) fn finish() {
    if let Some(queue) = &*QUEUED {
        queue.finish();
    }
}

/// Without a thread nothing can be said.
static QUEUED: LazyLock<Option<Queue>> = LazyLock::new(|| Queue::start(write).ok());

enum Item {
    Line(Vec<u8>),
    /// So many lines were left out here.
    Lost(u64),
    Bar(Option<Bar>),
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    /// Of the lines that are queued or being written, with their overhead.
    bytes: usize,
    /// How many lines are queued or being written.
    unwritten: usize,
    /// How many chunks were dealt with.
    chunks: u64,
    /// No caller waits again before the next chunk is written.
    stalled: bool,
    /// Whether the run is over.
    over: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Items were added.
    added: Condvar,
    /// A chunk was dealt with.
    written: Condvar,
}

struct Queue(Arc<Shared>);

impl Queue {
    /// Starts the thread. `write` returns how many bytes it wrote and whether more can be written.
    fn start(
        write: impl FnMut(&[u8]) -> (usize, io::Result<()>) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            shared: shared.clone(),
            write,
            bar: None,
            lost: 0,
            torn: false,
        };
        thread::Builder::new()
            .name("kafkaesk-stderr".into())
            .spawn(move || writer.run())?;
        Ok(Self(shared))
    }

    fn push(&self, text: Vec<u8>) {
        self.add(Item::Line(text));
        if self.0.state.lock().over {
            self.settle(ORDER);
        }
    }

    fn add(&self, item: Item) {
        let mut state = self.0.state.lock();
        if let Item::Line(line) = &item {
            let cost = line.len() + OVERHEAD;
            if state.bytes > 0 && state.bytes + cost > QUEUE {
                match state.items.back_mut() {
                    Some(Item::Lost(lost)) => *lost += 1,
                    _ => state.items.push_back(Item::Lost(1)),
                }
                return;
            }
            state.bytes += cost;
            state.unwritten += 1;
        }
        state.items.push_back(item);
        drop(state);
        self.0.added.notify_one();
    }

    /// Whether everything was written within this time.
    fn settle(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.0.state.lock();
        while !state.items.is_empty() || state.unwritten > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if state.stalled || left.is_zero() {
                state.stalled = true;
                return false;
            }
            self.0.written.wait_for(&mut state, left);
        }
        true
    }

    fn finish(&self) {
        let begun = Instant::now();
        loop {
            let before = {
                let mut state = self.0.state.lock();
                state.over = true;
                state.stalled = false;
                state.chunks
            };
            if self.settle(STALL) || begun.elapsed() >= END || self.0.state.lock().chunks == before
            {
                return;
            }
        }
    }
}

/// The thread.
struct Writer<W> {
    shared: Arc<Shared>,
    write: W,
    bar: Option<Bar>,
    /// Lines left out since the last one that was written.
    lost: u64,
    /// Whether the last write ended within a line.
    torn: bool,
}

/// What is written at once.
#[derive(Default)]
struct Chunk {
    text: Vec<u8>,
    /// Where each of its lines ends.
    ends: Vec<usize>,
    cost: usize,
}

impl<W: FnMut(&[u8]) -> (usize, io::Result<()>)> Writer<W> {
    fn run(mut self) {
        loop {
            let chunk = self.next();
            if let Some(bar) = &self.bar {
                bar.draw();
            }
            if !chunk.ends.is_empty() || self.lost > 0 {
                self.deal_with(&chunk);
            }
            let mut state = self.shared.state.lock();
            state.bytes -= chunk.cost;
            state.unwritten -= chunk.ends.len();
            state.chunks += 1;
            state.stalled = false;
            drop(state);
            self.shared.written.notify_all();
        }
    }

    /// Waits for items, or for the next time to draw the bar.
    fn next(&mut self) -> Chunk {
        let mut chunk = Chunk::default();
        let mut state = self.shared.state.lock();
        let nothing = |state: &mut State| state.items.is_empty();
        if self.bar.is_none() {
            self.shared.added.wait_while(&mut state, nothing);
        } else {
            let added = &self.shared.added;
            added.wait_while_for(&mut state, nothing, TICK);
        }
        while let Some(item) = state.items.pop_front() {
            match item {
                Item::Line(line) => {
                    chunk.cost += line.len() + OVERHEAD;
                    chunk.text.extend_from_slice(&line);
                    chunk.ends.push(chunk.text.len());
                }
                Item::Lost(lost) => {
                    self.lost += lost;
                    break;
                }
                Item::Bar(bar) => {
                    if let Some(old) = std::mem::replace(&mut self.bar, bar) {
                        old.clear();
                    }
                    break;
                }
            }
            if chunk.text.len() >= CHUNK {
                break;
            }
        }
        chunk
    }

    /// Writes a chunk, and how many lines are missing before it. What cannot be written is missing before the next.
    fn deal_with(&mut self, chunk: &Chunk) {
        let mut text = Vec::new();
        if self.torn {
            text.push(b'\n');
        }
        if self.lost > 0 {
            text.extend(format::log_line(
                "WARN",
                &format!(
                    "{} lines of the log were left out here: standard error could not be written",
                    self.lost
                ),
            ));
        }
        let before = text.len();
        text.extend_from_slice(&chunk.text);
        let Self { write, bar, .. } = self;
        let (written, ended) = match bar {
            Some(bar) => bar.suspend(|| write(&text)),
            None => write(&text),
        };
        if written >= before {
            self.lost = 0;
        }
        let whole = chunk.ends.iter().filter(|end| before + **end <= written);
        self.lost += (chunk.ends.len() - whole.count()) as u64;
        self.torn = match text.get(..written).and_then(<[u8]>::last) {
            Some(last) => *last != b'\n',
            None => self.torn,
        };
        // The next chunk tries again; the error cannot be reported before that.
        drop(ended);
    }
}

/// Writes to standard error itself, without the lock that `eprintln!` takes.
#[cfg(unix)]
fn write(text: &[u8]) -> (usize, io::Result<()>) {
    use rustix::{
        event::{PollFd, PollFlags, poll},
        io::Errno,
    };
    let stderr = io::stderr();
    let _turn = turns::take();
    let mut written = 0;
    while written < text.len() {
        match rustix::io::write(&stderr, &text[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(length) => written += length,
            Err(Errno::INTR) => {}
            // Another process made it non-blocking.
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], None);
            }
            Err(error) => return (written, Err(error.into())),
        }
    }
    (written, Ok(()))
}

#[cfg(not(unix))]
fn write(text: &[u8]) -> (usize, io::Result<()>) {
    use io::Write as _;
    let _turn = turns::take();
    match io::stderr().write_all(text) {
        Ok(()) => (text.len(), Ok(())),
        Err(error) => (0, Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A queue whose writes are answered by the test.
    fn queue(answers: Vec<usize>) -> (Queue, mpsc::Receiver<String>, mpsc::Sender<()>) {
        let (written, texts) = mpsc::channel();
        let (go, may) = mpsc::channel();
        let mut answers = answers.into_iter();
        let queue = Queue::start(move |text| {
            let _ = may.recv();
            let length = answers.next().unwrap_or(text.len()).min(text.len());
            let _ = written.send(String::from_utf8_lossy(&text[..length]).into_owned());
            match length == text.len() {
                true => (length, Ok(())),
                false => (length, Err(io::ErrorKind::StorageFull.into())),
            }
        })
        .unwrap();
        (queue, texts, go)
    }

    fn next(texts: &mpsc::Receiver<String>) -> String {
        texts.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn a_reader_that_stalls_blocks_nobody_and_the_lines_left_out_are_counted_where_they_are_missing()
     {
        let (queue, texts, go) = queue(Vec::new());
        let line = vec![b'x'; QUEUE / 4];
        let begun = Instant::now();
        for _ in 0..10 {
            queue.push([&line[..], b"\n"].concat());
        }
        assert!(!queue.settle(Duration::from_millis(10)));
        // It does not wait twice for what stalls.
        assert!(!queue.settle(Duration::from_secs(60)));
        assert!(begun.elapsed() < Duration::from_secs(30));
        for _ in 0..20 {
            let _ = go.send(());
        }
        // The first chunk that is dealt with ends the stall.
        while !queue.settle(Duration::from_secs(30)) {
            thread::yield_now();
        }
        queue.push(b"after\n".to_vec());
        assert!(queue.settle(Duration::from_secs(30)));
        let all: String = texts.try_iter().collect();
        let lines: Vec<&str> = all.lines().collect();
        let (notice, after) = (lines[lines.len() - 2], lines[lines.len() - 1]);
        let kept = lines.len() - 2;
        assert!(
            kept < 10 && notice.contains(&format!("{} lines of the log were left out", 10 - kept)),
            "{notice}"
        );
        assert_eq!(after, "after");
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_before_the_next_that_can() {
        // A full disk takes two bytes of the first line and nothing of the second.
        let (queue, texts, go) = queue(vec![2, 0]);
        for text in ["first\n", "second\n", "third\n"] {
            queue.push(text.as_bytes().to_vec());
            let _ = go.send(());
            assert!(queue.settle(Duration::from_secs(10)));
        }
        assert_eq!(next(&texts), "fi");
        assert_eq!(next(&texts), "");
        let last = next(&texts);
        assert!(
            last.starts_with('\n') && last.ends_with("third\n"),
            "{last:?}"
        );
        assert!(
            last.contains("2 lines of the log were left out"),
            "{last:?}"
        );
    }

    #[test]
    fn the_end_waits_for_what_can_be_written_and_not_for_what_cannot() {
        let (queue, texts, go) = queue(Vec::new());
        queue.push(b"one\n".to_vec());
        let begun = Instant::now();
        queue.finish();
        assert!(begun.elapsed() < 2 * STALL, "{:?}", begun.elapsed());
        let _ = go.send(());
        let _ = go.send(());
        queue.finish();
        queue.push(b"a last word\n".to_vec());
        let all: String = texts.try_iter().collect();
        assert_eq!(all, "one\na last word\n");
    }
}
