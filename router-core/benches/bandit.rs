//! One round of the contextual bandit: the distribution over six arms at 26 features, a draw, and
//! learning from its reward.

use criterion::{Criterion, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use router_core::bandit::{Learner, LearnerParams, Scheme};

const ARMS: usize = 6;
const FEATURES: usize = 26;

fn round(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bandit round");
    let schemes = [
        ("thompson", Scheme::Thompson { alpha: 0.2 }),
        ("squarecb", Scheme::SquareCb { scale: 10.0, exponent: 0.5 }),
    ];
    for (name, scheme) in schemes {
        let params = LearnerParams { scheme, ..LearnerParams::default() };
        let Ok(mut learner) = Learner::new(ARMS, FEATURES, params) else { return };
        let mut rng = Pcg64::seed_from_u64(1);
        let mut x = [1.0; FEATURES];
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                x[1..].iter_mut().for_each(|value| *value = rng.random::<f64>() - 0.5);
                let pmf = learner.distribution(&x, &[0.0; ARMS], &[true; ARMS]);
                let mut u = rng.random::<f64>();
                let drawn = pmf.iter().position(|p| {
                    u -= p;
                    u < 0.0
                });
                let arm = drawn.unwrap_or(ARMS - 1);
                let reward = if x[1 + arm] > 0.0 { 1.0 } else { 0.0 };
                learner.play(arm);
                learner.learn(arm, &x, reward)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, round);
criterion_main!(benches);
