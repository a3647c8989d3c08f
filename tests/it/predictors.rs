//! Which parts of a score a fit uses, and that it says so.

use datasets::synthetic::{World, WorldParams};
use datasets::{Dataset, Opened, Source};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::SeedableRng;
use router_core::{Ask, RequestView, Router, Scratch, Tier};
use trainer::bag::BagParams;
use trainer::config::{Config, Overrides};
use trainer::neighbors::NeighborParams;
use trainer::parts::Extra;
use trainer::policy::PolicyChoice;
use trainer::run::{self, Fitted, Metrics};

fn fit(n_models: usize, overrides: Overrides) -> anyhow::Result<Fitted> {
    let table = World::new(WorldParams { seed: 5, n_models }).unwrap().table(0..400);
    let source = Source { name: "logs.parquet".into(), sha256: "5e".into(), n_rows: 1 };
    let opened = Opened { data: Dataset::Table(table), sources: vec![source] };
    run::fit(opened, &Config::resolve([overrides]).unwrap(), &|_, _| {})
}

fn fitted(n_models: usize, predictor: &str) -> Metrics {
    let overrides = Overrides { predictor: Some(predictor.to_owned()), ..Overrides::default() };
    fit(n_models, overrides).unwrap().metrics
}

fn taken(metrics: &Metrics) -> Vec<&str> {
    metrics.candidates.iter().filter(|line| line.chosen).map(|line| line.name).collect()
}

#[test]
fn a_named_predictor_has_no_other_part() {
    for (name, has) in [
        ("means", [false, false, false]),
        ("length", [false, false, true]),
        ("ridge", [true, false, false]),
    ] {
        let metrics = fitted(4, name);
        assert_eq!(taken(&metrics), [name]);
        let weights = metrics
            .stack
            .components
            .iter()
            .map(|c| [c.deviation_weight > 0.0, c.task_weight > 0.0, c.length_weight > 0.0]);
        let any = weights.fold([false; 3], |any, one| std::array::from_fn(|i| any[i] || one[i]));
        assert_eq!(any, has, "{name}");
    }
}

#[test]
fn auto_leaves_means_where_the_text_says_more() {
    let metrics = fitted(4, "auto");
    assert_ne!(taken(&metrics), ["means"]);
    let best = metrics.candidates.iter().map(|line| line.utility).fold(f64::MIN, f64::max);
    for line in &metrics.candidates {
        assert!((best - line.utility - line.loss).abs() < 1e-9, "{line:?}");
        // The first line within its standard error is the one that is taken.
        if line.chosen {
            assert!(line.loss <= line.standard_error, "{line:?}");
            break;
        }
        assert!(line.loss > line.standard_error, "{line:?}");
    }
}

#[test]
fn more_models_have_more_directions_with_weights_of_their_own() {
    assert_eq!(fitted(2, "stack").stack.components.len(), 1);
    assert_eq!(fitted(4, "stack").stack.components.len(), 2);
}

#[test]
fn a_router_decides_by_the_policy_that_it_was_given() {
    let with =
        |policy: PolicyChoice| fit(3, Overrides { policy: Some(policy), ..Overrides::default() });
    let fitted = with("token_heuristic".parse().unwrap()).unwrap();
    let router = Router::from_bytes(&fitted.all).unwrap();
    let provenance = &router.manifest().provenance;
    let decided = |text: &str| {
        let view = RequestView::from_text(text);
        let mut rng = Pcg64::seed_from_u64(1);
        let ask = Ask::tier(Tier::Balanced);
        router.decide(&view, &ask, &mut Scratch::default(), &mut rng).unwrap().model().clone()
    };
    assert_eq!(Some(decided("hello")), provenance.cheapest);
    assert_eq!(decided(&"a long request ".repeat(200)), provenance.reference);
    assert_ne!(Some(&provenance.reference), provenance.cheapest.as_ref());

    let gone = "kind = \"fixed\"\nmodel = \"gone\"\n";
    let gone = PolicyChoice::Spec(Box::new(toml::from_str(gone).unwrap()));
    let error = with(gone).unwrap_err().to_string();
    assert!(error.contains("gone, which is not in the catalog"), "{error}");
}

/// A small bag and few neighbors beside the linear heads.
fn with_parts(predictor: &str, parts: &[Extra]) -> (Fitted, Config) {
    let table = World::new(WorldParams { seed: 5, n_models: 3 }).unwrap().table(0..300);
    let opened = Opened { data: Dataset::Table(table), sources: Vec::new() };
    let overrides = Overrides {
        predictor: Some(predictor.to_owned()),
        parts: Some(parts.to_vec()),
        bag: Some(BagParams { hidden: 8, max_epochs: 3, ..BagParams::default() }),
        neighbors: Some(NeighborParams { dimensions: 8, ..NeighborParams::default() }),
        ..Overrides::default()
    };
    let config = Config::resolve([overrides]).unwrap();
    (run::fit(opened, &config, &|_, _| {}).unwrap(), config)
}

/// Whether a part of the score of a router says anything.
fn says(fitted: &Fitted, part: &str) -> bool {
    let router = Router::from_bytes(&fitted.all).unwrap();
    let view = RequestView::from_text("Prove that the sum of two even numbers is even.");
    let (mut scratch, ask) = (Scratch::default(), Ask::tier(Tier::Balanced));
    let decision = router.decide(&view, &ask, &mut scratch, &mut Pcg64::new(0, 0)).unwrap();
    let why = router.explain(&view, &decision, &mut scratch);
    let mut factors = why.candidates.iter().flat_map(|one| &one.factors);
    factors.any(|factor| factor.factor == part && factor.value.abs() > 1e-9)
}

#[test]
fn parts_that_are_not_linear_compete_and_are_served() {
    let (fitted, config) = with_parts("stack+bag", &[Extra::Neighbors]);
    let names = fitted.metrics.candidates.iter().map(|line| line.name);
    assert!(names.eq(trainer::auto::CANDIDATES.iter().map(|(name, _)| *name)));
    assert_eq!(taken(&fitted.metrics), ["stack+bag"]);
    assert!(fitted.metrics.stack.uses_bag() && says(&fitted, "network"));
    assert!(!fitted.metrics.stack.uses_neighbors() && !says(&fitted, "neighbors"));
    let folder = tempfile::tempdir().unwrap();
    run::write(folder.path(), &fitted, &config).unwrap();
    let curve = std::fs::read_to_string(folder.path().join("bag-curve.csv")).unwrap();
    assert!(curve.lines().count() >= 3 && curve.contains("\nall,0,1,"), "{curve}");
    assert!(folder.path().join("bag-curve.svg").exists());
    let kept = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
    let again = Config::resolve([Overrides::from_toml(&kept).unwrap()]).unwrap();
    assert_eq!(again, config, "a run can be repeated from its configuration");
}

#[test]
fn neighbors_alone_are_served() {
    let (fitted, _) = with_parts("neighbors", &[]);
    assert_eq!(taken(&fitted.metrics), ["neighbors"]);
    assert!(fitted.metrics.stack.uses_neighbors() && says(&fitted, "neighbors"));
    assert!(fitted.metrics.neighbors_recall.is_some_and(|recall| recall > 0.99));
    assert!(fitted.curves.is_empty(), "there is no network");
}

#[test]
fn a_part_joins_the_stack_only_with_evidence() {
    let (fitted, _) = with_parts("stack", &[Extra::Neighbors]);
    let stacks: Vec<_> =
        fitted.metrics.candidates.iter().filter(|line| line.name.starts_with("stack")).collect();
    assert_eq!(stacks.len(), 2);
    let best = stacks.iter().map(|line| line.utility).fold(f64::MIN, f64::max);
    let is_best = (stacks[0].utility - best).abs() < 1e-12;
    assert!(!is_best || stacks[0].chosen, "the plain stack stays where it is as good: {stacks:?}");
    assert_eq!(fitted.metrics.stack.uses_neighbors(), stacks[1].chosen);
}
