//! Texts that are empty, long or strange.

use router_encoder::{EmbedOptions, Encoder, Window};

use crate::{copy_of_tiny, cosine, largest_gap, tiny};

fn embed(encoder: &Encoder, text: &str, max_tokens: usize, window: Window) -> Vec<f32> {
    encoder.embed(&[text], &EmbedOptions { max_tokens, window }).unwrap()
}

/// Words of one token each.
fn words(n: usize, word: &str) -> String {
    vec![word; n].join(" ")
}

#[test]
fn the_window_says_which_tokens_of_a_long_text_are_read() {
    let encoder = tiny();
    let text = format!("{} {} {}", words(10, "the"), words(40, "of"), words(10, "step"));
    let same = |window, max_tokens, as_text: &str| {
        let found = embed(&encoder, &text, max_tokens, window);
        let expected = embed(&encoder, as_text, 64, Window::Head);
        let gap = largest_gap(&found, &expected);
        assert!(gap < 1e-6, "{window:?}: {gap}");
    };
    same(Window::Head, 12, &words(10, "the"));
    same(Window::Tail, 12, &words(10, "step"));
    same(Window::Ends, 22, &format!("{} {}", words(10, "the"), words(10, "step")));
    // An odd token belongs to the head.
    same(Window::Ends, 7, &format!("{} {}", words(3, "the"), words(2, "step")));
    // What fits is read as it is, whatever the window.
    for window in [Window::Head, Window::Tail, Window::Ends, Window::All] {
        same(window, 62, &text);
    }
}

#[test]
fn all_windows_are_averaged_over_their_tokens() {
    let encoder = tiny();
    // Windows of 10, 10 and 4 words: 12, 12 and 6 tokens.
    let text = format!("{} {} {}", words(10, "the"), words(10, "of"), words(4, "step"));
    let found = embed(&encoder, &text, 12, Window::All);
    // Without normalization the mean of a sequence times its tokens is their sum.
    let folder = copy_of_tiny();
    std::fs::write(
        folder.path().join("modules.json"),
        r#"[{"path": "", "type": "sentence_transformers.models.Transformer"}]"#,
    )
    .unwrap();
    let raw = Encoder::open(folder.path().to_str().unwrap()).unwrap();
    let mut sum = vec![0.0; raw.n_dimensions()];
    for (n, word) in [(10, "the"), (10, "of"), (4, "step")] {
        let part = embed(&raw, &words(n, word), 12, Window::Head);
        sum.iter_mut().zip(part).for_each(|(sum, value)| *sum += (n + 2) as f32 * value);
    }
    assert!((cosine(&found, &sum) - 1.0).abs() < 1e-9);
    let mean = embed(&raw, &text, 12, Window::All);
    let gap = mean.iter().zip(&sum).map(|(a, b)| (30.0 * a - b).abs()).fold(0.0, f32::max);
    assert!(gap < 1e-4, "{gap}");
}

#[test]
fn any_text_has_an_embedding_of_length_one() {
    let encoder = tiny();
    let long = "東京 step\n".repeat(20_000);
    let mixed = format!("{}{}", "\u{0}\u{feff}\u{202e}", "🙂".repeat(1000));
    let texts = ["", " ", "\u{0}", "[SEP][CLS]", "e\u{301}", &long, &mixed];
    for window in [Window::Head, Window::Tail, Window::Ends, Window::All] {
        let options = EmbedOptions { max_tokens: 32, window };
        let all = encoder.embed(&texts, &options).unwrap();
        for (row, text) in all.chunks_exact(encoder.n_dimensions()).zip(texts) {
            let length: f32 = row.iter().map(|value| value * value).sum();
            let start: String = text.chars().take(9).collect();
            assert!((length - 1.0).abs() < 1e-5, "{start:?} {window:?} {length}");
        }
    }
    let none: [&str; 0] = [];
    assert!(encoder.embed(&none, &EmbedOptions::default()).unwrap().is_empty());
}

#[test]
fn case_and_accents_go_as_the_vocabulary_says() {
    let encoder = tiny();
    let of = |text: &str| embed(&encoder, text, 64, Window::Head);
    assert!(of("What IS the Café") == of("what is the cafe"));
    let folder = copy_of_tiny();
    let config = r#"{"do_lower_case": false}"#;
    std::fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
    let cased = Encoder::open(folder.path().to_str().unwrap()).unwrap();
    assert!(embed(&cased, "THE", 64, Window::Head) != embed(&cased, "the", 64, Window::Head));
}
