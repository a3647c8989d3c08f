//! Virtual environments with one package of the Python Package Index, made once for this user.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {last}")) }
}

fn cache() -> Result<PathBuf, String> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    cache.or_else(home).ok_or_else(|| "neither XDG_CACHE_HOME nor HOME is set".to_owned())
}

/// The folder of a virtual environment with that package; `options` are pip's.
pub(crate) fn environment(
    package: &str,
    version: &str,
    options: &[&str],
) -> Result<PathBuf, String> {
    let sextant = cache()?.join("sextant");
    let folder = sextant.join(format!("python-{package}-{version}"));
    let complete = folder.join("complete");
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&sextant).map_err(failed)?;
    // Two runs at once must not both install.
    let lock = File::create(sextant.join(format!("python-{package}.lock"))).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if !complete.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let package = format!("{package}=={version}");
        let mut pip = Command::new(folder.join("bin/python"));
        run(pip.args(["-m", "pip", "install", "--quiet"]).args(options).arg(&package))?;
        fs::write(&complete, "").map_err(failed)?;
    }
    Ok(folder)
}

/// What was to be there, or `None`, with a message, where it cannot be had and need not be.
#[expect(clippy::print_stderr, reason = "says that a test is skipped")]
pub(crate) fn or_skipped<T>(found: Result<T, String>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(missing) => {
            assert!(std::env::var_os("SEXTANT_SHARED").is_none(), "{missing}");
            eprintln!("skipped: {missing}");
            None
        }
    }
}
