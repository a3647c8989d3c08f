//! N-grams of folded text, hashed into buckets.

/// One round of a multiplicative hash, after Firefox's `FxHash`.
pub(super) fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// The upper bits of a hash, as one of `n` buckets; `n` is a power of two up to 2^16.
#[expect(clippy::cast_possible_truncation, reason = "both are below 2^17")]
pub(super) fn bucket(hash: u64, n: usize) -> u32 {
    // The last multiplication carries into the upper bits only.
    ((hash >> 48) as u32) & (n as u32 - 1)
}

/// Calls `visit` with the bucket of every word and every pair of neighbouring words.
///
/// A word is a run of letters, digits and underscores.
pub fn words(folded: &[u32], n_buckets: usize, mut visit: impl FnMut(u32)) {
    let mut previous = None;
    let mut word = None;
    for &point in folded {
        if is_word(point) {
            word = Some(mix(word.unwrap_or(1), u64::from(point)));
        } else if let Some(hash) = word.take() {
            finish_word(hash, &mut previous, n_buckets, &mut visit);
        }
    }
    if let Some(hash) = word {
        finish_word(hash, &mut previous, n_buckets, &mut visit);
    }
}

fn finish_word(hash: u64, previous: &mut Option<u64>, n: usize, visit: &mut impl FnMut(u32)) {
    visit(bucket(mix(hash, 2), n));
    if let Some(previous) = previous {
        visit(bucket(mix(*previous, hash), n));
    }
    *previous = Some(hash);
}

fn is_word(point: u32) -> bool {
    match u8::try_from(point) {
        Ok(byte) if byte.is_ascii() => byte.is_ascii_alphanumeric() || byte == b'_',
        _ => char::from_u32(point).is_some_and(char::is_alphanumeric),
    }
}

/// Calls `visit` with the bucket of every run of 3, 4 and 5 characters, across words.
pub fn characters(folded: &[u32], mut visit: impl FnMut(u32)) {
    let n = super::CHAR_BUCKETS;
    for start in 0..folded.len().saturating_sub(2) {
        let run = &folded[start..folded.len().min(start + 5)];
        let mut hash = mix(mix(3, u64::from(run[0])), u64::from(run[1]));
        for &point in &run[2..] {
            hash = mix(hash, u64::from(point));
            visit(bucket(hash, n));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::WORD_BUCKETS;

    fn points(text: &str) -> Vec<u32> {
        text.chars().map(u32::from).collect()
    }

    fn count(text: &str) -> (usize, usize) {
        let (mut n_words, mut n_characters) = (0, 0);
        words(&points(text), WORD_BUCKETS, |_| n_words += 1);
        characters(&points(text), |_| n_characters += 1);
        (n_words, n_characters)
    }

    #[test]
    fn counts_are_those_of_the_definition() {
        // Three words and two pairs; 13 points have 11 + 10 + 9 runs of 3, 4 and 5.
        assert_eq!(count(" one two 33x "), (5, 30));
        assert_eq!(count(""), (0, 0));
        assert_eq!(count("ab"), (1, 0));
    }

    #[test]
    fn buckets_are_evenly_used() {
        let mut hits = vec![0u32; 256];
        for i in 0..25_600u32 {
            words(&points(&format!("w{i}")), 256, |bucket| hits[bucket as usize] += 1);
        }
        // Binomial(25600, 1/256): mean 100, standard deviation 10.
        assert!(hits.iter().all(|&n| (40..=160).contains(&n)), "{hits:?}");
    }
}
