//! A thousand draws of 10,000 groups and 400 sums.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use evaluator::bootstrap::{Sample, Sums};

fn bootstrap(criterion: &mut Criterion) {
    let group: Vec<usize> = (0..10_000).collect();
    let mut sums = Sums::new(group.len());
    let columns: Vec<_> =
        (0..400).map(|j| sums.add(&group, |i| ((i * 31 + j * 17) % 101) as f64)).collect();
    let matrix = sums.freeze();
    let figures = |sample: &Sample| columns.iter().map(|c| Some(sample.total(*c))).collect();
    let mut slow = criterion.benchmark_group("bootstrap");
    slow.sample_size(10);
    slow.bench_function("1000 draws of 10,000 groups and 400 sums", |bench| {
        bench.iter(|| matrix.replicate(black_box(1), 1000, figures));
    });
    slow.finish();
}

criterion_group!(benches, bootstrap);
criterion_main!(benches);
