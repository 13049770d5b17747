//! Postgres: a PostgreSQL of a test's own, in a temporary directory, reached by a Unix socket. It ends and its directory goes with
//! the test's process, however that ends.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// A PostgreSQL that runs.
pub(crate) struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    /// PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
    /// Ends it once its standard input ends.
    guard: Child,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user =
            (id("-u", None) == 0).then(|| (id("-u", Some("postgres")), id("-g", Some("postgres"))));
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let programs = programs();
        let guard = {
            let path = folder.path().display();
            let pg_ctl = programs.join("pg_ctl");
            let script = format!(
                "read _; '{}' stop -D '{path}/data' -m immediate; rm -rf '{path}'",
                pg_ctl.display()
            );
            let mut guard = as_user("sh", user, folder.path());
            guard.args(["-c", &script]).stdin(Stdio::piped());
            // A signal to the test's process group is not for it.
            guard.process_group(0).spawn().unwrap()
        };
        let postgres = Self {
            folder,
            programs,
            user,
            guard,
        };
        postgres.run("initdb", &["-A", "trust", "-U", "postgres", "--no-sync"]);
        postgres.start_server();
        postgres
    }

    /// What a client connects to.
    pub(crate) fn address(&self) -> String {
        format!("host={} user=postgres", self.folder.path().display())
    }

    /// Ends as by a crash, and recovers.
    pub(crate) fn crash(&self) {
        self.run("pg_ctl", &["stop", "-m", "immediate"]);
        self.start_server();
    }

    fn start_server(&self) {
        let path = self.folder.path().display();
        let options = format!("-c listen_addresses= -k {path}");
        let log = format!("{path}/log");
        self.run("pg_ctl", &["start", "-w", "-l", &log, "-o", &options]);
    }

    fn run(&self, program: &str, args: &[&str]) {
        let output = as_user(self.programs.join(program), self.user, self.folder.path())
            .args(args)
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .stdin(Stdio::null())
            // A server that stays would hold a pipe open.
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.folder.path().join("errors")).unwrap())
            .status()
            .unwrap();
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let (errors, log) = (read("errors"), read("log"));
        assert!(output.success(), "{program} failed: {errors}\n{log}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn as_user(
    program: impl AsRef<std::ffi::OsStr>,
    user: Option<(u32, u32)>,
    folder: &Path,
) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdout(Stdio::null());
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command
}

fn id(option: &str, user: Option<&str>) -> u32 {
    let output = Command::new("id").arg(option).args(user).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| {
        panic!(
            "PostgreSQL does not run as root, and there is not a user {user:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// Where PostgreSQL's own programs are: Debian does not put them in the path.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut folders: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").is_file())
        .expect("this test needs a PostgreSQL: apt-get install -y postgresql")
}
