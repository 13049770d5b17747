//! The Python side: a virtual environment outside the checkout, made once, and processes that talk in JSON lines.
//! Never skips: without Python the tests fail and say what to install.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin},
    sync::mpsc,
    time::timeout,
};
use xtask::{paths, python};

const LIMIT: Duration = Duration::from_secs(60);

/// The interpreter with the Python library beside it.
pub(crate) fn interpreter() -> PathBuf {
    static MADE: LazyLock<PathBuf> = LazyLock::new(|| {
        python::environment("interop", &folder().join("requirements.txt"))
            .unwrap_or_else(|error| panic!("the interop tests need the Python library: {error:#}"))
    });
    MADE.clone()
}

fn folder() -> PathBuf {
    paths::root().join("tests-interop")
}

/// A running script.
pub(crate) struct Python {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    errors: Arc<Mutex<String>>,
}

impl Python {
    /// `python/<script> <arguments>`.
    pub(crate) fn start(script: &str, arguments: &[&str]) -> Self {
        let mut child = tokio::process::Command::new(interpreter())
            .arg(folder().join("python").join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python starts");
        let (sender, lines) = mpsc::channel(1024);
        let mut output = BufReader::new(child.stdout.take().expect("piped")).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                if sender.send(line).await.is_err() {
                    break;
                }
            }
        });
        let errors = Arc::new(Mutex::new(String::new()));
        let seen = errors.clone();
        let mut from = child.stderr.take().expect("piped");
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                seen.lock().expect("not poisoned").push_str(&text);
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            lines,
            errors,
        }
    }

    /// Writes one line.
    pub(crate) async fn tell(&mut self, line: &Value) {
        let input = self.input.as_mut().expect("still open");
        input
            .write_all(format!("{line}\n").as_bytes())
            .await
            .expect("python reads");
    }

    /// Its next line.
    pub(crate) async fn next(&mut self) -> Value {
        match timeout(LIMIT, self.lines.recv()).await {
            Ok(Some(line)) => serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("python wrote {line:?}: {error}")),
            _ => panic!("python wrote nothing more; its log:\n{}", self.log()),
        }
    }

    /// Its next line, if one comes in time.
    pub(crate) async fn next_within(&mut self, limit: Duration) -> Option<Value> {
        let line = timeout(limit, self.lines.recv()).await.ok()??;
        Some(serde_json::from_str(&line).expect("JSON"))
    }

    /// Its next lines.
    pub(crate) async fn take(&mut self, many: usize) -> Vec<Value> {
        let mut taken = Vec::with_capacity(many);
        for _ in 0..many {
            taken.push(self.next().await);
        }
        taken
    }

    /// Ends its standard input, lets it stop cleanly, and returns what it still wrote.
    pub(crate) async fn stop(mut self) -> Vec<Value> {
        drop(self.input.take());
        let status = timeout(LIMIT, self.child.wait()).await;
        let ended = matches!(&status, Ok(Ok(status)) if status.success());
        assert!(
            ended,
            "python ended with {status:?}; its log:\n{}",
            self.log()
        );
        let mut rest = Vec::new();
        while let Some(line) = self.lines.recv().await {
            rest.push(serde_json::from_str(&line).expect("JSON"));
        }
        rest
    }

    fn log(&self) -> String {
        self.errors.lock().expect("not poisoned").clone()
    }
}
