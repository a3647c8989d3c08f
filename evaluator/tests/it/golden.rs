//! The golden vectors of `spec/routing.md`, section 6, on the shared data.

use std::path::PathBuf;

use datasets::{Dataset, ModelSelection};
use evaluator::metric::frontier::{Frontier, Span};
use evaluator::metric::hull::{Hull, Point};
use evaluator::metric::ten_threshold::TenThreshold;
use evaluator::metric::two_model::{Curve, Endpoints, Pair, Ranking};
use evaluator::panel::{Panel, pair_of};
use evaluator::sweep::Expected;
use router_core::ModelId;
use sha2::{Digest, Sha256};

const WEAK: &str = "mistralai/Mixtral-8x7B-Instruct-v0.1";
const STRONG: &str = "gpt-4-1106-preview";

/// A shared data set; `None`, with a message, where it is not on this machine.
#[expect(clippy::print_stderr, clippy::disallowed_methods, reason = "skipping is said aloud")]
fn shared(name: &str) -> Option<Panel> {
    let path = std::env::var("SEXTANT_SHARED")
        .ok()
        .map(|root| PathBuf::from(root).join("data").join(name).join("logs.parquet"));
    let Some(path) = path.filter(|path| path.exists()) else {
        eprintln!("skipped: SEXTANT_SHARED does not name a folder with data/{name}");
        return None;
    };
    let Dataset::Table(table) = datasets::open(&[path]).unwrap().data else {
        unreachable!("the shared sets are outcome tables")
    };
    let selected = match name.starts_with("routellm") {
        true => {
            let id = |name: &str| ModelId::new(name).unwrap();
            pair_of(&table, &id(WEAK), &id(STRONG)).unwrap()
        }
        false => ModelSelection::default().select(&table).unwrap(),
    };
    Some(Panel::new(&selected).unwrap())
}

/// The rows that are not among the published contaminated items.
fn clean(panel: &Panel, removed: &[String]) -> Vec<usize> {
    (0..panel.n()).filter(|i| !removed.contains(&panel.requests[*i].request_id)).collect()
}

fn pair(panel: &Panel, rows: &[usize]) -> Pair {
    let strong = panel.models.iter().position(|model| model.as_str() == STRONG).unwrap();
    Pair {
        weak: rows.iter().map(|i| panel.q(*i, 1 - strong)).collect(),
        strong: rows.iter().map(|i| panel.q(*i, strong)).collect(),
        costs: Vec::new(),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
}

struct Published {
    removed: Vec<String>,
    kept: usize,
    weak: f64,
    strong: f64,
    cells: [usize; 4],
    /// APGR, CPT50, CPT80 of the oracle.
    oracle: [f64; 3],
    /// The same and APGR-10 of prompt length, and of the hash of the id.
    length: [f64; 4],
    hash: [f64; 4],
    /// Quality in percent at 0, .1, .2, .3 strong calls.
    optimal: [f64; 4],
}

fn check(panel: &Panel, expected: &Published) {
    let rows = clean(panel, &expected.removed);
    assert_eq!(rows.len(), expected.kept);
    let pair = pair(panel, &rows);
    close(100.0 * mean(&pair.weak), expected.weak, 1e-6);
    close(100.0 * mean(&pair.strong), expected.strong, 1e-6);
    let [both, strong_only, weak_only, neither] = expected.cells;
    let cells = Endpoints { both, strong_only, weak_only, neither };
    assert_eq!(Endpoints::new(&pair), Some(cells));
    let curve = |scores: &[f64]| Curve::new(&Ranking::new(scores), &pair, |_| 1.0).unwrap();
    let oracle: Vec<f64> = pair.strong.iter().zip(&pair.weak).map(|(s, w)| s - w).collect();
    let oracle = curve(&oracle);
    close(oracle.apgr(), expected.oracle[0], 1e-9);
    close(oracle.call_share(0.5).unwrap(), expected.oracle[1], 1e-9);
    close(oracle.call_share(0.8).unwrap(), expected.oracle[2], 1e-9);
    let request = |i: &usize| &panel.requests[*i];
    let length: Vec<f64> = rows.iter().map(|i| request(i).prompt.len() as f64).collect();
    let hash: Vec<f64> = rows.iter().map(|i| id_hash(&request(i).request_id)).collect();
    for (scores, expected) in [(length, expected.length), (hash, expected.hash)] {
        let exact = curve(&scores);
        close(exact.apgr(), expected[0], 1e-6);
        close(exact.call_share(0.5).unwrap(), expected[1], 1e-6);
        close(exact.call_share(0.8).unwrap(), expected[2], 1e-6);
        let ten = TenThreshold::new(&Ranking::new(&scores), &pair, 10, |_| 1).unwrap();
        // One unit in the last printed place, after rounding to it.
        close(ten.apgr, expected[3], 1.5e-6);
    }
    let n = rows.len() as f64;
    for (i, percent) in expected.optimal.into_iter().enumerate() {
        let (right, gained) = ((both + weak_only) as f64, strong_only as f64);
        close(100.0 * (right + gained.min(0.1 * i as f64 * n)) / n, percent, 1e-4);
    }
}

fn id_hash(id: &str) -> f64 {
    let digest = Sha256::digest(id.as_bytes());
    f64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

#[test]
fn routellm_mmlu_matches_the_published_endpoints_and_curves() {
    let Some(panel) = shared("routellm_mmlu") else { return };
    let removed = [
        "high_school_european_history/4",
        "high_school_microeconomics/48",
        "machine_learning/0",
        "college_chemistry/37",
        "electrical_engineering/71",
    ];
    check(
        &panel,
        &Published {
            removed: removed.map(|id| format!("mmlu/{id}")).to_vec(),
            kept: 14_037,
            weak: 68.091_473,
            strong: 80.587_020,
            cells: [8816, 2496, 742, 1983],
            oracle: [1.285_333_378, 0.062_477_737, 0.099_964_380],
            length: [0.586_115, 0.358_782, 0.691_088, 0.583_769],
            hash: [0.476_834, 0.528_745, 0.833_383, 0.477_878],
            optimal: [68.0915, 78.0915, 85.8730, 85.8730],
        },
    );
}

#[test]
fn routellm_gsm8k_matches_the_published_endpoints_and_curves() {
    let Some(panel) = shared("routellm_gsm8k") else { return };
    let removed = [0, 1, 2, 18, 67, 147, 233, 269, 285, 364, 530, 932];
    check(
        &panel,
        &Published {
            removed: removed.map(|id| format!("gsm8k/{id}")).to_vec(),
            kept: 1307,
            weak: 63.733_741,
            strong: 85.768_936,
            cells: [739, 382, 94, 92],
            oracle: [1.120_818_456, 0.110_175_976, 0.176_281_561],
            length: [0.597_688, 0.365_978, 0.665_340, 0.598_423],
            hash: [0.471_261, 0.517_980, 0.818_975, 0.471_157],
            optimal: [63.7337, 73.7337, 83.7337, 92.9610],
        },
    );
}

#[test]
fn routellm_mt_bench_matches_the_published_scores() {
    let Some(panel) = shared("routellm_mt_bench") else { return };
    let removed = [81, 88, 91, 92, 101, 104, 120, 122].map(|id| format!("mt_bench/{id}"));
    let rows = clean(&panel, &removed);
    assert_eq!(rows.len(), 72);
    let pair = pair(&panel, &rows);
    // Scores from 1 to 10; the published ones are rounded.
    close(9.0 * mean(&pair.weak) + 1.0, 8.28125, 2e-5);
    close(9.0 * mean(&pair.strong) + 1.0, 9.21181, 2e-5);
}

#[test]
fn routerbench_matches_the_zero_router_and_the_oracle() {
    let Some(panel) = shared("routerbench_subset") else { return };
    assert_eq!((panel.n(), panel.m(), panel.n_dropped), (3150, 11, 0));
    let rows: Vec<usize> = (0..panel.n()).collect();
    let singles: Vec<Point> =
        panel.means(&rows).iter().map(|&(quality, cost)| Point { cost, quality }).collect();
    let span = Span::new(&singles).unwrap();
    close(span.best.quality, 0.879365, 1e-6);
    close(span.best.cost, 0.005015295, 1e-9);
    close(span.cheapest.quality, 0.584444, 1e-6);
    close(span.cheapest.cost, 0.000081279, 1e-9);
    let on_hull = Hull::new(&singles).points().to_vec();
    let named: Vec<&str> = on_hull
        .iter()
        .map(|at| panel.models[singles.iter().position(|s| s == at).unwrap()].as_str())
        .collect();
    let last = |name: &&str| name.rsplit('/').next().unwrap().to_owned();
    let named: Vec<String> = named.iter().map(last).collect();
    let published = ["mistral-7b-chat", "mixtral-8x7b-chat", "Yi-34B-Chat", "gpt-4-1106-preview"];
    assert_eq!(named, published);
    let zero = Frontier::new(&singles, span);
    close(zero.aiq().unwrap(), 0.8195405333, 1e-10);
    close(zero.cost_at_retention(0.95).unwrap(), 0.6137001710, 1e-10);
    close(zero.cost_at_retention(0.99).unwrap(), 0.9227400342, 1e-10);
    close(zero.hypervolume().unwrap(), 0.7198448732, 1e-10);
    let largest = singles.iter().map(|single| single.cost).fold(0.0, f64::max);
    close(zero.aiq_reference(largest).unwrap(), 0.8062587951, 1e-10);
    oracle_of_routerbench(&panel, span);
}

fn oracle_of_routerbench(panel: &Panel, span: Span) {
    let truth = Expected {
        m: panel.m(),
        score: panel.quality.clone(),
        cost: panel.cost.iter().map(|cost| cost / span.best.cost).collect(),
    };
    let point = |choice: &[u16]| {
        let of = |value: &dyn Fn(usize, usize) -> f64| {
            let sum: f64 = choice.iter().enumerate().map(|(i, j)| value(i, usize::from(*j))).sum();
            sum / panel.n() as f64
        };
        Point { cost: of(&|i, j| panel.c(i, j)), quality: of(&|i, j| panel.q(i, j)) }
    };
    let best = point(&truth.choices(0.0));
    close(best.quality, 0.975556, 1e-6);
    close(best.cost, 0.000208322, 1e-9);
    let swept: Vec<Point> = truth.sweep().iter().map(|(_, choice)| point(choice)).collect();
    let sweep = Frontier::new(&swept, span);
    // The published values depend on the grid of the sweep.
    close(sweep.aiq().unwrap(), 0.97435, 2e-3);
    close(sweep.cost_at_retention(0.95).unwrap(), 0.01936, 2e-3);
    close(sweep.cost_at_retention(0.99).unwrap(), 0.02074, 2e-3);
    close(sweep.cost_at_retention(1.0).unwrap(), 0.02110, 2e-3);
}
