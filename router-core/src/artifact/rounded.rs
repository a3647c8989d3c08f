//! The weights of linear heads: bytes with scales where they are rounded, else numbers in full.

use safetensors::tensor::{Dtype, SafeTensors};

use super::{ArtifactError, Tensors, numbers};
use crate::predictor::LinearParts;
use crate::predictor::rounding::Rounding;

const WEIGHTS: &str = "linear.weights";
const ROWS: &str = "linear.row_scales";
const COLUMNS: &str = "linear.column_scales";

/// Adds the weights without any loss.
pub(super) fn write(parts: &LinearParts, tensors: &mut Tensors) {
    let le = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let (n, width) = (parts.buckets.len(), parts.width());
    let exact = parts.rounding.as_ref().and_then(|rounding| {
        let bytes = rounding.bytes(&parts.weights);
        (rounding.weights(&bytes) == parts.weights).then_some((rounding, bytes))
    });
    let Some((rounding, bytes)) = exact else {
        tensors.insert(WEIGHTS, (Dtype::F32, vec![n, width], le(&parts.weights)));
        return;
    };
    let bytes = bytes.iter().flat_map(|byte| byte.to_le_bytes()).collect();
    tensors.insert(WEIGHTS, (Dtype::I8, vec![n, width], bytes));
    tensors.insert(ROWS, (Dtype::F32, vec![n], le(&rounding.rows)));
    tensors.insert(COLUMNS, (Dtype::F32, vec![width], le(&rounding.columns)));
}

/// Reads them; [`Linear::new`](crate::predictor::Linear::new) checks shapes and numbers.
pub(super) fn read(
    tensors: &SafeTensors<'_>,
) -> Result<(Vec<f32>, Option<Rounding>), ArtifactError> {
    let f32s = |name: &str| numbers(tensors, name, Dtype::F32, f32::from_le_bytes);
    if !tensors.names().iter().any(|name| *name == ROWS || *name == COLUMNS) {
        return Ok((f32s(WEIGHTS)?, None));
    }
    let rounding = Rounding { rows: f32s(ROWS)?, columns: f32s(COLUMNS)? };
    let bytes = numbers(tensors, WEIGHTS, Dtype::I8, i8::from_le_bytes)?;
    Ok((rounding.weights(&bytes), Some(rounding)))
}
