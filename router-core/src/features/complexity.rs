//! How demanding a request looks, from its surface alone; nothing is fitted.

use super::surface::{SURFACE_NAMES, features};
use crate::request::RequestView;

/// Surface feature, the values at which it says nothing and no more, and its weight; weights sum
/// to 1.
const SIGNALS: [(&str, f64, f64, f64); 7] = [
    // Size: up to 1,000 words.
    ("length_words", 0.0, 6.9, 0.3),
    // Technicality: words of 4 to 8 characters.
    ("mean_word_length", 4.0, 8.0, 0.1),
    // Code: up to a tenth of all characters, and up to four lines that begin like code.
    ("code_share", 0.0, 0.1, 0.15),
    ("code_marks", 0.0, 1.6, 0.1),
    // Mathematics: up to a twentieth of all characters.
    ("math_share", 0.0, 0.05, 0.15),
    // Up to ten tools, and from one to ten turns.
    ("tools", 0.0, 2.4, 0.1),
    ("turns", 0.7, 2.4, 0.1),
];

/// A score in `[0, 1]`: `Σ weight · clip((feature − none) / (full − none))` over size,
/// technicality, code, mathematics, tools and turns.
///
/// The weights are set by hand. A fitted predictor is better; this needs no data.
pub fn surface_complexity(view: &RequestView<'_>) -> f64 {
    let values = features(view);
    let part = |(name, none, full, weight): (&str, f64, f64, f64)| {
        let at = SURFACE_NAMES.iter().position(|known| *known == name);
        at.map_or(0.0, |at| {
            weight * ((f64::from(values[at]) - none) / (full - none)).clamp(0.0, 1.0)
        })
    };
    SIGNALS.into_iter().map(part).sum::<f64>().clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> f64 {
        surface_complexity(&RequestView::from_text(text))
    }

    #[test]
    fn every_signal_is_a_surface_feature_and_weights_sum_to_one() {
        assert!(SIGNALS.iter().all(|(name, ..)| SURFACE_NAMES.contains(name)));
        let sum: f64 = SIGNALS.iter().map(|(.., weight)| weight).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn size_code_mathematics_tools_and_turns_raise_it() {
        let plain = of("tell me of the sea");
        assert!((0.0..0.1).contains(&plain), "{plain}");
        assert!(of(&"tell me of the sea ".repeat(50)) > plain);
        assert!(of("```\ndef f(x):\n    return g(x)[0]\n```") > plain);
        assert!(of("x^2 + 3*x = 4") > plain);
        let base = RequestView::from_text("tell me of the sea");
        assert!(surface_complexity(&RequestView { n_tools: 3, ..base }) > plain);
        assert!(surface_complexity(&RequestView { n_messages: 9, ..base }) > plain);
        let all = "∑ f(x) = {a^2/b}; ".repeat(10_000);
        assert!(of(&all) <= 1.0 && of("").abs() < 1e-12);
    }
}
