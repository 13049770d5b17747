//! Finds the sources of the pinned librdkafka, for tests that compare our tables with them.

use std::{path::PathBuf, process::Command};

/// The folder `librdkafka` inside the rdkafka-sys that this build uses.
///
/// Asks cargo, which knows where it unpacked rdkafka-sys. Only this platform's packages are asked for: a build fetches no
/// others, so a question about all of them fails offline on a fresh machine, or fetches a hundred packages.
pub(crate) fn librdkafka_sources() -> PathBuf {
    let version = run(&["-vV"]);
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("`cargo -vV` names the host");
    let metadata = run(&[
        "metadata",
        "--format-version=1",
        "--filter-platform",
        host,
        "--manifest-path",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).expect("metadata is JSON");
    let manifest = metadata["packages"]
        .as_array()
        .expect("metadata lists packages")
        .iter()
        .find(|package| package["name"] == "rdkafka-sys")
        .and_then(|package| package["manifest_path"].as_str())
        .expect("rdkafka-sys is a dependency");
    PathBuf::from(manifest).with_file_name("librdkafka")
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "cargo {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}
