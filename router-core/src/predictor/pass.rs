//! One pass over the n-grams of a request, which serves every output that has a row per n-gram.

use super::Scratch;
use crate::features::{Block, N_BLOCKS, N_BUCKETS, for_each_gram, term_weight};
use crate::request::RequestView;

const NO_ROW: u32 = u32::MAX;

/// A row of numbers for each known bucket, laid out for speed.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Distance between rows: their width, rounded up to whole SIMD registers.
    stride: usize,
    /// `[N_BUCKETS]`: row of a bucket, or `NO_ROW`.
    row_of: Vec<u32>,
    /// `[n_rows * stride]`: `idf · number`.
    rows: Vec<f32>,
    /// `[n_rows]`: `idf²`.
    idf_squared: Vec<f32>,
    /// Rows of each block end here.
    ends: [usize; N_BLOCKS],
    block_scales: [f32; N_BLOCKS],
    /// Weights of terms that occur less often than this is long.
    terms: Vec<f32>,
}

impl Table {
    /// Lays out rows of `width` numbers; `fill` writes those of a row, before idf.
    ///
    /// # Errors
    ///
    /// The first bucket that is out of order or range.
    pub(crate) fn new(
        buckets: &[u32],
        idf: &[f32],
        block_scales: &[f32],
        width: usize,
        mut fill: impl FnMut(usize, &mut [f32]),
    ) -> Result<Self, u32> {
        let stride = width.next_multiple_of(4);
        let mut row_of = vec![NO_ROW; N_BUCKETS];
        for (row, &bucket) in buckets.iter().enumerate() {
            let in_order = row == 0 || buckets[row - 1] < bucket;
            match row_of.get_mut(bucket as usize) {
                Some(slot) if in_order => *slot = u32::try_from(row).unwrap_or(NO_ROW),
                _ => return Err(bucket),
            }
        }
        let mut rows = vec![0.0; buckets.len() * stride];
        for (row, (to, idf)) in rows.chunks_exact_mut(stride.max(1)).zip(idf).enumerate() {
            fill(row, &mut to[..width]);
            to.iter_mut().for_each(|number| *number *= idf);
        }
        let end =
            |block: Block| buckets.partition_point(|b| Block::of(*b).index() <= block.index());
        Ok(Self {
            stride,
            row_of,
            rows,
            idf_squared: idf.iter().map(|idf| idf * idf).collect(),
            ends: Block::ALL.map(end),
            block_scales: std::array::from_fn(|b| block_scales.get(b).copied().unwrap_or(0.0)),
            terms: (0..64).map(term_weight).collect(),
        })
    }

    /// Distance between the sums of two blocks.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Leaves in `scratch.sums`, for each block, `s_b · Σ_g t_g f_g row_g / ‖t f‖_b`:
    /// `[N_BLOCKS * stride]`.
    pub(crate) fn sum(&self, view: &RequestView<'_>, scratch: &mut Scratch) {
        let Scratch { features, counts, touched, sums, n_unknown, n_grams, .. } = scratch;
        if counts.len() < self.idf_squared.len() {
            counts.resize(self.idf_squared.len(), 0);
        }
        touched.clear();
        let (mut unknown, mut all) = (0u32, 0u32);
        for_each_gram(view, features, |bucket| {
            let row = self.row_of[bucket as usize];
            all += 1;
            if row != NO_ROW {
                let count = &mut counts[row as usize];
                if *count == 0 {
                    touched.push(row);
                }
                *count = count.saturating_add(1);
            } else {
                unknown += 1;
            }
        });
        (*n_unknown, *n_grams) = (unknown, all);
        sums.clear();
        sums.resize(N_BLOCKS * self.stride, 0.0);
        // Grams are visited block by block, so the rows of a block follow one another.
        let mut rest = &touched[..];
        for (block, sums) in sums.chunks_exact_mut(self.stride).enumerate() {
            let end = self.ends[block];
            let n = rest.iter().position(|row| *row as usize >= end).unwrap_or(rest.len());
            let (rows, others) = rest.split_at(n);
            rest = others;
            let square = self.add(rows, counts, sums);
            let scale = if square > 0.0 { self.block_scales[block] / square.sqrt() } else { 0.0 };
            sums.iter_mut().for_each(|sum| *sum *= scale);
        }
    }

    /// Adds `Σ_g t_g f_g row_g` of some rows, and sets their counts back to 0; returns
    /// `Σ_g (t_g f_g)²`. Four rows at a time, so that each sum is loaded and stored once for four.
    fn add(&self, rows: &[u32], counts: &mut [u16], sums: &mut [f32]) -> f32 {
        let mut square = 0.0;
        let mut term = |row: u32| {
            let count = usize::from(std::mem::take(&mut counts[row as usize]));
            let term = self.terms.get(count).copied();
            let term = term.unwrap_or_else(|| term_weight(u32::try_from(count).unwrap_or(1)));
            square += term * term * self.idf_squared[row as usize];
            term
        };
        let numbers = |row: u32| &self.rows[row as usize * self.stride..][..self.stride];
        let (quads, others) = rows.as_chunks::<4>();
        for quad in quads {
            let [a, b, c, d] = quad.map(&mut term);
            let [ra, rb, rc, rd] = quad.map(numbers);
            for ((((sum, x), y), z), w) in sums.iter_mut().zip(ra).zip(rb).zip(rc).zip(rd) {
                *sum += (a * x + b * y) + (c * z + d * w);
            }
        }
        for &row in others {
            let term = term(row);
            for (sum, number) in sums.iter_mut().zip(numbers(row)) {
                *sum += term * number;
            }
        }
        square
    }
}
