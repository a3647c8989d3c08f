use super::*;
use crate::problem::Cell;

/// Two models at costs 1 and 4; the dear one is right always, the cheap one on half the rows,
/// and the scores know on which.
fn problem() -> (Problem, Vec<Held>) {
    let mut problem = Problem {
        models: ["cheap", "dear"].map(|id| router_core::ModelId::new(id).unwrap()).to_vec(),
        ..Problem::default()
    };
    let mut held = Vec::new();
    for row in 0..100 {
        let easy = f64::from(row % 2);
        for (quality, cost) in [(easy, 1.0), (1.0, 4.0)] {
            #[expect(clippy::cast_possible_truncation, reason = "0 or 1")]
            let quality = Some(quality as f32);
            problem.cells.push(Cell { quality, cost: Some(cost), latency_ms: None });
        }
        held.push(Held {
            row: usize::try_from(row).unwrap(),
            score: vec![0.2 + 0.6 * easy, 0.9],
            cost: vec![Some(1.0), Some(4.0)],
        });
    }
    (problem, held)
}

const DEAR: Reference = Reference { model: 1, cost: 4.0 };

#[test]
fn the_cheapest_point_that_keeps_the_target_is_chosen() {
    let (problem, held) = problem();
    let curve = Curve::new(&problem, &held, DEAR);
    let point = curve.point(Target::Retention(1.0));
    // Easy rows go to the cheap model: 0.8 − λ/4 > 0.9 − λ from λ = 0.134 on.
    assert!(point.reached && (point.retention - 1.0).abs() < 1e-12);
    assert!((point.cost_ratio.unwrap() - 0.625).abs() < 1e-12);
    assert!(point.lambda > 0.13 && point.lambda < 0.94, "{}", point.lambda);
    assert!((curve.point(Target::CostRatio(0.3)).retention - 0.5).abs() < 1e-12);
    let unreachable = curve.point(Target::Retention(1.5));
    assert!(!unreachable.reached && (unreachable.retention - 1.0).abs() < 1e-12);
}

#[test]
fn a_log_is_valued_without_bias_whatever_the_scores_say() {
    let (mut problem, mut held) = problem();
    // Each row twice, once drawn each way with probability 1/2: the truth exactly.
    let mut cells = Vec::new();
    let mut doubled = Vec::new();
    for (i, one) in held.iter_mut().enumerate() {
        one.score = vec![0.3, 0.3001];
        for model in 0..2 {
            let mut row = vec![Cell::default(); 2];
            row[model] = problem.cell(i, model);
            cells.extend(row);
            problem.drawn.push(crate::problem::Drawn { model, propensity: 0.5 });
            doubled.push(Held { row: 2 * i + model, ..one.clone() });
        }
    }
    problem.cells = cells;
    let curve = Curve::new(&problem, &doubled, DEAR);
    let cheapest = curve.point(Target::CostRatio(0.3));
    assert!((cheapest.retention - 0.5).abs() < 1e-9, "{cheapest:?}");
    assert!((cheapest.cost_ratio.unwrap() - 0.25).abs() < 1e-9);
}

#[test]
fn an_unknown_cost_hides_no_other_and_is_never_taken_for_cheap() {
    let (mut problem, held) = problem();
    // One answer of the dear model is not priced: its row says nothing about costs.
    problem.cells[2 * 8 + 1].cost = None;
    let point = Curve::new(&problem, &held, DEAR).point(Target::Retention(1.0));
    // Of 99 rows 50 are easy.
    let ratio = (50.0 + 49.0 * 4.0) / (99.0 * 4.0);
    assert!((point.cost_ratio.unwrap() - ratio).abs() < 1e-12, "{point:?}");
    // Nor is the cheap model ever priced: a point that uses it has no known cost.
    for row in 0..100 {
        problem.cells[2 * row].cost = None;
    }
    let curve = Curve::new(&problem, &held, DEAR);
    assert_eq!(curve.point(Target::Retention(1.0)).cost_ratio, Some(1.0));
    assert!(!curve.point(Target::CostRatio(0.5)).reached);
}

#[test]
fn a_target_is_named_so_that_no_other_has_its_name() {
    for (value, name) in [(0.9, "retention=0.90"), (0.955, "retention=0.955")] {
        assert_eq!(Target::Retention(value).to_string(), name);
        assert_eq!(name.parse(), Ok(Target::Retention(value)));
    }
}

#[test]
fn targets_are_read_and_refused() {
    assert_eq!("retention=0.95".parse(), Ok(Target::Retention(0.95)));
    assert_eq!("cost-ratio=0.4".parse(), Ok(Target::CostRatio(0.4)));
    assert_eq!("lambda=0.2".parse(), Ok(Target::Lambda(0.2)));
    for bad in ["retention=0", "retention=3", "lambda=-1", "speed=1", "retention", "lambda=x"] {
        assert!(bad.parse::<Target>().is_err(), "{bad}");
    }
}

#[test]
fn a_cost_target_is_spent_to_the_step() {
    let (problem, mut held) = problem();
    // Each row gives up the dear model at a λ of its own.
    for (i, held) in held.iter_mut().enumerate() {
        held.score[0] = held.score[1] - 0.3 - 0.001 * i as f64;
    }
    let curve = Curve::new(&problem, &held, DEAR);
    let coarse = curve.point(Target::CostRatio(0.5)).cost_ratio.unwrap();
    let point = curve.refined(&problem, &held, DEAR, 0.5).point(Target::CostRatio(0.5));
    // 100 rows: a step is 0.0075, and 0.25 + 0.0075·33 = 0.4975 is the last one below 0.5.
    assert!(coarse < 0.49, "{coarse}");
    assert!((point.cost_ratio.unwrap() - 0.4975).abs() < 1e-9, "{point:?}");
}
