use super::*;
use crate::predictor::{Linear, LinearParts, Predictor, Scratch};
use crate::request::RequestView;
use crate::testing::{random_bag_parts, random_linear_parts};

fn with_bag() -> LinearParts {
    let mut parts = random_linear_parts(3, 2, 4);
    parts.bag = Some(random_bag_parts(&parts, 5, 8));
    parts
}

#[test]
fn a_bag_adds_tanh_of_its_sums_times_its_weights() {
    let view = RequestView::from_text("one two");
    let mut parts = with_bag();
    parts.task_effects.clear();
    let alone = LinearParts { bag: None, ..parts.clone() };
    let bag = parts.bag.as_mut().unwrap();
    // Every n-gram has the same embedding, so a block's sum is that times Σ t f / ‖t f‖.
    bag.embeddings.fill(0);
    bag.embeddings.chunks_exact_mut(5).for_each(|row| row[2] = 100);
    bag.scales.fill(0.002);
    bag.surface_weights.fill(0.0);
    bag.hidden_bias = vec![0.0, 0.0, -0.3, 0.0, 0.5];
    // `one`, `two` and their pair; 7 + 6 + 5 runs of 3, 4 and 5 in ` one two `, each once.
    let sums = 3f64.sqrt() + 18f64.sqrt();
    let units = [0.0, 0.0, (0.2 * sums - 0.3).tanh(), 0.0, 0.5f64.tanh()];
    let width = parts.width();
    let bag = parts.bag.clone().unwrap();
    let expected = |arm: usize| {
        let weight = |unit: usize| f64::from(bag.weights[unit * width + arm]);
        f64::from(bag.bias[arm]) + (0..5).map(|unit| units[unit] * weight(unit)).sum::<f64>()
    };
    let log_cost = |arm: usize| {
        let weight = |unit: usize| f64::from(bag.cost_weights[unit * 3 + arm]);
        f64::from(bag.cost_bias[arm]) + (0..5).map(|unit| units[unit] * weight(unit)).sum::<f64>()
    };
    let mut scratch = Scratch::default();
    let before = Linear::new(alone).unwrap().predict(&view, &mut scratch);
    let after = Linear::new(parts).unwrap().predict(&view, &mut scratch);
    for arm in 0..3 {
        let added = after.score[arm] - before.score[arm];
        assert!((added - expected(arm)).abs() < 1e-6, "{arm}: {added} {}", expected(arm));
        let factor = after.cost[arm].unwrap() / before.cost[arm].unwrap();
        assert!((factor.ln() - log_cost(arm)).abs() < 1e-6, "{arm}: {factor}");
    }
}

#[test]
fn the_parts_of_a_score_include_the_bag_and_add_up() {
    let linear = Linear::new(with_bag()).unwrap();
    let view = RequestView::from_text("To be or not to be: 12 + 30?");
    let mut scratch = Scratch::default();
    let parts = Predictor::parts(&linear, &view, &mut scratch);
    assert!(parts.iter().any(|part| part.name == "network" && part.adds[0].abs() > 1e-6));
    let prediction = linear.predict(&view, &mut scratch);
    for (arm, score) in prediction.score.iter().enumerate() {
        let sum: f64 = parts.iter().map(|part| part.adds[arm]).sum();
        assert!((sum - score).abs() < 1e-5, "{sum} {score}");
    }
}

#[test]
fn rounding_to_bytes_is_off_by_half_a_unit_at_most() {
    let rows = [0.3f32, -1.0, 0.5, 0.0, 0.0, 0.0, 1e-3, 2e-3, -7e-4];
    let (bytes, scales) = BagParts::quantize(&rows, 3);
    assert_eq!(bytes[1], -127);
    for (i, number) in rows.iter().enumerate() {
        let scale = scales[i / 3];
        assert!((f32::from(bytes[i]) * scale - number).abs() <= 0.5001 * scale, "{i}");
    }
}

#[test]
fn misshapen_infinite_or_wide_bags_are_refused() {
    let refused = |edit: &dyn Fn(&mut BagParts)| {
        let mut parts = with_bag();
        edit(parts.bag.as_mut().unwrap());
        Linear::new(parts).unwrap_err().to_string()
    };
    assert!(refused(&|bag| bag.hidden = 65).contains("in [1, 64], got 65"));
    let short = refused(&|bag| bag.weights.truncate(29));
    assert_eq!(short, "bag weights must have 30 numbers, got 29");
    let costs = refused(&|bag| bag.cost_weights.truncate(14));
    assert_eq!(costs, "bag cost_weights must have 15 numbers, got 14");
    let infinite = refused(&|bag| bag.scales[2] = f32::INFINITY);
    assert_eq!(infinite, "bag scales must be finite, got NaN or infinity at 2");
    assert!(refused(&|bag| bag.embeddings.truncate(9)).starts_with("bag embeddings must have"));
}
