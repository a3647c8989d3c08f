//! Texts as sparse rows, each block scaled to its length.

use rayon::prelude::*;
use router_core::predictor::tasks::{N_TASK_BLOCKS, N_TASK_BUCKETS, TaskScratch, for_each_term};

/// Length of each block of a row: words, characters, first words, last words, beginning,
/// sentences, shape, signs. What stands at the end of a text, or outside of words, says less.
pub const BLOCK_LENGTHS: [f32; N_TASK_BLOCKS] = [1.0, 1.0, 1.0, 0.7, 0.5, 0.7, 0.5, 0.5];

/// Prompts that an n-gram must occur in to have a weight.
pub const MIN_PROMPTS: u32 = 2;

/// One text: buckets and values `length · t / ‖t‖`.
pub type SparseRow = Vec<(u32, f32)>;

/// All texts as sparse rows.
pub fn vectors(texts: &[String]) -> Vec<SparseRow> {
    texts.par_iter().map_init(TaskScratch::default, |scratch, text| vector(text, scratch)).collect()
}

fn vector(text: &str, scratch: &mut TaskScratch) -> SparseRow {
    let mut row: SparseRow = Vec::new();
    let mut squares = [0.0f32; N_TASK_BLOCKS];
    let mut ends = [0; N_TASK_BLOCKS];
    for_each_term(text, scratch, |block, bucket, count| {
        let term = router_core::features::term_weight(count);
        squares[block] += term * term;
        row.push((bucket, term));
        ends[block] = row.len();
    });
    let mut start = 0;
    for (block, square) in squares.iter().enumerate() {
        let end = ends[block].max(start);
        let scale = BLOCK_LENGTHS[block] / square.sqrt().max(f32::MIN_POSITIVE);
        for (_, value) in &mut row[start..end] {
            *value *= scale;
        }
        start = end;
    }
    row
}

/// The rows of one fit, without n-grams that occur in too few of them.
pub fn frequent(vectors: &[SparseRow], rows: &[usize]) -> Vec<SparseRow> {
    let mut n_prompts = vec![0u32; N_TASK_BUCKETS];
    for &row in rows {
        for (bucket, _) in &vectors[row] {
            n_prompts[*bucket as usize] += 1;
        }
    }
    let is_frequent = |entry: &&(u32, f32)| n_prompts[entry.0 as usize] >= MIN_PROMPTS;
    rows.par_iter().map(|row| vectors[*row].iter().filter(is_frequent).copied().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_its_length() {
        let texts = ["Fix this: a = b\nWhy? Say why.".to_owned()];
        let row = &vectors(&texts)[0];
        let mut of_bucket = vec![0; N_TASK_BUCKETS];
        let mut at = 0;
        for (block, (_, n)) in router_core::predictor::tasks::task_blocks().iter().enumerate() {
            of_bucket[at..at + n].fill(block);
            at += n;
        }
        let mut squares = [0.0f32; N_TASK_BLOCKS];
        for (bucket, value) in row {
            squares[of_bucket[*bucket as usize]] += value * value;
        }
        for (square, length) in squares.iter().zip(BLOCK_LENGTHS) {
            assert!((square.sqrt() - length).abs() < 1e-5, "{squares:?}");
        }
    }

    #[test]
    fn what_occurs_once_is_left_out() {
        let texts = ["alpha beta", "alpha gamma", "beta"].map(str::to_owned);
        let vectors = vectors(&texts);
        let kept = frequent(&vectors, &[0, 1]);
        assert!(!kept[0].is_empty() && kept[0].len() < vectors[0].len());
        // "beta" is in the first row and in one that is not fitted on.
        assert!(frequent(&vectors, &[0, 1, 2])[0].len() > kept[0].len());
    }
}
