//! Text as the n-grams see it.

/// Longer texts keep their first and last half of this many characters: the question of a
/// few-shot prompt stands at the end, its task at the beginning.
pub const MAX_CHARS: usize = 16_384;

/// Lower case, white space folded to single spaces, a space before the first and after the last
/// word. `folded` is overwritten; it stays empty if there is no word.
pub fn fold(text: &str, folded: &mut Vec<u32>) {
    folded.clear();
    if text.len() <= MAX_CHARS {
        fold_part(text, folded);
    } else {
        let half = MAX_CHARS / 2;
        let head = text.char_indices().nth(half).map_or(text.len(), |(at, _)| at);
        let tail = text.char_indices().rev().nth(half - 1).map_or(0, |(at, _)| at);
        fold_part(&text[..head], folded);
        fold_part(&text[tail.max(head)..], folded);
    }
    match folded.last() {
        None => {}
        Some(&last) if last == u32::from(b' ') && folded.len() == 1 => folded.clear(),
        Some(&last) if last == u32::from(b' ') => {}
        Some(_) => folded.push(u32::from(b' ')),
    }
}

fn fold_part(text: &str, folded: &mut Vec<u32>) {
    let space = u32::from(b' ');
    if folded.last() != Some(&space) {
        folded.push(space);
    }
    for character in text.chars() {
        if character.is_ascii() {
            if character.is_ascii_whitespace() {
                if folded.last() != Some(&space) {
                    folded.push(space);
                }
            } else {
                folded.push(u32::from(character.to_ascii_lowercase()));
            }
        } else if character.is_whitespace() {
            if folded.last() != Some(&space) {
                folded.push(space);
            }
        } else {
            folded.extend(character.to_lowercase().map(u32::from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut out = Vec::new();
        fold(text, &mut out);
        out.iter().filter_map(|&point| char::from_u32(point)).collect()
    }

    #[test]
    fn case_and_white_space_are_folded() {
        assert_eq!(folded("  Ein\tGROSSES\n\nÄpfel "), " ein grosses äpfel ");
        assert_eq!(folded(" \n "), "");
        assert_eq!(folded(""), "");
    }

    #[test]
    fn a_long_text_keeps_both_ends() {
        let text = format!("begin {} end", "x".repeat(3 * MAX_CHARS));
        let folded = folded(&text);
        assert!(folded.starts_with(" begin x") && folded.ends_with("x end "));
        assert!(folded.chars().count() <= MAX_CHARS + 3);
    }
}
