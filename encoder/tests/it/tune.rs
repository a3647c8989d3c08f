//! Tuning changes an encoder to the better, and a tuned one is written and read.

use router_encoder::{EmbedOptions, Encoder, Example, Sets, TuneParams, Window, tune};

use crate::{largest_gap, tiny, tiny_folder};

const OPTIONS: EmbedOptions = EmbedOptions { max_tokens: 24, window: Window::Head };

/// Texts of three classes, told apart by whether `a` stands before or after `of`, or is not there;
/// those with `step` are harder.
fn texts(n: usize) -> Vec<(String, usize, f32)> {
    let filler = ["what is", "pour into", "the is", "translate", "return the", "is the"];
    let text = |at: usize| {
        let (before, after) = (filler[at % 6], filler[at / 6 % 6]);
        let is_hard = at / 3 % 2 == 1;
        let step = if is_hard { "step" } else { "the" };
        let class = at % 3;
        let middle = [format!("a {before} of"), format!("of {before} a"), format!("of {before}")];
        (format!("{step} {after} {} {after}", middle[class]), class, f32::from(u8::from(is_hard)))
    };
    (0..n).map(text).collect()
}

fn examples(texts: &[(String, usize, f32)]) -> Vec<Example<'_>> {
    texts
        .iter()
        .map(|(text, class, complexity)| Example {
            text,
            class: Some(*class),
            complexity: Some(*complexity),
            weight: 1.0,
        })
        .collect()
}

fn params() -> TuneParams {
    TuneParams {
        max_epochs: 6,
        patience: 6,
        learning_rate: 5e-3,
        batch: 16,
        ..TuneParams::default()
    }
}

fn accuracy(
    encoder: &Encoder,
    heads: &router_encoder::Heads,
    texts: &[(String, usize, f32)],
) -> f64 {
    let names: Vec<&String> = texts.iter().map(|(text, ..)| text).collect();
    let embeddings = encoder.embed(&names, &OPTIONS).unwrap();
    let is_right = |(row, (_, class, hard)): (&[f32], &(String, usize, f32))| {
        let (logits, complexity) = heads.of(row);
        let best = (0..3).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        f64::from(u8::from(best == *class && (complexity > 0.5) == (*hard > 0.5)))
    };
    let rows = embeddings.chunks_exact(encoder.n_dimensions());
    rows.zip(texts).map(is_right).sum::<f64>() / texts.len() as f64
}

#[test]
fn a_tuned_encoder_tells_apart_what_it_could_not_and_is_read_as_it_was_written() {
    let encoder = tiny();
    let all = texts(216);
    let (held, fitted) = all.split_at(54);
    let (fitted, held_examples) = (examples(fitted), examples(held));
    let sets = Sets { fitted: &fitted, held: &held_examples, n_classes: 3 };
    let tuned = tune(&encoder, &sets, &OPTIONS, &params(), &|_, _| {}).unwrap();
    let first = &tuned.curve[0];
    let best = tuned.curve.iter().map(|epoch| epoch.held).fold(f64::INFINITY, f64::min);
    assert!(best < 0.7 * first.held, "{:?}", tuned.curve);
    let share = accuracy(&tuned.encoder, &tuned.heads, held);
    assert!(share > 0.9, "{share} {:?}", tuned.curve);
    let folder = tempfile::tempdir().unwrap();
    tuned.encoder.save(folder.path()).unwrap();
    let read = Encoder::open(folder.path().to_str().unwrap()).unwrap();
    let text = ["translate a step of the"];
    let of = |encoder: &Encoder| encoder.embed(&text, &OPTIONS).unwrap();
    assert!(of(&read) == of(&tuned.encoder), "what was written is what was tuned");
    assert!(largest_gap(&of(&read), &of(&encoder)) > 1e-3, "tuning changed something");
    assert!((accuracy(&read, &tuned.heads, held) - share).abs() < 1e-12);
    let error = encoder.save(&tiny_folder()).unwrap_err().to_string();
    assert!(error.starts_with("the folder must be another than the encoder's own"), "{error}");
}

#[test]
fn the_same_seed_tunes_the_same_on_any_number_of_threads() {
    let all = texts(60);
    let (held, fitted) = all.split_at(20);
    let (fitted, held) = (examples(fitted), examples(held));
    let params = TuneParams { max_epochs: 2, ..params() };
    let run = |n: usize, params: &TuneParams| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let sets = Sets { fitted: &fitted, held: &held, n_classes: 3 };
        pool.install(|| tune(&tiny(), &sets, &OPTIONS, params, &|_, _| {}).unwrap())
    };
    let (one, three) = (run(1, &params), run(3, &params));
    assert_eq!((&one.heads, &one.curve), (&three.heads, &three.curve));
    let other = run(1, &TuneParams { seed: 1, ..params });
    assert_ne!(other.curve, one.curve);
}

#[test]
fn what_cannot_be_tuned_on_is_named() {
    let all = texts(4);
    let good = examples(&all);
    let error = |fitted: &[Example<'_>], n_classes: usize, params: &TuneParams| {
        let sets = Sets { fitted, held: &good, n_classes };
        tune(&tiny(), &sets, &OPTIONS, params, &|_, _| {}).unwrap_err().to_string()
    };
    let params = params();
    let spoiled = |change: &dyn Fn(&mut Example<'_>)| {
        let mut examples = good.clone();
        change(&mut examples[1]);
        error(&examples, 3, &params)
    };
    assert_eq!(error(&[], 3, &params), "number of texts to fit must be at least 1, got 0");
    assert_eq!(error(&good, 2, &params), "class must be below the number of classes, got 2");
    let found = spoiled(&|example| example.complexity = Some(1.5));
    assert_eq!(found, "complexity must be in [0, 1], got 1.5");
    let found = spoiled(&|example| example.weight = 0.0);
    assert_eq!(found, "weight must be above 0 and finite, got 0");
    let wild = TuneParams { learning_rate: 0.5, ..params };
    assert_eq!(error(&good, 3, &wild), "learning_rate must be in (0, 0.1], got 0.5");
}
