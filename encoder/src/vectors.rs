//! Embeddings in a file, so that they are computed once.
//!
//! A safetensors file of one tensor `embeddings`, `[n, n_dimensions]` f32; its metadata key
//! `sextant_vectors` holds, as JSON, the ids of the rows and how they were computed.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::encoder::EmbedOptions;
use crate::tokens::Window;

const KEY: &str = "sextant_vectors";
const TENSOR: &str = "embeddings";

/// Embeddings of texts that have ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// How they were computed.
    pub origin: VectorsOrigin,
    /// `[n * n_dimensions]`, as many as `origin.ids` times the dimensions.
    pub values: Vec<f32>,
}

/// How embeddings were computed, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorsOrigin {
    /// What the encoder was called.
    pub encoder: String,
    /// Tokens of a sequence, at most.
    pub max_tokens: usize,
    /// Which tokens of a longer text.
    pub window: Window,
    /// The rows.
    pub ids: Vec<String>,
}

/// Why bytes are no file of embeddings.
#[derive(Debug, thiserror::Error)]
pub enum VectorsError {
    /// Not safetensors, or not of this layout.
    #[error("not a file of embeddings: {0}")]
    Layout(String),
    /// Numbers that do not make rows.
    #[error("embeddings must be one row for each of {ids} ids, got {values} numbers")]
    Rows {
        /// Number of ids.
        ids: usize,
        /// Number of numbers.
        values: usize,
    },
}

impl Vectors {
    /// Names the options beside the ids.
    pub fn new(encoder: &str, options: &EmbedOptions, ids: Vec<String>, values: Vec<f32>) -> Self {
        let EmbedOptions { max_tokens, window } = *options;
        let origin = VectorsOrigin { encoder: encoder.to_owned(), max_tokens, window, ids };
        Self { origin, values }
    }

    /// The file.
    ///
    /// # Errors
    ///
    /// If there is not one row for each id.
    pub fn to_bytes(&self) -> Result<Vec<u8>, VectorsError> {
        let (n, n_values) = (self.origin.ids.len(), self.values.len());
        if !(n > 0 && n_values.is_multiple_of(n) && n_values > 0) {
            return Err(VectorsError::Rows { ids: n, values: n_values });
        }
        let layout = |error: &dyn std::fmt::Display| VectorsError::Layout(error.to_string());
        let bytes: Vec<u8> = self.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, vec![n, n_values / n], &bytes)
            .map_err(|error| layout(&error))?;
        let origin = serde_json::to_string(&self.origin).map_err(|error| layout(&error))?;
        let metadata = HashMap::from([(KEY.to_owned(), origin)]);
        safetensors::serialize([(TENSOR, view)], Some(metadata)).map_err(|error| layout(&error))
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it is of another layout.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VectorsError> {
        let layout = |error: &dyn std::fmt::Display| VectorsError::Layout(error.to_string());
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| layout(&error))?;
        let origin = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let origin = origin.ok_or_else(|| layout(&format!("no metadata {KEY}")))?;
        let origin: VectorsOrigin = serde_json::from_str(origin).map_err(|error| layout(&error))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| layout(&error))?;
        let tensor = tensors.tensor(TENSOR).map_err(|error| layout(&error))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape().len() != 2 {
            return Err(layout(&"embeddings must be a matrix of F32"));
        }
        let four = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let values: Vec<f32> = tensor.data().chunks_exact(4).map(four).collect();
        if tensor.shape()[0] != origin.ids.len() {
            return Err(VectorsError::Rows { ids: origin.ids.len(), values: values.len() });
        }
        Ok(Self { origin, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let ids = vec!["a".to_owned(), "b \"quoted\"\n".to_owned()];
        let options = EmbedOptions { max_tokens: 9, window: Window::Tail };
        let mut vectors = Vectors::new("org/x", &options, ids, vec![1.0, -0.5, 0.25, 3.0]);
        let bytes = vectors.to_bytes().unwrap();
        assert_eq!(Vectors::from_bytes(&bytes).unwrap(), vectors);
        vectors.values.pop();
        let error = vectors.to_bytes().unwrap_err().to_string();
        assert_eq!(error, "embeddings must be one row for each of 2 ids, got 3 numbers");
        let error = Vectors::from_bytes(b"x").unwrap_err().to_string();
        assert!(error.starts_with("not a file of embeddings: "), "{error}");
    }
}
