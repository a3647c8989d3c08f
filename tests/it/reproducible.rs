//! Same data, config and seed: same bytes; and nothing is learned where nothing can be.

use datasets::synthetic::{World, WorldParams};
use datasets::{Dataset, Opened};
use trainer::bag::BagParams;
use trainer::config::{Config, Overrides};
use trainer::neighbors::NeighborParams;
use trainer::parts::Extra;
use trainer::run::{Fitted, fit};

fn opened(n: u64) -> Opened {
    let world = World::new(WorldParams { seed: 3, n_models: 3 }).unwrap();
    Opened { data: Dataset::Table(world.table(0..n)), sources: Vec::new() }
}

fn fitted(opened: Opened, n_threads: usize, parts: &[Extra]) -> Fitted {
    let overrides = Overrides {
        cross_fit: Some("3".to_owned()),
        parts: Some(parts.to_vec()),
        bag: Some(BagParams { hidden: 4, max_epochs: 2, ..BagParams::default() }),
        neighbors: Some(NeighborParams { index_from: 100, ..NeighborParams::default() }),
        ..Overrides::default()
    };
    let config = Config::resolve([overrides]).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    pool.install(|| fit(opened, &config, &|_, _| {}).unwrap())
}

#[test]
fn a_fit_gives_the_same_bytes_on_one_thread_and_on_four() {
    let (one, four) = (fitted(opened(400), 1, &[]), fitted(opened(400), 4, &[]));
    assert!(one.all == four.all, "the router differs");
    assert!(one.folds == four.folds, "a fold router differs");
    assert_eq!(one.folds.len(), 3);
}

#[test]
fn so_does_one_with_a_network_and_neighbors() {
    let parts = [Extra::Bag, Extra::Neighbors];
    let (one, four) = (fitted(opened(200), 1, &parts), fitted(opened(200), 4, &parts));
    assert!(one.all == four.all, "the router differs");
    assert!(one.folds == four.folds, "a fold router differs");
    assert!(one.curves == four.curves && one.curves.len() == 4, "a learning curve differs");
}
