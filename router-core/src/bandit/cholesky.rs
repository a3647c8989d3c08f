//! Symmetric positive definite matrices, small and dense, row-major.

/// The lower triangle `L` of `A = L·Lᵀ`; `None` if `A` is not positive definite.
pub(super) fn factor(a: &[f64], d: usize) -> Option<Vec<f64>> {
    let mut l = vec![0.0; d * d];
    for i in 0..d {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| l[i * d + k] * l[j * d + k]).sum();
            let rest = a[i * d + j] - dot;
            l[i * d + j] = if i > j {
                rest / l[j * d + j]
            } else if rest > 0.0 {
                rest.sqrt()
            } else {
                return None;
            };
        }
    }
    Some(l)
}

/// `A⁻¹` from its factor.
pub(super) fn inverse(l: &[f64], d: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; d * d];
    let mut column = vec![0.0; d];
    for unit in 0..d {
        for i in 0..d {
            let dot: f64 = (0..i).map(|k| l[i * d + k] * column[k]).sum();
            let right = if i == unit { 1.0 } else { 0.0 };
            column[i] = (right - dot) / l[i * d + i];
        }
        for i in (0..d).rev() {
            let dot: f64 = (i + 1..d).map(|k| l[k * d + i] * column[k]).sum();
            column[i] = (column[i] - dot) / l[i * d + i];
        }
        for (i, value) in column.iter().enumerate() {
            inverse[i * d + unit] = *value;
        }
    }
    inverse
}

/// `ln |A|` from its factor.
pub(super) fn log_determinant(l: &[f64], d: usize) -> f64 {
    2.0 * (0..d).map(|i| l[i * d + i].ln()).sum::<f64>()
}
