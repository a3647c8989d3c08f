//! The embedding bag beside the linear heads: what each and both explain on rows they did not see.
//!
//! `cargo run --example bag -- logs.parquet [models=…] [test=4] [hidden=16] [weights.tasks=2] …`
//!
//! For each test fold of the column `fold`, all that is chosen is chosen on the next fold by fits
//! that saw neither; then both are judged on the test fold. `tune=1` judges on the next fold itself.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "results, and their time")]

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use datasets::{Dataset, Folds, ModelSelection};
use trainer::bag::{self, BagFit, BagParams, Columns, Lesson};
use trainer::config::Config;
use trainer::costs;
use trainer::heads::{self, Heads, mean, shared};
use trainer::problem::Problem;
use trainer::stack::{HeldOut, Sources, Stack, task_probabilities};

const OTHERS: [&str; 3] = ["models", "test", "tune"];

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let path = args.next().context("which logs?")?;
    let options: BTreeMap<String, String> = args
        .map(|arg| {
            let (key, value) = arg.split_once('=').context("options are key=value")?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect::<Result<_>>()?;
    let Dataset::Table(table) = datasets::open(&[path.into()])?.data else {
        anyhow::bail!("an outcome table is needed");
    };
    let models = options.get("models").map_or("*", String::as_str);
    let selection: ModelSelection = models.parse()?;
    let table = selection.select(&table)?;
    let problem = Problem::new(&Dataset::Table(table), Folds::Column)?;
    let params = params(&options)?;
    let tests: Vec<i32> = match options.get("test") {
        Some(fold) => vec![fold.parse()?],
        None => problem.folds(),
    };
    let is_tuning = options.contains_key("tune");
    let mut all = Vec::new();
    for test in tests {
        let figures = fold(&problem, &params, test, is_tuning);
        println!("fold {test}: {figures}");
        all.push(figures);
    }
    println!("mean  : {}", Figures::mean(&all));
    Ok(())
}

fn params(options: &BTreeMap<String, String>) -> Result<BagParams> {
    let mut params = serde_json::to_value(BagParams::default())?;
    for (key, value) in options.iter().filter(|(key, _)| !OTHERS.contains(&key.as_str())) {
        let pointer = format!("/{}", key.replace('.', "/"));
        let slot = params.pointer_mut(&pointer).with_context(|| format!("unknown option {key}"))?;
        *slot = serde_json::from_str(value).with_context(|| key.clone())?;
    }
    Ok(serde_json::from_value(params)?)
}

/// Both fits on some rows.
struct Fits {
    heads: Heads,
    bag: BagFit,
    seen: Vec<usize>,
    seconds: (f64, f64),
}

fn fit(problem: &Problem, params: &BagParams, keep: impl Fn(i32) -> bool) -> Fits {
    let seen: Vec<usize> =
        (0..problem.n_requests()).filter(|row| keep(problem.fold[*row])).collect();
    let linear = Config::default().fit_params();
    let started = Instant::now();
    let heads = heads::fit(problem, &seen, linear.vectorizer, &linear.ridge);
    let seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let taught = heads::teach(problem, &seen, linear.vectorizer, &linear.ridge);
    let lesson = Lesson { rows: &seen, taught: &taught, means: &heads.means };
    let bag = bag::fit(problem, &lesson, &heads.vectorizer, params);
    Fits { heads, bag, seen, seconds: (seconds, started.elapsed().as_secs_f64()) }
}

/// Deviations for some rows, `[rows * models]`: those of the linear heads with their task part, the
/// bag's, and the mean deviations of the task that the bag infers.
struct Predicted {
    rows: Vec<usize>,
    linear: Vec<f64>,
    bag: Vec<f64>,
    task: Vec<f64>,
    held: HeldOut,
    /// Share of the variance of log costs that surface features, and the bag, explain.
    costs: [f64; 2],
}

fn predict(problem: &Problem, fits: &Fits, fold: i32) -> Predicted {
    let rows: Vec<usize> =
        (0..problem.n_requests()).filter(|row| problem.fold[*row] == fold).collect();
    let width = fits.bag.columns.width();
    let outputs = fits.bag.predict(problem, &fits.heads.vectorizer, &rows);
    let m = problem.n_models();
    let bag = outputs
        .chunks_exact(width)
        .flat_map(|row| (0..m).map(|j| f64::from(row[Columns::model(j)])))
        .collect();
    let held = HeldOut::new(problem, &fits.heads, rows.clone());
    let no_shares = vec![0.0; problem.tasks.len()];
    let mut task = Vec::new();
    for row in outputs.chunks_exact(width) {
        let logits = &row[fits.bag.columns.task(0)..];
        let probabilities = task_probabilities(logits, &no_shares, 1.0);
        task.extend((0..m).map(|j| {
            let effects = held.task_deviations.iter().skip(j).step_by(m);
            probabilities.iter().zip(effects).map(|(p, effect)| p * effect).sum::<f64>()
        }));
    }
    let costs = explained_costs(problem, fits, &rows, &outputs);
    Predicted { rows, linear: Vec::new(), bag, task, held, costs }
}

fn explained_costs(problem: &Problem, fits: &Fits, rows: &[usize], outputs: &[f32]) -> [f64; 2] {
    let heads = costs::fit(problem, &fits.seen, &fits.heads.vectorizer);
    let (columns, mut errors, mut total) = (fits.bag.columns, [0.0; 2], 0.0);
    for (j, head) in heads.iter().enumerate().filter_map(|(j, head)| Some((j, head.as_ref()?))) {
        let known: Vec<[f64; 3]> = (rows.iter().zip(outputs.chunks_exact(columns.width())))
            .filter_map(|(row, outputs)| {
                let cost = problem.cell(*row, j).cost.filter(|cost| *cost > 0.0)?;
                let surface = costs::surface(&fits.heads.vectorizer, problem, *row);
                let by_surface = costs::predict(head, &surface).ln();
                Some([cost.ln(), by_surface, f64::from(outputs[columns.cost(j)])])
            })
            .collect();
        let middle: [f64; 3] = std::array::from_fn(|i| mean(known.iter().map(|k| k[i])));
        for values in &known {
            let gap: [f64; 3] = std::array::from_fn(|i| values[i] - middle[i]);
            total += gap[0] * gap[0];
            errors[0] += (gap[0] - gap[1]).powi(2);
            errors[1] += (gap[0] - gap[2]).powi(2);
        }
    }
    errors.map(|error| if total > 0.0 { 100.0 * (1.0 - error / total) } else { 0.0 })
}

fn linear(predicted: &mut Predicted, stack: &Stack, fits: &Fits) {
    let held = std::slice::from_ref(&predicted.held);
    for (_, scores) in stack.scores(held, fits.heads.layout) {
        let above: Vec<f64> =
            scores.iter().zip(&fits.heads.means.model).map(|(score, mean)| score - mean).collect();
        let middle = mean(above.iter().copied());
        predicted.linear.extend(above.iter().map(|gap| gap - middle));
    }
}

fn fold(problem: &Problem, params: &BagParams, test: i32, is_tuning: bool) -> Figures {
    let folds = problem.folds();
    let at = folds.iter().position(|fold| *fold == test).unwrap_or(0);
    let choosing = folds[(at + 1) % folds.len()];
    let inner = fit(problem, params, |fold| fold != test && fold != choosing);
    let mut chosen_on = predict(problem, &inner, choosing);
    let stack = Stack::choose(
        problem,
        std::slice::from_ref(&chosen_on.held),
        inner.heads.layout,
        Sources::ALL,
    );
    linear(&mut chosen_on, &stack, &inner);
    let weights = choose(problem, &chosen_on);
    for (network, curve) in inner.bag.curves.iter().enumerate() {
        let best = curve.iter().min_by(|a, b| a.held_sum().total_cmp(&b.held_sum()));
        if let (Some(start), Some(best)) = (curve.first(), best) {
            println!(
                "  network {network}: held {:.4?} at the start, {:.4?} after {} of {} epochs",
                start.held,
                best.held,
                best.epoch,
                curve.len() - 1
            );
        }
    }
    if is_tuning {
        return Figures::new(problem, &chosen_on, weights, &inner);
    }
    let outer = fit(problem, params, |fold| fold != test);
    let mut judged = predict(problem, &outer, test);
    linear(&mut judged, &stack, &outer);
    Figures::new(problem, &judged, weights, &outer)
}

/// Weights of the linear part, the bag's deviations and its task part: of the first alone, of the
/// others without it, and of all.
type Weights = [[f64; 3]; 3];

const PARTS: [&[usize]; 3] = [&[0], &[1, 2], &[0, 1, 2]];

/// Least squares, none negative, of every selection of parts.
fn choose(problem: &Problem, predicted: &Predicted) -> Weights {
    let mut products = [[0.0; 3]; 3];
    let mut with_target = [0.0; 3];
    each(problem, predicted, |y, x| {
        for a in 0..3 {
            with_target[a] += y * x[a];
            for b in 0..3 {
                products[a][b] += x[a] * x[b];
            }
        }
    });
    PARTS.map(|parts| nonnegative(&products, &with_target, parts))
}

/// Coordinate descent on the normal equations.
fn nonnegative(products: &[[f64; 3]; 3], with_target: &[f64; 3], parts: &[usize]) -> [f64; 3] {
    let mut weights = [0.0; 3];
    for _ in 0..2000 {
        for &a in parts.iter().filter(|a| products[**a][**a] > 0.0) {
            let others: f64 =
                parts.iter().filter(|b| **b != a).map(|b| products[a][*b] * weights[*b]).sum();
            weights[a] = ((with_target[a] - others) / products[a][a]).max(0.0);
        }
    }
    weights
}

/// Calls `visit` with the deviation of every known cell and what each part says of it.
fn each(problem: &Problem, predicted: &Predicted, mut visit: impl FnMut(f64, [f64; 3])) {
    let m = problem.n_models();
    let means = &predicted.held.means.model;
    for (i, &row) in predicted.rows.iter().enumerate() {
        let Some(shared) = shared(problem, row, means) else { continue };
        for (j, mean) in means.iter().enumerate() {
            if let Some(quality) = problem.cell(row, j).quality {
                visit(f64::from(quality) - mean - shared, predicted.at(i * m + j));
            }
        }
    }
}

impl Predicted {
    fn at(&self, place: usize) -> [f64; 3] {
        [self.linear[place], self.bag[place], self.task[place]]
    }
}

fn weighted(weights: &[f64; 3], x: [f64; 3]) -> f64 {
    weights.iter().zip(x).map(|(w, x)| w * x).sum()
}

/// Percent of the variance of deviations that is explained, and the area under the curve of
/// quality over cost, of the linear part, the bag, and both.
#[derive(Clone, Copy, Debug)]
struct Figures {
    explained: [f64; 3],
    area: [f64; 3],
    best_single: f64,
    greedy: [f64; 3],
    weights: Weights,
    costs: [f64; 2],
    seconds: (f64, f64),
}

impl Figures {
    fn new(problem: &Problem, predicted: &Predicted, weights: Weights, fits: &Fits) -> Self {
        let explained = weights.map(|weights| {
            let (mut error, mut total) = (0.0, 0.0);
            each(problem, predicted, |y, x| {
                error += (y - weighted(&weights, x)).powi(2);
                total += y * y;
            });
            100.0 * (1.0 - error / total)
        });
        let curves = weights.map(|weights| routing(problem, predicted, &fits.seen, &weights));
        Self {
            explained,
            area: curves.map(|(area, _)| 100.0 * area),
            greedy: curves.map(|(_, greedy)| 100.0 * greedy),
            best_single: 100.0 * best_single(problem, predicted),
            weights,
            costs: predicted.costs,
            seconds: fits.seconds,
        }
    }

    fn mean(all: &[Self]) -> Self {
        let of = |get: &dyn Fn(&Self) -> f64| mean(all.iter().map(get));
        let triple = |get: &dyn Fn(&Self) -> [f64; 3]| -> [f64; 3] {
            std::array::from_fn(|i| mean(all.iter().map(|figures| get(figures)[i])))
        };
        Self {
            explained: triple(&|f| f.explained),
            area: triple(&|f| f.area),
            greedy: triple(&|f| f.greedy),
            best_single: of(&|f| f.best_single),
            weights: std::array::from_fn(|i| {
                std::array::from_fn(|part| of(&|f| f.weights[i][part]))
            }),
            costs: [of(&|f| f.costs[0]), of(&|f| f.costs[1])],
            seconds: (of(&|f| f.seconds.0), of(&|f| f.seconds.1)),
        }
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let show = |name: &str, [linear, bag, both]: [f64; 3]| {
            format!("{name} {linear:.2} / {bag:.2} / {both:.2}")
        };
        write!(
            f,
            "{}  {}  {} (single {:.2})  weights {:.2?}  costs {:.1?}  {:.1} s, {:.1} s",
            show("explained", self.explained),
            show("area", self.area),
            show("greedy", self.greedy),
            self.best_single,
            self.weights[2],
            self.costs,
            self.seconds.0,
            self.seconds.1
        )
    }
}

/// Complete cases of what was predicted, as places in it.
fn complete(problem: &Problem, predicted: &Predicted) -> Vec<usize> {
    (0..predicted.rows.len()).filter(|i| problem.is_complete(predicted.rows[*i])).collect()
}

fn best_single(problem: &Problem, predicted: &Predicted) -> f64 {
    let means = &predicted.held.means.model;
    let best = (0..means.len()).max_by(|a, b| means[*a].total_cmp(&means[*b])).unwrap_or(0);
    let places = complete(problem, predicted);
    mean(
        places.iter().filter_map(|i| problem.cell(predicted.rows[*i], best).quality.map(f64::from)),
    )
}

/// Area under the convex hull of mean quality over the mean price of the models that were chosen,
/// between the cheapest and the dearest of the models on it; and quality where price does not count.
fn routing(
    problem: &Problem,
    predicted: &Predicted,
    seen: &[usize],
    weights: &[f64; 3],
) -> (f64, f64) {
    let m = problem.n_models();
    let means = &predicted.held.means.model;
    let price = |j: usize| mean(seen.iter().filter_map(|row| problem.cell(*row, j).cost));
    let mut prices: Vec<f64> = (0..m).map(price).collect();
    if prices.iter().all(|price| *price <= 0.0) {
        prices.clone_from(means);
    }
    let top = prices.iter().copied().fold(0.0, f64::max);
    prices.iter_mut().for_each(|price| *price /= top);
    let places = complete(problem, predicted);
    let quality =
        |i: usize, j: usize| problem.cell(predicted.rows[i], j).quality.map_or(0.0, f64::from);
    let point = |choose: &dyn Fn(usize) -> usize| {
        let chosen: Vec<(usize, usize)> = places.iter().map(|i| (*i, choose(*i))).collect();
        let cost = mean(chosen.iter().map(|(_, j)| prices[*j]));
        (cost, mean(chosen.iter().map(|(i, j)| quality(*i, *j))))
    };
    let score = |i: usize, j: usize| means[j] + weighted(weights, predicted.at(i * m + j));
    let mut points: Vec<(f64, f64)> = (0..m).map(|j| point(&|_| j)).collect();
    let greedy =
        point(&|i| (0..m).max_by(|x, y| score(i, *x).total_cmp(&score(i, *y))).unwrap_or(0));
    points.push(greedy);
    for step in 0..80 {
        let lambda = 1e-4 * 1.15f64.powi(step);
        points.push(point(&|i| {
            let value = |j: usize| score(i, j) - lambda * prices[j];
            (0..m).max_by(|x, y| value(*x).total_cmp(&value(*y))).unwrap_or(0)
        }));
    }
    (area(points), greedy.1)
}

/// Mean height of the upper hull, which never falls, over the range of its costs.
fn area(mut points: Vec<(f64, f64)>) -> f64 {
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut hull: Vec<(f64, f64)> = Vec::new();
    for &(x, y) in &points {
        if hull.last().is_some_and(|(_, last)| y <= *last) {
            continue;
        }
        while let [.., (x0, y0), (x1, y1)] = hull[..] {
            if (y1 - y0) * (x - x0) > (y - y0) * (x1 - x0) {
                break;
            }
            hull.pop();
        }
        hull.push((x, y));
    }
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    let end = hull.last().map_or(0.0, |(x, _)| *x);
    let under: f64 = hull.windows(2).map(|w| (w[1].0 - w[0].0) * (w[0].1 + w[1].1) / 2.0).sum();
    let flat = (last - end) * hull.last().map_or(0.0, |(_, y)| *y);
    (under + flat) / (last - first)
}
