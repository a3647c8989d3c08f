//! What `./quickstart` refuses; `./check demo` runs it to its end.

use std::path::Path;
use std::process::Command;

#[test]
fn a_folder_that_is_no_quickstarts_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("thesis.tex");
    std::fs::write(&precious, "years of work").unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../quickstart");
    // A cargo that only fails: nothing is built here, whatever the script does.
    let tools = folder.path().join("bin");
    std::fs::create_dir(&tools).unwrap();
    std::os::unix::fs::symlink("/bin/false", tools.join("cargo")).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var_os("PATH").unwrap().display());
    let mut command = Command::new("bash");
    command.arg(script).env("SEXTANT_OUT", folder.path()).env("PATH", path);
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains("must be empty, new, or of"), "{said}");
    assert!(precious.exists());
}
