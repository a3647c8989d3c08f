//! Where an encoder lies: a folder, or a model of the local Hugging Face cache.

use std::path::{Path, PathBuf};

use crate::EncoderError;

/// The folder of an encoder: `name` itself if it is one, else the snapshot `main` of that model in
/// the Hugging Face cache (`$HF_HUB_CACHE`, `$HF_HOME/hub` or `~/.cache/huggingface/hub`).
///
/// # Errors
///
/// If it is neither; the message says how to fetch a model.
pub fn resolve(name: &str) -> Result<PathBuf, EncoderError> {
    resolve_in(name, &hub_cache(&|variable| std::env::var_os(variable).map(PathBuf::from)))
}

fn hub_cache(variable: &dyn Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let set = |name: &str| variable(name).filter(|path| !path.as_os_str().is_empty());
    let home = || set("HOME").unwrap_or_default().join(".cache");
    let hf_home = || {
        set("HF_HOME")
            .unwrap_or_else(|| set("XDG_CACHE_HOME").unwrap_or_else(home).join("huggingface"))
    };
    set("HF_HUB_CACHE").unwrap_or_else(|| hf_home().join("hub"))
}

fn resolve_in(name: &str, cache: &Path) -> Result<PathBuf, EncoderError> {
    let folder = PathBuf::from(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    let missing = || EncoderError::NotFound { name: name.to_owned(), cache: cache.to_owned() };
    let model = cache.join(format!("models--{}", name.replace('/', "--")));
    let revision = std::fs::read_to_string(model.join("refs/main")).map_err(|_| missing())?;
    let snapshot = model.join("snapshots").join(revision.trim());
    if snapshot.is_dir() { Ok(snapshot) } else { Err(missing()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_id_is_the_snapshot_that_main_names() {
        let cache = tempfile::tempdir().unwrap();
        let model = cache.path().join("models--org--small");
        let snapshot = model.join("snapshots/abc");
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::create_dir_all(model.join("refs")).unwrap();
        std::fs::write(model.join("refs/main"), "abc\n").unwrap();
        assert_eq!(resolve_in("org/small", cache.path()).unwrap(), snapshot);
        let folder = snapshot.to_str().unwrap();
        assert_eq!(resolve_in(folder, cache.path()).unwrap(), snapshot);
        let error = resolve_in("org/large", cache.path()).unwrap_err().to_string();
        assert!(error.ends_with("fetch it with: hf download org/large"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }

    #[test]
    fn variables_move_the_cache_as_they_do_for_hugging_face() {
        let of = |set: &[(&'static str, &'static str)]| {
            let find = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into());
            hub_cache(&find)
        };
        let home = ("HOME", "/h");
        assert_eq!(of(&[home]), Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(of(&[home, ("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        assert_eq!(of(&[home, ("HF_HOME", "/f")]), Path::new("/f/hub"));
        assert_eq!(of(&[home, ("HF_HOME", "/f"), ("HF_HUB_CACHE", "/c")]), Path::new("/c"));
    }
}
