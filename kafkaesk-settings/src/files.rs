//! Input: the path of a file that the configuration or a command line names. Output: its bytes. Size and time are
//! bounded. Devices and folders are refused; a pipe is read while data comes.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// The default limit on the size of a file, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Reads a whole file or pipe of at most `limit` bytes. Blocks: for a file as long as the disk takes, for a pipe up to
/// 30 s for each next byte, with a warning in the log after 1 s.
///
/// # Errors
/// Errors of opening and reading; [`io::ErrorKind::FileTooLarge`] beyond the limit, [`io::ErrorKind::TimedOut`] for a
/// silent pipe, [`io::ErrorKind::InvalidInput`] for neither a file nor a pipe. The texts do not name the path.
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return bounded(file, limit);
    }
    if is_pipe(&kind) {
        return read_pipe(file, path, limit);
    }
    Err(not_a_file(&kind))
}

/// Checks that a library can read this path in bounded size and time: a file of at most `limit` bytes, or, if allowed,
/// a folder. The library itself reports an absent file.
///
/// # Errors
/// As [`read_file`]; a pipe is refused as well.
#[cfg(feature = "load")]
pub(crate) fn check_file(path: &Path, limit: u64, folder: bool) -> io::Result<()> {
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(());
    };
    let kind = metadata.file_type();
    match kind.is_file() || folder && kind.is_dir() {
        true if kind.is_file() && metadata.len() > limit => Err(too_large(limit)),
        true => Ok(()),
        false => Err(not_a_file(&kind)),
    }
}

fn not_a_file(kind: &std::fs::FileType) -> io::Error {
    let what = match kind {
        kind if kind.is_dir() => "a folder",
        kind if is_pipe(kind) => "a pipe",
        _ => "a device or socket",
    };
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {what}, not a file"),
    )
}

fn too_large(limit: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it is larger than {limit} bytes"),
    )
}

fn bounded(reader: impl io::Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(too_large(limit)),
        false => Ok(bytes),
    }
}

/// Otherwise opening a pipe would wait for its writer.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    File::options()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn is_pipe(kind: &std::fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(kind)
}

#[cfg(not(unix))]
fn is_pipe(_: &std::fs::FileType) -> bool {
    false
}

#[cfg(not(unix))]
fn read_pipe(file: File, _: &Path, limit: u64) -> io::Result<Vec<u8>> {
    bounded(file, limit)
}

#[cfg(unix)]
fn read_pipe(file: File, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    const SILENCE: Duration = Duration::from_secs(30);
    let second = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let mut bytes = Vec::new();
    let mut heard = Instant::now();
    let mut warned = false;
    let mut chunk = [0; 64 * 1024];
    loop {
        let mut watched = [PollFd::new(&file, PollFlags::IN)];
        match poll(&mut watched, Some(&second)) {
            Ok(0) if heard.elapsed() >= SILENCE => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("nothing came from this pipe for {SILENCE:?}"),
                ));
            }
            Ok(0) => {
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!("waiting for the pipe {}", path.display());
                }
                continue;
            }
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match (&file).read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(length) => {
                bytes.extend_from_slice(&chunk[..length]);
                heard = Instant::now();
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
        if bytes.len() as u64 > limit {
            return Err(too_large(limit));
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{io::Write as _, os::fd::AsRawFd as _};

    use super::*;

    #[test]
    fn only_files_and_pipes_are_read_and_none_beyond_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_file(&path, 5).unwrap(), b"12345");
        let error = read_file(&path, 4).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 4 bytes");
        for (path, said) in [
            (
                Path::new("/dev/zero"),
                "it is a device or socket, not a file",
            ),
            (
                Path::new("/dev/null"),
                "it is a device or socket, not a file",
            ),
            (folder.path(), "it is a folder, not a file"),
        ] {
            let error = read_file(path, 100).unwrap_err();
            assert_eq!(error.to_string(), said, "{path:?}");
        }
        let error = read_file(&folder.path().join("none"), 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_not_beyond_the_bound() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let wrote = std::thread::spawn(move || {
            writer.write_all(b"first ").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
            writer.write_all(b"last").unwrap();
        });
        assert_eq!(read_file(Path::new(&path), 10).unwrap(), b"first last");
        wrote.join().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        writer.write_all(b"too much").unwrap();
        let error = read_file(Path::new(&path), 7).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
