//! `model.safetensors`: tensors by name, read one at a time, checked, and written again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata, TensorView};

use crate::EncoderError;

/// Name of the file.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// Bytes of the header of a file, at most.
const MAX_HEADER: u64 = 100_000_000;

/// A file of tensors whose header was read.
#[derive(Debug)]
pub(crate) struct Weights {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where tensors begin.
    start: u64,
    /// What names begin with.
    prefix: &'static str,
}

/// A tensor as numbers, row after row.
pub(crate) type Numbers = (Vec<usize>, Vec<f32>);

impl Weights {
    /// Reads the header.
    pub(crate) fn open(folder: &Path) -> Result<Self, EncoderError> {
        let path = folder.join(WEIGHTS);
        if !path.is_file() {
            let folder = folder.to_owned();
            return Err(EncoderError::Missing { folder, needed: WEIGHTS });
        }
        let io = |source| EncoderError::Io { path: path.clone(), source };
        let invalid = |problem| EncoderError::Invalid { path: path.clone(), problem };
        let mut file = File::open(&path).map_err(io)?;
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(io)?;
        let n = u64::from_le_bytes(length);
        let n_header = usize::try_from(n).ok().filter(|_| n <= MAX_HEADER).ok_or_else(|| {
            invalid(format!("its header must have at most {MAX_HEADER} bytes, got {n}"))
        })?;
        let size = file.metadata().map_err(io)?.len();
        let mut header = vec![0; n_header];
        file.read_exact(&mut header).map_err(io)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| invalid(error.to_string()))?;
        let expected = 8 + n + metadata.data_len() as u64;
        if size != expected {
            return Err(invalid(format!("it must have {expected} bytes, got {size}")));
        }
        let is_prefixed = metadata.info("embeddings.word_embeddings.weight").is_none();
        let prefix = if is_prefixed { "bert." } else { "" };
        Ok(Self { path, file, metadata, start: 8 + n, prefix })
    }

    /// A tensor of that shape as f32.
    pub(crate) fn read(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EncoderError> {
        let full = format!("{}{name}", self.prefix);
        let invalid = |problem: String| EncoderError::Invalid { path: self.path.clone(), problem };
        let info = self.metadata.info(&full).ok_or_else(|| invalid(format!("no tensor {full}")))?;
        if info.shape != shape {
            let (expected, found) = (shape.to_vec(), info.shape.clone());
            return Err(EncoderError::Shape { name: full, expected, found });
        }
        let (begin, end) = info.data_offsets;
        let mut bytes = vec![0; end - begin];
        let io = |source| EncoderError::Io { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(self.start + begin as u64)).map_err(io)?;
        self.file.read_exact(&mut bytes).map_err(io)?;
        let half = |bytes: &[u8]| [bytes[0], bytes[1]];
        let numbers: Vec<f32> = if info.dtype == Dtype::F32 {
            let four = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            bytes.chunks_exact(4).map(four).collect()
        } else if info.dtype == Dtype::F16 {
            let float = |b: &[u8]| burn::tensor::f16::from_le_bytes(half(b)).to_f32();
            bytes.chunks_exact(2).map(float).collect()
        } else if info.dtype == Dtype::BF16 {
            let float = |b: &[u8]| burn::tensor::bf16::from_le_bytes(half(b)).to_f32();
            bytes.chunks_exact(2).map(float).collect()
        } else {
            return Err(invalid(format!("{full} must be F32, F16 or BF16, got {:?}", info.dtype)));
        };
        match numbers.iter().find(|number| !number.is_finite()) {
            Some(value) => Err(EncoderError::NotFinite { name: full, value: *value }),
            None => Ok(numbers),
        }
    }

    /// All tensors that are floating-point numbers, by name without prefix.
    pub(crate) fn read_all(&mut self) -> Result<BTreeMap<String, Numbers>, EncoderError> {
        let names: Vec<(String, Vec<usize>)> = self
            .metadata
            .tensors()
            .into_iter()
            .filter(|(_, info)| matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16))
            .filter_map(|(name, info)| {
                Some((name.strip_prefix(self.prefix)?.to_owned(), info.shape.clone()))
            })
            .collect();
        let read = |(name, shape): (String, Vec<usize>)| {
            let numbers = self.read(&name, &shape)?;
            Ok((name, (shape, numbers)))
        };
        names.into_iter().map(read).collect()
    }
}

/// Writes tensors as f32.
pub(crate) fn write(path: &Path, tensors: &BTreeMap<String, Numbers>) -> Result<(), EncoderError> {
    let invalid = |problem| EncoderError::Invalid { path: path.to_owned(), problem };
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, numbers))| {
            (name, shape, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
        })
        .collect();
    let views: Result<Vec<_>, _> = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((name, TensorView::new(Dtype::F32, (*shape).clone(), bytes)?))
        })
        .collect();
    let views = views.map_err(|error: safetensors::SafeTensorError| invalid(error.to_string()))?;
    let file = safetensors::serialize(views, None).map_err(|error| invalid(error.to_string()))?;
    std::fs::write(path, file).map_err(|source| EncoderError::Io { path: path.to_owned(), source })
}
