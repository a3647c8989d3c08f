//! The mean quality of the most similar requests: cosine over hashed words, k = 100.

use std::collections::BTreeMap;

use rayon::prelude::*;
use router_core::RequestRow;
use router_core::features::{Block, FeatureScratch, raw_features, term_weight};

use crate::baseline::expected;
use crate::panel::Panel;
use crate::split::{Split, Splits};
use crate::sweep::Expected;

/// Neighbors.
const K: usize = 100;
/// Fitting rows beyond this many are not looked at, to bound the time.
const MAX_FITTED: usize = 20_000;

/// A text as `(bucket, 1 + ln count)`, words and tools only: character grams would multiply the
/// time and add nothing to a neighborhood.
type Words = Vec<(u32, f32)>;

/// Plain mean over the `K` nearest fitting rows; the global mean for a text without words.
pub fn knn(panel: &Panel, splits: &Splits<'_>) -> Expected {
    let judged = words(&panel.requests);
    let other = (!std::ptr::eq(panel, splits.source)).then(|| words(&splits.source.requests));
    let fitted = other.as_ref().unwrap_or(&judged);
    expected(panel, splits, |part: &Split, means: &[(f64, f64)]| {
        let rows = &part.fit[..part.fit.len().min(MAX_FITTED)];
        let index = Index::new(rows.iter().map(|row| &fitted[*row]));
        part.judge
            .par_iter()
            .map_init(Vec::new, |similarity, row| {
                let near = index.nearest(&judged[*row], K, similarity);
                let mean = |(j, mean): (usize, &(f64, f64))| match near.len() {
                    0 => mean.0,
                    n => {
                        let q = |near: &u32| splits.source.q(rows[*near as usize], j);
                        near.iter().map(q).sum::<f64>() / n as f64
                    }
                };
                means.iter().enumerate().map(mean).collect()
            })
            .collect()
    })
}

fn words(requests: &[RequestRow]) -> Vec<Words> {
    requests
        .par_iter()
        .map_init(FeatureScratch::default, |scratch, request| {
            let grams = raw_features(&request.view(), scratch).grams;
            let is_word = |bucket: u32| match Block::of(bucket) {
                Block::Words | Block::Tools => true,
                Block::Characters => false,
            };
            grams
                .into_iter()
                .filter(|(bucket, _)| is_word(*bucket))
                .map(|(bucket, count)| (bucket, term_weight(count)))
                .collect()
        })
        .collect()
}

/// Texts by the words in them.
struct Index {
    n: usize,
    /// Bucket → its squared idf, and the texts it is in with their unit-length weights.
    postings: BTreeMap<u32, (f32, Vec<(u32, f32)>)>,
}

impl Index {
    fn new<'a>(texts: impl Iterator<Item = &'a Words>) -> Self {
        let mut postings: BTreeMap<u32, (f32, Vec<(u32, f32)>)> = BTreeMap::new();
        let mut n = 0u32;
        for text in texts {
            for (bucket, weight) in text {
                postings.entry(*bucket).or_default().1.push((n, *weight));
            }
            n += 1;
        }
        let mut norms = vec![0.0f32; n as usize];
        for (idf, texts) in postings.values_mut() {
            *idf = (((1 + n) as f32) / ((1 + texts.len()) as f32)).ln() + 1.0;
            for (text, weight) in texts.iter() {
                norms[*text as usize] += (*idf * weight).powi(2);
            }
            *idf *= *idf;
        }
        for (_, texts) in postings.values_mut() {
            for (text, weight) in texts.iter_mut() {
                *weight /= norms[*text as usize].sqrt();
            }
        }
        Self { n: n as usize, postings }
    }

    /// The `k` most similar texts that share a word at all, ties to the earlier.
    fn nearest(&self, text: &Words, k: usize, similarity: &mut Vec<f32>) -> Vec<u32> {
        similarity.clear();
        similarity.resize(self.n, 0.0);
        for (bucket, weight) in text {
            if let Some((idf2, texts)) = self.postings.get(bucket) {
                let query = weight * idf2;
                for (other, weight) in texts {
                    similarity[*other as usize] += query * weight;
                }
            }
        }
        let mut found: Vec<u32> =
            (0u32..).zip(similarity.iter()).filter(|(_, s)| **s > 0.0).map(|(i, _)| i).collect();
        let closer = |a: &u32, b: &u32| {
            similarity[*b as usize].total_cmp(&similarity[*a as usize]).then(a.cmp(b))
        };
        if found.len() > k {
            found.select_nth_unstable_by(k - 1, closer);
            found.truncate(k);
        }
        // Sums must not depend on how the selection shuffled.
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_text_shares_the_rare_words() {
        let texts = ["the red fox", "the blue whale", "the red apple"];
        let rows: Vec<RequestRow> = texts
            .iter()
            .map(|text| RequestRow { prompt: (*text).to_owned(), ..RequestRow::default() })
            .collect();
        let words = words(&rows);
        let index = Index::new(words.iter());
        let mut buffer = Vec::new();
        assert_eq!(index.nearest(&words[1], 1, &mut buffer), [1]);
        assert_eq!(index.nearest(&words[0], 2, &mut buffer), [0, 2]);
        assert!(index.nearest(&Vec::new(), 2, &mut buffer).is_empty());
    }
}
