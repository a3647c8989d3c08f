//! The n-grams that matter most: an artifact cannot hold a row of weights for each.

use super::svm::Machines;
use super::vectors::SparseRow;

/// The `n` columns that add most to the scores, increasing: those of the largest
/// `Σ_heads w² · Σ_rows weight · x²`, ties to the first. Columns without a weight are left out.
///
/// # Shapes
///
/// `weights` is `[rows.len()]`.
pub fn heaviest(machines: &Machines, rows: &[SparseRow], weights: &[f64], n: usize) -> Vec<u32> {
    let n_heads = machines.bias.len();
    let mut spread = vec![0.0f64; machines.weights.len() / n_heads];
    for (row, weight) in rows.iter().zip(weights) {
        for (column, value) in row {
            spread[*column as usize] += weight * f64::from(value * value);
        }
    }
    let square = |w: &[f32]| w.iter().map(|w| f64::from(w * w)).sum::<f64>();
    let mut ranked: Vec<(f64, u32)> = machines
        .weights
        .chunks_exact(n_heads)
        .zip(&spread)
        .zip(0..)
        .map(|((w, spread), column)| (square(w) * spread, column))
        .filter(|(adds, _)| *adds > 0.0)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.truncate(n);
    let mut columns: Vec<u32> = ranked.into_iter().map(|(_, column)| column).collect();
    columns.sort_unstable();
    columns
}

/// Rows with no other than these columns.
pub fn keep(mut rows: Vec<SparseRow>, columns: &[u32]) -> Vec<SparseRow> {
    for row in &mut rows {
        row.retain(|(column, _)| columns.binary_search(column).is_ok());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_kept_by_what_they_add() {
        // Squared weights 1, 4, 0.25 and 0; spreads 1 + 3·4, 1, 3·9 and 1.
        let machines =
            Machines { weights: vec![1.0, 0.0, 0.0, 2.0, 0.5, 0.0, 0.0, 0.0], bias: vec![0.0; 2] };
        let rows = vec![vec![(0, 1.0), (1, 1.0), (3, 1.0)], vec![(0, 2.0), (2, 3.0)]];
        // So they add 13, 4, 6.75 and 0.
        let kept = |n| heaviest(&machines, &rows, &[1.0, 3.0], n);
        assert_eq!((kept(1), kept(2), kept(9)), (vec![0], vec![0, 2], vec![0, 1, 2]));
        assert_eq!(keep(rows.clone(), &[0, 2]), [vec![(0, 1.0)], vec![(0, 2.0), (2, 3.0)]]);
    }
}
