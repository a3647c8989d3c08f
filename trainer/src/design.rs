//! Requests as the rows of a sparse matrix, in both orders, for one fit.

#![expect(
    clippy::cast_possible_truncation,
    reason = "columns and rows are fewer than 2^32: buckets and requests of one fit"
)]

use rayon::prelude::*;
use router_core::features::{
    Block, N_BLOCKS, N_BUCKETS, N_PLAIN, N_SURFACE, RawFeatures, term_weight,
};
use router_core::predictor::linear::SURFACE_CLIP;

/// How raw features become columns.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `min_df` | `2` | requests that an n-gram must occur in | `[1, ∞)` |
/// | `block_scales` | `[1, 1, 1]` | length of the word, character and tool block of a row | `[0, ∞)` |
/// | `surface_scale` | `0.1` | multiplies standardised surface features | `(0, ∞)` |
/// | `tool_scale` | `0.3` | the same for those of tool definitions | `(0, ∞)` |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VectorizerParams {
    /// Requests that an n-gram must occur in.
    pub min_df: u32,
    /// Length of each block of a row.
    pub block_scales: [f32; N_BLOCKS],
    /// Multiplies standardised surface features.
    pub surface_scale: f32,
    /// Multiplies standardised features of tool definitions.
    pub tool_scale: f32,
}

impl VectorizerParams {
    /// What multiplies a standardised surface feature.
    pub fn scale(&self, feature: usize) -> f32 {
        if feature < N_PLAIN { self.surface_scale } else { self.tool_scale }
    }
}

/// Which n-grams count how much, learned from training requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectorizer {
    /// Its parameters.
    pub params: VectorizerParams,
    /// `[n_active]`: buckets that occur often enough, increasing.
    pub buckets: Vec<u32>,
    /// `[n_active]`: `ln((1 + n) / (1 + df)) + 1`.
    pub idf: Vec<f32>,
    /// `[N_SURFACE]`.
    pub surface_mean: Vec<f32>,
    /// `[N_SURFACE]`: scale over standard deviation; 0 where nothing varies.
    pub surface_scale: Vec<f32>,
    /// `[N_BUCKETS]`: column of a bucket, or `u32::MAX`.
    column_of: Vec<u32>,
}

impl Vectorizer {
    /// Learns document frequencies and surface scales.
    pub fn fit(params: VectorizerParams, rows: &[&RawFeatures]) -> Self {
        let mut df = vec![0u32; N_BUCKETS];
        for row in rows {
            for (bucket, _) in &row.grams {
                df[*bucket as usize] += 1;
            }
        }
        let n = rows.len() as f32;
        let (mut buckets, mut idf) = (Vec::new(), Vec::new());
        let mut column_of = vec![u32::MAX; N_BUCKETS];
        for (bucket, &df) in df.iter().enumerate() {
            if df >= params.min_df {
                column_of[bucket] = buckets.len() as u32;
                buckets.push(bucket as u32);
                idf.push(((1.0 + n) / (1.0 + df as f32)).ln() + 1.0);
            }
        }
        let (surface_mean, surface_scale) = surface_moments(rows, params);
        Self { params, buckets, idf, surface_mean, surface_scale, column_of }
    }

    /// Columns of n-grams; surface features and a constant follow.
    pub fn n_grams(&self) -> usize {
        self.buckets.len()
    }

    /// All columns.
    pub fn n_columns(&self) -> usize {
        self.buckets.len() + N_SURFACE + 1
    }

    /// A surface feature, standardised and cut as the router will.
    pub fn standard(&self, i: usize, feature: f32) -> f32 {
        let scaled = (feature - self.surface_mean[i]) * self.surface_scale[i];
        (scaled / self.params.scale(i)).clamp(-SURFACE_CLIP, SURFACE_CLIP)
    }

    /// One request as `(column, value)`, ordered by column.
    pub fn row(&self, raw: &RawFeatures) -> Vec<(u32, f32)> {
        let mut row = Vec::with_capacity(raw.grams.len() + N_SURFACE + 1);
        let mut squares = [0.0f32; N_BLOCKS];
        for (bucket, count) in &raw.grams {
            let column = self.column_of[*bucket as usize];
            if column != u32::MAX {
                let value = term_weight(*count) * self.idf[column as usize];
                squares[Block::of(*bucket).index()] += value * value;
                row.push((column, value));
            }
        }
        let scales: [f32; N_BLOCKS] = std::array::from_fn(|b| {
            self.params.block_scales[b] / squares[b].sqrt().max(f32::MIN_POSITIVE)
        });
        for (column, value) in &mut row {
            *value *= scales[Block::of(self.buckets[*column as usize]).index()];
        }
        let first = self.n_grams() as u32;
        for (i, feature) in raw.surface.iter().enumerate() {
            row.push((first + i as u32, self.params.scale(i) * self.standard(i, *feature)));
        }
        row.push((first + N_SURFACE as u32, 1.0));
        row
    }
}

fn surface_moments(rows: &[&RawFeatures], params: VectorizerParams) -> (Vec<f32>, Vec<f32>) {
    let n = rows.len().max(1) as f64;
    let column = |i: usize| rows.iter().map(move |row| f64::from(row.surface[i]));
    let mut means = Vec::new();
    let mut scales = Vec::new();
    for i in 0..N_SURFACE {
        let mean = column(i).sum::<f64>() / n;
        let variance = column(i).map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        let deviation = variance.sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
        {
            means.push(mean as f32);
            scales.push(if deviation > 1e-6 { params.scale(i) / deviation as f32 } else { 0.0 });
        }
    }
    (means, scales)
}

/// A compressed sparse matrix by rows.
#[derive(Clone, Debug)]
pub struct Sparse {
    /// `[n_rows + 1]`.
    starts: Vec<usize>,
    /// Column of each entry.
    columns: Vec<u32>,
    /// Its value.
    values: Vec<f32>,
}

impl Sparse {
    /// Packs rows.
    pub fn from_rows(rows: &[Vec<(u32, f32)>]) -> Self {
        let mut starts = vec![0];
        let n = rows.iter().map(Vec::len).sum();
        let (mut columns, mut values) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for row in rows {
            columns.extend(row.iter().map(|(column, _)| *column));
            values.extend(row.iter().map(|(_, value)| *value));
            starts.push(columns.len());
        }
        Self { starts, columns, values }
    }

    /// The same matrix by columns.
    pub fn transpose(&self, n_columns: usize) -> Self {
        let mut starts = vec![0usize; n_columns + 1];
        for column in &self.columns {
            starts[*column as usize + 1] += 1;
        }
        for column in 0..n_columns {
            starts[column + 1] += starts[column];
        }
        let mut next = starts.clone();
        let mut columns = vec![0u32; self.columns.len()];
        let mut values = vec![0.0f32; self.values.len()];
        for row in 0..self.n_rows() {
            for at in self.starts[row]..self.starts[row + 1] {
                let slot = &mut next[self.columns[at] as usize];
                columns[*slot] = row as u32;
                values[*slot] = self.values[at];
                *slot += 1;
            }
        }
        Self { starts, columns, values }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The entries of a row, ordered by column.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.row_from(row, 0)
    }

    /// The entries of a row from a column on; its columns must be ordered.
    pub fn row_from(&self, row: usize, first: u32) -> impl Iterator<Item = (u32, f32)> + '_ {
        let (start, end) = (self.starts[row], self.starts[row + 1]);
        let start = start + self.columns[start..end].partition_point(|column| *column < first);
        (start..end).map(|at| (self.columns[at], self.values[at]))
    }

    /// `Σ value²` of each column: `[n_columns]`.
    pub fn energies(&self, n_columns: usize) -> Vec<f32> {
        let mut energies = vec![0.0f32; n_columns];
        for (column, value) in self.columns.iter().zip(&self.values) {
            energies[*column as usize] += value * value;
        }
        energies
    }

    /// `self · dense`, row by row in parallel; each row is summed in one order.
    ///
    /// # Shapes
    ///
    /// - `dense`: `[n_columns * k]`
    /// - result: `[n_rows * k]`
    pub fn times(&self, dense: &[f32], k: usize) -> Vec<f32> {
        let mut product = vec![0.0f32; self.n_rows() * k];
        product.par_chunks_mut(k).with_min_len(64).enumerate().for_each(|(row, out)| {
            for at in self.starts[row]..self.starts[row + 1] {
                let value = self.values[at];
                let from = &dense[self.columns[at] as usize * k..][..k];
                for (out, from) in out.iter_mut().zip(from) {
                    *out += value * from;
                }
            }
        });
        product
    }
}

/// The training rows of one fit, by rows and by columns.
#[derive(Clone, Debug)]
pub struct Design {
    /// `[n_rows, n_columns]`.
    pub by_row: Sparse,
    /// `[n_columns, n_rows]`.
    pub by_column: Sparse,
}

impl Design {
    /// Vectorises requests.
    pub fn new(vectorizer: &Vectorizer, raw: &[&RawFeatures]) -> Self {
        let rows: Vec<_> = raw.par_iter().map(|raw| vectorizer.row(raw)).collect();
        let by_row = Sparse::from_rows(&rows);
        let by_column = by_row.transpose(vectorizer.n_columns());
        Self { by_row, by_column }
    }
}

#[cfg(test)]
mod tests {
    use router_core::RequestView;
    use router_core::features::{FeatureScratch, raw_features};

    use super::*;

    const PARAMS: VectorizerParams = VectorizerParams {
        min_df: 2,
        block_scales: [1.0, 0.5, 1.0],
        surface_scale: 0.1,
        tool_scale: 0.3,
    };

    fn raw(texts: &[&str]) -> Vec<RawFeatures> {
        let mut scratch = FeatureScratch::default();
        texts.iter().map(|text| raw_features(&RequestView::from_text(text), &mut scratch)).collect()
    }

    #[test]
    fn blocks_have_their_length_and_rare_grams_are_left_out() {
        let raw = raw(&["red blue green", "red blue black", "white"]);
        let rows: Vec<&RawFeatures> = raw.iter().collect();
        let vectorizer = Vectorizer::fit(PARAMS, &rows);
        let row = vectorizer.row(&raw[0]);
        let squares = |block| {
            let of = |column: u32| vectorizer.buckets.get(column as usize).map(|b| Block::of(*b));
            row.iter().filter(|(c, _)| of(*c) == Some(block)).map(|(_, v)| v * v).sum::<f32>()
        };
        assert!((squares(Block::Words) - 1.0).abs() < 1e-5);
        assert!((squares(Block::Characters) - 0.25).abs() < 1e-5);
        // red, blue and their pair occur twice.
        let words = vectorizer.buckets.iter().filter(|b| Block::of(**b) == Block::Words).count();
        assert_eq!(words, 3);
    }

    #[test]
    fn products_agree_with_the_definition_in_both_orders() {
        let rows = vec![vec![(0, 1.0), (2, 2.0)], vec![], vec![(1, 3.0)]];
        let by_row = Sparse::from_rows(&rows);
        assert_eq!(
            by_row.times(&[1.0, 10.0, 2.0, 20.0, 3.0, 30.0], 2),
            [7.0, 70.0, 0.0, 0.0, 6.0, 60.0]
        );
        let by_column = by_row.transpose(3);
        assert_eq!(by_column.times(&[1.0, 5.0, 2.0], 1), [1.0, 6.0, 2.0]);
    }
}
