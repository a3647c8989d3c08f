//! The bandit's parts against the reference values of `cb/` in the folder of parity data.

#![expect(
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "says that it is skipped, and what it measured; small counts in JSON and in columns"
)]

use std::path::PathBuf;

use polars::prelude::{DataFrame, DataType, ParquetReader, SerReader};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};
use router_core::bandit::{
    Learner, LearnerParams, LinearPosterior, Memory, Pacer, PacerParams, log_normalized,
};
use router_core::exploration::{self, Floor};
use serde_json::Value;

fn folder() -> Option<PathBuf> {
    let given = |name| std::env::var_os(name).map(PathBuf::from);
    let shared = || {
        let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
        given("SEXTANT_SHARED").unwrap_or_else(beside).join("parity")
    };
    let folder = given("SEXTANT_PARITY_DIR").unwrap_or_else(shared).join("cb");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("SEXTANT_SHARED").is_none(), "no parity data in {}", folder.display());
    eprintln!("skipped: no parity data in {}", folder.display());
    None
}

fn expected() -> Option<Value> {
    let text = std::fs::read_to_string(folder()?.join("expected.json")).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

/// Whether two vectors agree to an absolute tolerance.
fn close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= tolerance, "{what}: {found:?}, expected {expected:?}");
    }
}

/// The number after `name` in a key such as `squarecb_gamma50_minprob_eps0.2`.
fn after(key: &str, name: &str) -> f64 {
    let (_, rest) = key.split_once(name).unwrap();
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
    rest[..end].parse().unwrap()
}

fn scheme(key: &str, costs: &[f64]) -> Vec<f64> {
    if key.starts_with("eps_greedy_") {
        exploration::epsilon_greedy(costs, after(key, "eps_greedy_"))
    } else if key.starts_with("mix_uniform_") && key.ends_with("_of_greedy") {
        exploration::mix_uniform(&exploration::greedy(costs), after(key, "mix_uniform_"))
    } else if key.starts_with("softmax_") {
        exploration::softmax(costs, after(key, "lambda"))
    } else if key.starts_with("squarecb_") && key.contains("_minprob_") {
        let pmf = exploration::squarecb(costs, after(key, "gamma"));
        exploration::floor(&pmf, after(key, "eps"), Floor::All)
    } else if key.starts_with("squarecb_") {
        exploration::squarecb(costs, after(key, "gamma"))
    } else if key.starts_with("fastcb_") {
        exploration::fastcb(costs, after(key, "gamma"))
    } else if key.starts_with("igw_normalised_") {
        exploration::inverse_gap(costs, after(key, "gamma"))
    } else if key.starts_with("eppo_") {
        exploration::inverse_gap_with_floor(costs, after(key, "gamma"), after(key, "floor"))
    } else {
        unreachable!("unknown scheme {key}")
    }
}

#[test]
fn exploration_distributions_are_the_references() {
    let Some(expected) = expected() else { return };
    for case in expected["exploration_pmfs"].as_array().into_iter().flatten() {
        let costs = numbers(&case["costs"]);
        for (key, pmf) in case.as_object().unwrap().iter().filter(|(key, _)| *key != "costs") {
            close(&scheme(key, &costs), &numbers(pmf), 1e-9, key);
        }
    }
}

#[test]
fn published_unit_tests_of_exploration_hold() {
    let Some(expected) = expected() else { return };
    for (key, pmf) in expected["vw_explore_unit_tests"].as_object().into_iter().flatten() {
        let (name, rest) = key.split_once('(').unwrap();
        let list = |text: &str| -> Vec<f64> {
            let (_, text) = text.split_once('[').unwrap();
            text.split(']').next().unwrap().split(',').map(|v| v.parse().unwrap()).collect()
        };
        let first = || rest.split([',', ')']).next().unwrap().trim_start_matches("lambda=");
        let (found, tolerance) = match name {
            "eps_greedy" => {
                let n = after(rest, "n=") as usize;
                let top = after(rest, "top=") as usize;
                let costs: Vec<f64> =
                    (0..n).map(|arm| if arm == top { 0.0 } else { 1.0 }).collect();
                (exploration::epsilon_greedy(&costs, first().parse().unwrap()), 1e-6)
            }
            // The reference maximizes scores.
            "softmax" => {
                let costs: Vec<f64> = list(rest).iter().map(|score| -score).collect();
                (exploration::softmax(&costs, first().parse().unwrap()), 1e-3)
            }
            "bag" => (exploration::bag(&list(key)), 1e-6),
            "enforce_min" => {
                let floor = if rest.contains("nozeros") { Floor::Support } else { Floor::All };
                (exploration::floor(&list(rest), first().parse().unwrap(), floor), 1e-6)
            }
            _ => unreachable!("unknown test {key}"),
        };
        close(&found, &numbers(pmf), tolerance, key);
    }
}

/// Columns `{name}0`, `{name}1`, … row by row.
fn columns(frame: &DataFrame, name: &str) -> Vec<Vec<f64>> {
    let columns: Vec<Vec<f64>> = (0..)
        .map_while(|i| frame.column(&format!("{name}{i}")).ok())
        .map(|column| {
            let column = column.cast(&DataType::Float64).unwrap();
            column.f64().unwrap().into_no_null_iter().collect()
        })
        .collect();
    (0..frame.height()).map(|row| columns.iter().map(|column| column[row]).collect()).collect()
}

struct Stream {
    contexts: Vec<Vec<f64>>,
    rewards: Vec<Vec<f64>>,
    truth: Vec<Vec<f64>>,
    prices: Vec<Vec<f64>>,
    logged: Vec<usize>,
}

fn stream() -> Option<Stream> {
    let file = std::fs::File::open(folder()?.join("router_stream_20k.parquet")).unwrap();
    let frame = ParquetReader::new(file).finish().unwrap();
    let logged = frame.column("log_action").unwrap().cast(&DataType::Float64).unwrap();
    Some(Stream {
        contexts: columns(&frame, "c"),
        rewards: columns(&frame, "r"),
        truth: columns(&frame, "q"),
        prices: columns(&frame, "cost"),
        logged: logged.f64().unwrap().into_no_null_iter().map(|arm| arm as usize).collect(),
    })
}

/// `first..last`, both included.
fn rows(text: &Value) -> std::ops::RangeInclusive<usize> {
    let text = text.as_str().unwrap().split(' ').next().unwrap();
    let (first, last) = text.split_once("..").unwrap();
    first.parse().unwrap()..=last.parse().unwrap()
}

fn fitted(stream: &Stream, rows: impl Iterator<Item = usize>, ridge: f64) -> Vec<LinearPosterior> {
    let (d, n_arms) = (stream.contexts[0].len(), stream.rewards[0].len());
    let arm = LinearPosterior::new(d, ridge, Memory::PERFECT).unwrap();
    let mut arms = vec![arm; n_arms];
    for row in rows {
        let arm = stream.logged[row];
        arms[arm].update(&stream.contexts[row], stream.rewards[row][arm], row as u64 + 1).unwrap();
    }
    arms
}

#[test]
fn ridge_posteriors_are_the_references() {
    let (Some(expected), Some(stream)) = (expected(), stream()) else { return };
    for (key, case) in expected.as_object().unwrap() {
        let alpha = match key.split('_').next().unwrap() {
            "LinUCB" => after(key, "alpha"),
            "LinGreedy" => 0.0,
            _ => continue,
        };
        let arms = fitted(&stream, rows(&case["train_rows"]), after(key, "l2="));
        for (i, row) in rows(&case["test_rows"]).enumerate() {
            let x = &stream.contexts[row];
            let score = |arm: &LinearPosterior| arm.mean(x) + alpha * arm.variance(x).sqrt();
            let scores: Vec<f64> = arms.iter().map(score).collect();
            close(&scores, &numbers(&case["expectations"][i]), 1e-9, key);
            let best = exploration::greedy(&scores.iter().map(|s| -s).collect::<Vec<f64>>());
            let best = best.iter().position(|p| *p > 0.0);
            assert_eq!(best.map(|arm| arm as u64), case["argmax"][i].as_u64(), "{key}, row {row}");
        }
    }
    let arms = fitted(&stream, 0..5000, 1.0);
    if let Some(thetas) = expected["ridge_theta_after_5000"].as_array() {
        for (arm, theta) in arms.iter().zip(thetas) {
            close(arm.theta(), &numbers(theta), 1e-9, "theta");
        }
        let found: Vec<f64> = arms.iter().map(|arm| arm.log_determinant().unwrap()).collect();
        close(&found, &numbers(&expected["ridge_logdet_A"]), 1e-9, "log determinant");
    }
}

#[test]
fn the_pacer_is_the_reference() {
    let Some(expected) = expected() else { return };
    let case = &expected["budget_pacer_unit"];
    let number = |name: &str| case[name].as_f64().unwrap();
    let params =
        PacerParams { rate: number("lr"), smoothing: number("ema"), ..PacerParams::default() };
    let mut pacer = Pacer::new(number("target"), params).unwrap();
    for cost in numbers(&case["observed"]) {
        pacer.spend(cost).unwrap();
    }
    close(
        &[pacer.lambda(), pacer.average()],
        &[number("lambda"), number("cost_ema")],
        1e-12,
        "pacer",
    );
}

#[test]
fn paced_bandits_take_the_actions_of_the_reference() {
    let (Some(expected), Some(stream)) = (expected(), stream()) else { return };
    for case in expected["paced_linucb_traces"].as_array().into_iter().flatten() {
        let number = |name: &str| case[name].as_f64().unwrap();
        let params = PacerParams {
            rate: number("eta"),
            smoothing: number("ema"),
            max_price: number("lambda_max"),
        };
        let mut pacer = Pacer::new(number("B"), params).unwrap();
        let memory = Memory { gamma: number("gamma"), max_inflation: number("Vmax") };
        let (d, n_arms) = (stream.contexts[0].len() + 1, stream.rewards[0].len());
        let mut arms = vec![LinearPosterior::new(d, number("ridge"), memory).unwrap(); n_arms];
        let prices = &stream.prices[0];
        let low = prices.iter().copied().fold(f64::INFINITY, f64::min);
        let high = prices.iter().copied().fold(0.0, f64::max);
        let n = case["N"].as_u64().unwrap() as usize;
        let (mut actions, mut spent, mut earned) = (Vec::new(), 0.0, 0.0);
        for row in 0..n {
            let now = row as u64;
            let x: Vec<f64> = stream.contexts[row].iter().copied().chain([1.0]).collect();
            let all = vec![true; n_arms];
            let is_hard = case["hard_ceiling"].as_bool().unwrap();
            let eligible = if is_hard { pacer.ceiling(prices, &all) } else { all };
            let price = number("lambda_c") + pacer.lambda();
            let cost = |arm: usize| {
                if !eligible[arm] {
                    return f64::INFINITY;
                }
                let spread = number("alpha") * arms[arm].stale_variance(&x, now).sqrt();
                price * log_normalized(prices[arm], low, high) - arms[arm].mean(&x) - spread
            };
            let costs: Vec<f64> = (0..n_arms).map(cost).collect();
            let action = exploration::greedy(&costs).iter().position(|p| *p > 0.0).unwrap();
            arms[action].play(now + 1);
            arms[action].update(&x, stream.rewards[row][action], now + 1).unwrap();
            pacer.spend(prices[action]).unwrap();
            spent += prices[action];
            earned += stream.truth[row][action];
            actions.push(action);
            if let Some(lambda) = case["lambda_at"].get((row + 1).to_string()) {
                close(&[pacer.lambda()], &[lambda.as_f64().unwrap()], 1e-9, "lambda");
            }
        }
        let first: Vec<f64> = actions.iter().take(200).map(|arm| *arm as f64).collect();
        close(&first, &numbers(&case["first_200_actions"]), 0.0, "actions");
        let count = |arm: usize| actions.iter().filter(|action| **action == arm).count() as f64;
        let counts: Vec<f64> = (0..n_arms).map(count).collect();
        close(&counts, &numbers(&case["actions_hist"]), 0.0, "histogram");
        let means = [spent / n as f64, earned / n as f64];
        close(&means, &[number("mean_cost"), number("mean_true_reward")], 1e-9, "means");
    }
}

/// Seeds of the learner's draws.
const SEEDS: u64 = 10;

/// What the default learner earns on average over a stream, in expectation over its draws: mean
/// over seeds, and its standard error.
fn earned(contexts: &[Vec<f64>], rewards: &[Vec<f64>], truth: &[Vec<f64>]) -> (f64, f64) {
    let (d, n_arms) = (contexts[0].len() + 1, rewards[0].len());
    let run = |seed: u64| {
        let mut learner = Learner::new(n_arms, d, LearnerParams::default()).unwrap();
        let mut rng = Pcg64::seed_from_u64(seed);
        let (free, all) = (vec![0.0; n_arms], vec![true; n_arms]);
        let mut sum = 0.0;
        for ((context, rewards), truth) in contexts.iter().zip(rewards).zip(truth) {
            let x: Vec<f64> = context.iter().copied().chain([1.0]).collect();
            let pmf = learner.distribution(&x, &free, &all);
            sum += pmf.iter().zip(truth).map(|(p, q)| p * q).sum::<f64>();
            let mut u = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            let drawn = pmf.iter().position(|p| {
                u -= p;
                u < 0.0
            });
            let arm = drawn.unwrap_or(n_arms - 1);
            learner.play(arm);
            learner.learn(arm, &x, rewards[arm]).unwrap();
        }
        sum / contexts.len() as f64
    };
    let means: Vec<f64> = (0..SEEDS).map(run).collect();
    let n = means.len() as f64;
    let mean = means.iter().sum::<f64>() / n;
    let variance = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[test]
fn the_default_learner_earns_more_than_the_best_reference_on_the_router_stream() {
    let (Some(expected), Some(stream)) = (expected(), stream()) else { return };
    let references =
        expected["online_reference_router_stream_20k"].as_object().into_iter().flatten();
    let best = references
        .filter(|(name, _)| name.starts_with("vw "))
        .filter_map(|(_, value)| value["mean_true_reward"].as_f64())
        .fold(0.0, f64::max);
    let (mean, error) = earned(&stream.contexts, &stream.rewards, &stream.truth);
    println!("router stream: {mean:.4} ± {error:.4}, best reference {best:.4}");
    assert!(mean >= best, "{mean} ± {error}, best reference {best}");
}

#[test]
fn the_default_learner_earns_more_than_the_best_reference_on_the_multiclass_stream() {
    let (Some(expected), Some(folder)) = (expected(), folder()) else { return };
    let file = std::fs::File::open(folder.join("multiclass_20k.parquet")).unwrap();
    let frame = ParquetReader::new(file).finish().unwrap();
    let labels = frame.column("label").unwrap().cast(&DataType::Float64).unwrap();
    let labels: Vec<usize> =
        labels.f64().unwrap().into_no_null_iter().map(|label| label as usize).collect();
    let n_arms = labels.iter().copied().max().unwrap();
    let reward = |label: &usize| -> Vec<f64> {
        (1..=n_arms).map(|arm| f64::from(u8::from(arm == *label))).collect()
    };
    let rewards: Vec<Vec<f64>> = labels.iter().map(reward).collect();
    // Whoever is told the label plays another game.
    let references = expected["multiclass_progressive_loss"].as_object().into_iter().flatten();
    let lowest = references
        .filter(|(name, _)| !name.starts_with("supervised"))
        .filter_map(|(_, loss)| loss.as_f64())
        .fold(1.0, f64::min);
    let (mean, error) = earned(&columns(&frame, "x"), &rewards, &rewards);
    println!("multiclass stream: loss {:.4} ± {error:.4}, best reference {lowest:.4}", 1.0 - mean);
    assert!(1.0 - mean <= lowest, "loss {} ± {error}, best reference {lowest}", 1.0 - mean);
}
