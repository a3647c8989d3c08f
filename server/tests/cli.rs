//! The binary: exit codes and what it prints. With this file cargo builds it for `tests` too.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn check(config: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("server.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.current_dir(folder.path()).args(["check-config", "--config", "server.toml"]);
    command.output().unwrap()
}

#[test]
fn a_configuration_is_checked_without_starting() {
    let good =
        check("[upstreams.a]\nbase_url = \"http://127.0.0.1:1/v1\"\n[[models]]\nid = \"m\"\n");
    assert_eq!(good.status.code(), Some(0));
    let said = String::from_utf8(good.stdout).unwrap();
    assert!(said.contains("upstreams: [a], models: 1"), "{said}");
    let bad = check("[routing]\nmax_attempts = 0\n");
    assert_eq!(bad.status.code(), Some(1));
    let said = String::from_utf8(bad.stderr).unwrap();
    assert_eq!(
        said,
        "error: server.toml: routing.max_attempts must be at least 1 and at most 8, got 0\n"
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_no_concern_of_ours() {
    use std::os::unix::ffi::OsStrExt as _;

    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.arg("check-config").env("UNRELATED", std::ffi::OsStr::from_bytes(b"\xff"));
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}
