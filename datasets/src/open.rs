//! Files and folders of parquet → one outcome table or one log.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::assemble::{Assembler, Dataset};
use crate::error::DatasetError;
use crate::read::rows;
use crate::split::hex;

/// Where rows came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name of the file, without its folder.
    pub name: String,
    /// SHA-256 of its bytes, as 64 hex digits.
    pub sha256: String,
    /// Rows in it.
    pub n_rows: usize,
}

/// What was read, and from where.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The rows.
    pub data: Dataset,
    /// The files, in the order they were read.
    pub sources: Vec<Source>,
}

/// Reads files, or folders of `*.parquet` in the order of their names, as one data set.
///
/// # Errors
///
/// If a file cannot be read or lacks a required column, a row is refused, there is no row at all,
/// or the rows are neither an outcome table nor a log.
pub fn open(paths: &[PathBuf]) -> Result<Opened, DatasetError> {
    assemble(paths, Assembler::default())
}

/// The same, but rows that record one model's answer to each request and no propensity, which
/// [`open()`] refuses, are an outcome table without the other answers.
///
/// # Errors
///
/// Otherwise as [`open()`].
pub fn open_choices(paths: &[PathBuf]) -> Result<Opened, DatasetError> {
    assemble(paths, Assembler::of_choices())
}

fn assemble(paths: &[PathBuf], mut assembler: Assembler) -> Result<Opened, DatasetError> {
    let mut sources = Vec::new();
    for path in expand(paths)? {
        let batches = rows(&path)?;
        sources.push(source(&path, batches.n_rows())?);
        for batch in batches {
            for row in batch?.rows() {
                row.and_then(|row| assembler.push(&row))
                    .map_err(|error| DatasetError::row(&path, error))?;
            }
        }
        assembler.end_file();
    }
    if sources.iter().all(|source| source.n_rows == 0) {
        return Err(DatasetError::Empty(names(paths)));
    }
    Ok(Opened { data: assembler.finish()?, sources })
}

/// The files that the paths stand for: each file itself, each folder's `*.parquet` by name.
///
/// # Errors
///
/// If a path does not exist, or a folder holds no parquet file.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, DatasetError> {
    let mut files = Vec::new();
    for path in paths {
        let is_folder =
            path.metadata().map_err(|source| DatasetError::file(path, source))?.is_dir();
        if !is_folder {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        let entries = path.read_dir().map_err(|source| DatasetError::file(path, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| DatasetError::file(path, source))?.path();
            if entry.extension().is_some_and(|extension| extension == "parquet") {
                found.push(entry);
            }
        }
        if found.is_empty() {
            return Err(DatasetError::Empty(format!("{} (no *.parquet in it)", path.display())));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Hashes a file.
///
/// # Errors
///
/// If it cannot be read.
pub fn source(path: &Path, n_rows: usize) -> Result<Source, DatasetError> {
    let broken = |source| DatasetError::file(path, source);
    let mut file = File::open(path).map_err(broken)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n_bytes = file.read(&mut buffer).map_err(broken)?;
        if n_bytes == 0 {
            break;
        }
        digest.update(&buffer[..n_bytes]);
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(Source { name, sha256: hex(&digest.finalize()), n_rows })
}

#[cfg(test)]
mod tests;
